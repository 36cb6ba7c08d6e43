"""One clean-up without a service: the same parts, fed once with the files and the engine's images, building nothing."""

import asyncio
from contextlib import AsyncExitStack

from envkiln.cache.errors import EnvkilnError
from envkiln.cache.index import Index
from envkiln.daemon.builder import EngineUnavailable
from envkiln.daemon.clean_up import CleanUp, unanswered
from envkiln.daemon.config import Config
from envkiln.daemon.events import Effect, EngineLost, Event, ResolveBase
from envkiln.daemon.messages import CleanUpView
from envkiln.daemon.parts import Parts, make_parts
from envkiln.daemon.paths import Paths
from envkiln.daemon.state import EVERYTHING, State


async def clean_once(config: Config, paths: Paths, *, dry_run: bool) -> CleanUpView:
    """Look at every root, ask the engine, and clean up; raises EngineUnavailable and EngineRefused.

    No build starts and no alias moves.
    """
    paths.ensure()
    async with AsyncExitStack() as stack:
        index = await asyncio.to_thread(Index, paths.index)
        stack.callback(index.close)
        parts = make_parts(config, paths, index, lambda _: None, paused=frozenset({EVERYTHING}))
        stack.push_async_callback(parts.hands.close)
        perform = parts.loop.perform
        parts.loop.perform = lambda effect: perform(effect) if _asks(effect) else None
        # Nothing is written: the index says what the last service knew, which is more.
        clean_up = CleanUp(config, parts, paths, index, flush=None)
        known = _Known(parts)
        parts.loop.observe(known.observe)
        problem: EnvkilnError | None = None
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(parts.loop.run()), group.create_task(parts.engine_watch.run())]
            try:
                return await _clean(parts, known, clean_up, dry_run=dry_run)
            except EnvkilnError as error:
                problem = error  # raised here, it would come out as a group of errors
            finally:
                for task in tasks:
                    task.cancel()
        raise problem


async def _clean(parts: Parts, known: "_Known", clean_up: CleanUp, *, dry_run: bool) -> CleanUpView:
    for watched in parts.roots.all:
        await watched.first_look()
    parts.roots.started = True
    await parts.loop.drained()
    await known.wait()
    return await clean_up.clean(dry_run=dry_run)


def _asks(effect: Effect) -> bool:
    return isinstance(effect, ResolveBase)


class _Known:
    """Waits until the engine's images are listed and every digest was asked for, or the engine is away."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._changed = asyncio.Event()
        self._lost: EngineLost | None = None

    def observe(self, event: Event, _before: State, _after: State) -> None:
        if isinstance(event, EngineLost):
            self._lost = event
        self._changed.set()

    async def wait(self) -> None:
        while True:
            state = self._parts.loop.state
            if self._lost is not None:
                raise EngineUnavailable(self._lost.problem.message, hint=self._lost.problem.hint)
            if state.engine.listed and unanswered(state) is None:
                return
            self._changed.clear()
            await self._changed.wait()
