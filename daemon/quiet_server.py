"""uvicorn as a part of the service: no signal handlers of its own, and an end that followers do not hold up."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

_PATIENCE_S = 1.0


class QuietServer(uvicorn.Server):
    """A server without uvicorn's signal handlers: the service has its own."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._answering = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._answering.set()

    async def answering(self) -> None:
        """Return when requests are answered."""
        await self._answering.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def end(self, task: "asyncio.Task[None]") -> None:
        """Stop the server that runs in `task`: answers that are under way get a moment, followers are let go."""
        self.should_exit = True
        await asyncio.wait([task], timeout=_PATIENCE_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
