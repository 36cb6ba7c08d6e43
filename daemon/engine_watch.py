"""Keeps the state true to the engine: connect, list, listen, and do all of it again whenever the engine went away."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path

from envkiln.cache.errors import EnvkilnError
from envkiln.daemon.builders import auto_has_secrets
from envkiln.daemon.engine import Engine
from envkiln.daemon.engine_values import EngineInfo
from envkiln.daemon.events import EngineConnected, EngineLost, Event, ImagesListed, Problem
from envkiln.daemon.known_images import list_known_images
from envkiln.daemon.step_containers import remove_left

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 5.0
LIST_AGAIN_S = 60.0
"""Events can be lost: the images are listed anew this often, whatever was heard."""
_GATHER_S = 0.02
"""One `docker rmi` or build sends several events: they are answered with one list."""


class EngineWatch:
    """Watches one engine; `info` is what it said of itself last."""

    def __init__(
        self, engine: Engine, post: Callable[[Event], None], steps: Path, docker_config: Path | None = None
    ) -> None:
        """`steps` is the directory of the notes of `step_containers.py`."""
        self._engine = engine
        self._steps = steps
        self._docker_config = docker_config
        self._post = post
        self.info: EngineInfo | None = None
        self._digests: Mapping[str, str] = {}
        self._answered = asyncio.Event()
        self._changed = asyncio.Event()

    def doubt(self) -> None:
        """Ask the engine soon: a call to it went without an answer, or its images may have changed."""
        self._changed.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        wait = FIRST_WAIT_S
        while True:
            try:
                self.info = await asyncio.to_thread(self._engine.ping)
                self._answered.clear()
                await asyncio.to_thread(remove_left, self._steps, self._engine)
                sealing = await asyncio.to_thread(auto_has_secrets, self.info, self._docker_config)
                self._post(EngineConnected(f"Docker Engine {self.info.version} ({self.info.platform})", sealing))
                wait = FIRST_WAIT_S
                await self._follow()
            except EnvkilnError as error:
                self._answered.set()
                self._post(EngineLost(Problem.of(error)))
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT_S)

    async def recorded_digest(self, reference: str) -> str | None:
        """Return the digest of a base image as the labels of the engine's images have it.

        Waits for the engine's first answer: before it, nothing is known.
        """
        await self._answered.wait()
        return self._digests.get(reference)

    async def list_images(self) -> None:
        """Post what the engine has now; raises EngineUnavailable."""
        asked_at = time.monotonic()
        listing = await asyncio.to_thread(list_known_images, self._engine)
        self._digests = listing.digests
        self._answered.set()
        self._post(ImagesListed(listing.images, asked_at))

    async def _follow(self) -> None:
        """List and listen; ends with the error that says why the engine is gone."""
        changed = self._changed
        stop = threading.Event()
        # Listening starts before the first list, so that nothing falls between the two.
        listener = asyncio.create_task(self._listen(changed, stop))
        try:
            while not listener.done():
                await self.list_images()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LIST_AGAIN_S):
                        await _first(listener, changed.wait())
                if changed.is_set():
                    await asyncio.sleep(_GATHER_S)
                    changed.clear()
            listener.result()
        finally:
            stop.set()
            listener.cancel()

    async def _listen(self, changed: asyncio.Event, stop: threading.Event) -> None:
        loop = asyncio.get_running_loop()

        def listen() -> None:
            for _event in self._engine.events(None, stop):
                loop.call_soon_threadsafe(changed.set)

        # A thread of its own: it blocks for as long as the engine is there, which would use up the shared pool.
        done: asyncio.Future[None] = loop.create_future()

        def settle(error: BaseException | None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        def run() -> None:
            error: BaseException | None = None
            try:
                listen()
            except EnvkilnError as unavailable:
                error = unavailable
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(settle, error)

        threading.Thread(target=run, name="engine-events", daemon=True).start()
        await done


async def _first(listener: asyncio.Task[None], other: Coroutine[None, None, object]) -> None:
    """Return when either is done; the other coroutine is cancelled, the listener goes on."""
    waiting = asyncio.ensure_future(other)
    try:
        await asyncio.wait({listener, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
