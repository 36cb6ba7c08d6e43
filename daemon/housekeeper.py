"""Cleans up when it is time, when the disk is nearly full, and when somebody asks."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from envkiln.cache.errors import EnvkilnError
from envkiln.daemon.clean_up import GB, CleanUp
from envkiln.daemon.messages import CleanUpView
from envkiln.daemon.text import size

LOOK_S = 30.0
"""Time between two looks at the clock and the disk."""
VAIN_S = 3600.0
"""After a clean-up that did not help a full disk, the next one waits so long."""
_GAIN = 0.5
"""A clean-up that gives back less than this part of what it freed does not help: the build cache has the layers."""


class Housekeeper:
    """Lives on the event loop. `problems` says what keeps the disk from being cleaned up."""

    DOCUMENT = "cleaned"

    def __init__(
        self,
        clean_up: CleanUp,
        *,
        document: Any,
        store: Callable[[str, Callable[[], Any]], None],
        known: Callable[[], bool],
        free_bytes: Callable[[], int | None],
        told: Callable[[CleanUpView], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`document` is what was kept of the last clean-up, `store` is `Records.note_document`.

        `known` says whether files and images have been looked at, `free_bytes` (called in another thread) what the
        engine's disk has left. `told` hears of every clean-up that was more than a question.
        """
        self.problems: tuple[str, ...] = ()
        self._clean_up = clean_up
        self._store = store
        self._known = known
        self._free_bytes = free_bytes
        self._told = told
        self._last = _time_in(document)
        self._monotonic = monotonic
        self._not_before = 0.0
        self._begin = asyncio.Event()

    def check(self) -> None:
        """The state or the roots have changed: what is needed may be known."""
        if not self._begin.is_set() and self._known():
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
            await self._quietly(self._first)
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Clean up if it is due, or if the disk is nearly full."""
        if self._clean_up.config.clean_up and self._known():
            await self._quietly(self._routine)

    async def _first(self) -> None:
        # What a service that was killed has left behind.
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
        await self._mind_the_disk(round(self._clean_up.config.low_disk_gb * GB))

    async def _mind_the_disk(self, wanted: int) -> None:
        free = await asyncio.to_thread(self._free_bytes)
        if free is None or free >= wanted:
            self.problems, self._not_before = (), 0.0
            return
        if self._monotonic() >= self._not_before:
            before = free
            view = await self.clean(need=wanted - free)
            free = await asyncio.to_thread(self._free_bytes) or before
            # Otherwise every look would take more images away, for nothing.
            if not view.removed or free - before < view.freed_bytes * _GAIN:
                self._not_before = self._monotonic() + VAIN_S
        self.problems = () if free >= wanted else (_nearly_full(free),)

    async def _quietly(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except EnvkilnError as error:
            self.problems = (f"no clean-up: {error}",)

    def _note(self, at: float) -> None:
        self._last = at
        self._store(self.DOCUMENT, lambda: {"at": at})


def _nearly_full(free: int) -> str:
    return (
        f"the engine's disk has {size(free)} left, and clean-ups of images do not help; "
        "`docker buildx du` shows what the build cache holds, `build_cache_gb` limits it"
    )


def _time_in(document: object) -> float | None:
    match document:
        case {"at": int() | float() as at}:
            return float(at)
    return None
