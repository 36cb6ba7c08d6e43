"""A whole service in this process, without an engine: for what happens to files, the state directory and the process.

On `pythonpath` (pyproject.toml): test files import it as `in_process`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envkiln.daemon.config import load_config
from envkiln.daemon.messages import EnvironmentView, ServiceView
from envkiln.daemon.paths import Paths, paths_from
from envkiln.daemon.service import Service

PATIENCE_S = 60.0


@dataclass
class Place:
    """A root and a state directory; `serving` runs a service on them."""

    directory: Path
    flags: dict[str, Any] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.directory / "envs"

    @property
    def paths(self) -> Paths:
        return paths_from({"ENVKILN_STATE_DIR": str(self.directory / "state"), "HOME": str(self.directory)})

    def conda(self, id_: str, text: str = "dependencies: [python=3.11]\n") -> Path:
        """Write the conda file of an environment."""
        file = self.root / id_ / "env.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Served"]:
        """Run a service that has looked once; it is stopped at the end, and ends without an error."""
        flags = {"docker_host": f"unix://{self.directory}/no-engine.sock", **self.flags}
        config = load_config(
            roots_from_flags=[self.root], flags=flags, environ={}, user_file=self.paths.config_file, read=lambda _: None
        )
        service = Service(config, self.paths, lambda _: None)
        ready = asyncio.Event()
        running = asyncio.create_task(service.run(lambda _: ready.set()))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({running, waiting}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if running.done():
            await running
        served = Served(service)
        try:
            await served.until(lambda: not served.service.starting)
            yield served
        finally:
            service.stop()
            await running


@dataclass
class Served:
    """What a running service answers."""

    running: Service

    @property
    def service(self) -> ServiceView:
        return self.running.answers.service()

    @property
    def problems(self) -> str:
        """Everything the service says is not as it should be."""
        roots = [f"{path}: {problem}" for root in self.service.roots for path, problem in root.problems.items()]
        return "\n".join([*self.service.problems, *roots])

    def view(self, id_: str) -> EnvironmentView | None:
        return self.running.answers.environment(id_)

    def image(self, id_: str) -> str | None:
        view = self.view(id_)
        return view.image if view else None

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until it is true."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 -- see below
                # What is asked may change without an event of the state: a problem of the index.
                await asyncio.sleep(0.02)


def serve(place: Place, work: Callable[[Served], Coroutine[Any, Any, None]]) -> None:
    """Run `work` beside the service of `place`, and stop it."""

    async def main() -> None:
        async with place.serving() as served:
            await work(served)

    asyncio.run(main())
