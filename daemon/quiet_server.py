"""uvicorn as a part of the service: no signal handlers of its own, and an end that followers do not hold up."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

_PATIENCE_S = 1.0


class QuietServer(uvicorn.Server):
    """A server without uvicorn's signal handlers: the service has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def end(self, task: "asyncio.Task[None]") -> None:
        """Stop the server that runs in `task`: answers that are under way get a moment, followers are let go."""
        self.should_exit = True
        await asyncio.wait([task], timeout=_PATIENCE_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
