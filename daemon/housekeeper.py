"""Cleans up when it is time, when the disk is nearly full, and when somebody asks."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from envkiln.cache.errors import EnvkilnError
from envkiln.cache.index import Index
from envkiln.daemon.clean_up import GB, CleanUp
from envkiln.daemon.engine_disk import free_bytes
from envkiln.daemon.messages import CleanUpView
from envkiln.daemon.parts import Parts
from envkiln.daemon.text import size

LOOK_S = 30.0
"""Time between two looks at the clock and the disk."""
_GAIN = 0.5
"""A clean-up that gives back less than this part of what it freed does not help: the build cache has the layers."""


class Housekeeper:
    """Lives on the event loop. `problems` says what keeps the disk from being cleaned up."""

    DOCUMENT = "cleaned"

    def __init__(self, clean_up: CleanUp, parts: Parts, index: Index, told: Callable[[CleanUpView], None]) -> None:
        """`told` hears of every clean-up that was more than a question."""
        self.problems: tuple[str, ...] = ()
        self._clean_up = clean_up
        self._parts = parts
        self._told = told
        self._last = _time_in(index.document(self.DOCUMENT))
        self._in_vain = False
        self._begin = asyncio.Event()

    def check(self) -> None:
        """The state or the roots have changed: what is needed may be known."""
        if not self._begin.is_set() and self._can_begin():
            self._begin.set()

    async def clean(self, *, dry_run: bool = False, need: int = 0) -> CleanUpView:
        """Clean up now; raises EngineUnavailable and EngineRefused."""
        view = await self._clean_up.clean(dry_run=dry_run, need=need)
        if not dry_run:
            self._told(view)
            self._note(view.at)
        return view

    async def run(self) -> None:
        """Clean up when it is due, until cancelled."""
        await self._begin.wait()
        if self._clean_up.config.clean_up:
            # What a service that was killed has left behind.
            await self._quietly(self._first)
        while True:
            if self._clean_up.config.clean_up and self._can_begin():
                await self._quietly(self._routine)
            await asyncio.sleep(LOOK_S)

    def _can_begin(self) -> bool:
        state = self._parts.loop.state
        return self._parts.roots.started and state.engine.connected and state.engine.listed

    async def _first(self) -> None:
        view = await self._clean_up.remove_untagged()
        if view.removed:
            self._told(view)

    async def _routine(self) -> None:
        now = time.time()
        if self._last is None or self._last > now:
            # Nothing is known of an earlier one, or the clock was set back: the interval begins now.
            self._note(now)
        elif now - self._last >= self._clean_up.config.clean_up_interval_s:
            await self.clean()
        await self._mind_the_disk()

    async def _mind_the_disk(self) -> None:
        wanted = round(self._clean_up.config.low_disk_gb * GB)
        info = self._parts.engine_watch.info
        free = await asyncio.to_thread(free_bytes, self._parts.engine, info) if info else None
        if free is None or free >= wanted:
            self.problems, self._in_vain = (), False
            return
        if not self._in_vain:
            view = await self.clean(need=wanted - free)
            after = await asyncio.to_thread(free_bytes, self._parts.engine, info) if info else None
            gained = (after if after is not None else free) - free
            # Otherwise every look would take more images away, for nothing.
            self._in_vain = gained < max(1, view.freed_bytes * _GAIN)
            free = free + gained
        if free < wanted:
            hint = "`docker buildx du` shows what the build cache holds"
            self.problems = (f"the engine's disk has {size(free)} left, and no image of ours can free more; {hint}",)

    async def _quietly(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except EnvkilnError as error:
            self.problems = (f"no clean-up: {error}",)

    def _note(self, at: float) -> None:
        self._last = at
        self._parts.records.note_document(self.DOCUMENT, lambda: {"at": at})


def _time_in(document: object) -> float | None:
    match document:
        case {"at": int() | float() as at}:
            return float(at)
    return None
