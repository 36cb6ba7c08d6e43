"""One image obtained: look once more, ask the registry, build, and believe only what the engine then has."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.daemon.builder import Builder, BuildFailed, BuildRequest, EngineUnavailable, Log
from envkiln.daemon.engine import Engine
from envkiln.daemon.events import Answer, BuildEnded, Ending, Problem
from envkiln.daemon.fault_point import reach
from envkiln.daemon.known_images import adopt_image, find_known_image
from envkiln.daemon.name_lock import name_lock
from envkiln.daemon.registry import Registry


class Obtainer:
    """Gets images into one engine. Calls may run side by side; one name is built by one of them."""

    def __init__(self, engine: Engine, registry: Registry, locks: Path) -> None:
        self._engine = engine
        self._registry = registry
        self._locks = locks
        locks.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def obtain(
        self,
        builder: Builder,
        request: BuildRequest,
        log: Log,
        *,
        forced: bool = False,
        asks: bool = True,
        shares: bool = False,
    ) -> BuildEnded:
        """Return how it ended; every error is part of the answer, only CancelledError is raised.

        An image that is there already, believed, is enough unless `forced`; `asks` says whether one of the registries
        is, too. `shares` says that the image will be pushed: others are told, so that they wait for it. An engine or a
        registry that does not answer is never taken for a no.
        """
        name = request.identity.image
        started = time.monotonic()
        try:
            async with name_lock(self._locks, name) as waited:
                # Whoever waited for another builder of this name takes what that one made.
                ended = await self._without_building(request, log, forced=forced and not waited, asks=asks)
                if ended is None and asks and shares and not forced:
                    ended = await self._claim(name)
                if ended is None:
                    reach("name-locked")
                    ended = await self._build(builder, request, log)
        except (EnvkilnError, OSError) as error:
            ended = ended_by(name, error)
        return _timed(ended, time.monotonic() - started)

    async def _claim(self, name: str) -> BuildEnded | None:
        said = await self._registry.claim(name)
        return BuildEnded(name, Ending.UNANSWERED, said=said) if said is not None else None

    async def _build(self, builder: Builder, request: BuildRequest, log: Log) -> BuildEnded:
        name = request.identity.image
        try:
            await builder.build(request, log)
            reach("image-built")
            ended = await self._verified(name)
        except asyncio.CancelledError:
            self._registry.abandon(name)
            raise
        except Exception:
            await self._registry.release(name)
            raise
        self._registry.built(name)
        return ended

    async def _without_building(
        self, request: BuildRequest, log: Log, *, forced: bool, asks: bool
    ) -> BuildEnded | None:
        if forced:
            return None
        name = request.identity.image
        image = await asyncio.to_thread(find_known_image, self._engine, name)
        if image is None:
            image = await asyncio.to_thread(adopt_image, self._engine, name)
        if image is None and asks:
            said = await self._registry.ask(name, request.options.platform)
            if said.answer in (Answer.UNKNOWN, Answer.PENDING):
                return BuildEnded(name, Ending.UNANSWERED, problem=said.problem, said=said)
            if said.image is None:
                return None
            log(f"pulling {said.image.reference}")
            await self._registry.pull(said.image)
            image = await asyncio.to_thread(find_known_image, self._engine, name)
            return BuildEnded(name, Ending.FOUND, image, pulled=said.image) if image else None
        return BuildEnded(name, Ending.FOUND, image) if image else None

    async def _verified(self, name: str) -> BuildEnded:
        image = await asyncio.to_thread(find_known_image, self._engine, name)
        if image is None:
            message = "the build ended well, but the engine has no image of that name"
            raise BuildFailed(message, hint="does something else remove or tag images now?", passing=True)
        return BuildEnded(name, Ending.BUILT, image)


def ended_by(name: str, error: EnvkilnError | OSError) -> BuildEnded:
    """Return how a build ended that `error` ended: whose turn it is decides whether it is tried again."""
    if isinstance(error, EngineUnavailable):
        return BuildEnded(name, Ending.INTERRUPTED, problem=Problem.of(error))
    if isinstance(error, OSError):
        problem = Problem(f"could not build: {error}", "is the disk full or read-only?", turn=Turn.SURROUNDINGS)
    else:
        problem = Problem.of(error)
    return BuildEnded(name, Ending.FAILED, problem=problem, passing=problem.turn is Turn.SURROUNDINGS)


def _timed(ended: BuildEnded, seconds: float) -> BuildEnded:
    return replace(ended, seconds=seconds)
