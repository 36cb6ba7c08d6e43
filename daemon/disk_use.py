"""How much of the disk is used, over time: sampled by the hour, kept by the hour for two days and by the day for 90."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from envkiln.daemon.events import Event, ImagesListed
from envkiln.daemon.messages import DiskSample
from envkiln.daemon.state import State

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
HOURLY_FOR_S = 2 * DAY_S
DAILY_FOR_S = 90 * DAY_S


def thinned(samples: Iterable[DiskSample], now: float) -> tuple[DiskSample, ...]:
    """Return what is kept of `samples` at wall time `now`, oldest first.

    That is the last one of each hour and, after two days, of each day (UTC). One of more than 90 days ago goes, and so
    does one of the future: the clock was set back.
    """
    kept: dict[tuple[float, int], DiskSample] = {}
    for sample in sorted(samples, key=lambda it: it.at):
        age = now - sample.at
        if 0 <= age <= DAILY_FOR_S:
            step = HOUR_S if age <= HOURLY_FOR_S else DAY_S
            kept[step, int(sample.at // step)] = sample
    return tuple(sorted(kept.values(), key=lambda it: it.at))


def image_sizes(state: State) -> dict[str, int]:
    """Return the size of every known image by id: one with several names counts once."""
    return {image.id: image.size for image in state.images.values()}


def samples_of(document: Any) -> tuple[DiskSample, ...]:
    """Return the samples in a document of the index; none of one that is damaged, or of an earlier layout."""
    try:
        return msgspec.convert(document, tuple[DiskSample, ...])
    except msgspec.ValidationError:
        return ()


class DiskUse:
    """Observes the loop, on its thread: a list of the engine's images is the moment at which their size is known.

    The engine is listed every minute, so a sample is late by that at most, and there is none while it is away.
    """

    DOCUMENT = "disk"

    def __init__(
        self,
        document: Any,
        log_bytes: Callable[[], int],
        store: Callable[[str, Callable[[], Any]], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`document` is what was kept; `log_bytes` is called in another thread; `store` is `Records.note_document`."""
        self.samples = samples_of(document)
        self._log_bytes = log_bytes
        self._store = store
        self._clock = clock
        self._sampling: asyncio.Task[None] | None = None

    def observe(self, event: Event, _before: State, after: State) -> None:
        if isinstance(event, ImagesListed) and self._sampling is None and self._is_due():
            self._sampling = asyncio.create_task(self._sample(sum(image_sizes(after).values())))

    async def close(self) -> None:
        """Finish the sample that is being taken."""
        if self._sampling is not None:
            await self._sampling

    def _is_due(self) -> bool:
        return not self.samples or not 0 <= self._clock() - self.samples[-1].at < HOUR_S

    async def _sample(self, image_bytes: int) -> None:
        try:
            log_bytes = await asyncio.to_thread(self._log_bytes)
            now = self._clock()
            taken = DiskSample(at=now, image_bytes=image_bytes, log_bytes=log_bytes)
            samples = self.samples = thinned((*self.samples, taken), now)
            self._store(self.DOCUMENT, lambda: msgspec.to_builtins(samples))
        finally:
            self._sampling = None
