"""What was built and what was not: counted by day, and kept over restarts. A hit is a build saved."""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from envkiln.daemon.events import BuildEnded, Ending, Event, Looked
from envkiln.daemon.messages import DayView, DiskSample, StatsView
from envkiln.daemon.state import Environment, Phase, State

DAYS_KEPT = 90


class _Kept(msgspec.Struct):
    """The document in the index: totals, and the last days."""

    since: float
    hits: int = 0
    misses: int = 0
    failed: int = 0
    cancelled: int = 0
    unchanged: int = 0
    removed: int = 0
    freed_bytes: int = 0
    seconds_saved: float = 0.0
    build_seconds: float = 0.0
    days: dict[str, DayView] = {}


class Tally:
    """Counts on the event loop; `changed` says whether it differs from what `document` returned last."""

    DOCUMENT = "tally"

    def __init__(
        self,
        document: Any,
        seconds_of: Callable[[str, str], float | None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`document` is what was kept (anything else begins anew); `seconds_of` an image and an environment is how long
        its build takes."""
        self.changed = False
        self._seconds_of = seconds_of
        self._clock = clock
        self._from_before: set[str] = set()
        """Environments of the first look whose text has not changed since, and that have not been ready since."""
        try:
            self._kept = msgspec.convert(document, _Kept)
        except msgspec.ValidationError:
            self._kept = _Kept(since=clock())

    def count(self, event: Event, before: State, after: State, *, counting: bool) -> int:
        """Count a step; returns the number of hits in it.

        `counting` says that the first look is done: what that one finds was there before the start, and is no hit.
        """
        built = self._count_build(event, before) if isinstance(event, BuildEnded) else None
        if isinstance(event, Looked):
            seen = {sighting.id for sighting in event.changed}
            self._from_before = self._from_before - seen if counting else self._from_before | seen
        hits = 0
        for id_ in after.changed:
            environment = after.environments.get(id_)
            if environment is None or environment.phase is not Phase.READY or environment.wanted is None:
                continue
            earlier = before.environments.get(id_)
            if earlier is not None and environment.wanted in (earlier.last_good, _ready(earlier)):
                continue
            # The first image of an environment that was there at the start is what it had before the restart.
            if id_ in self._from_before:
                self._from_before.discard(id_)
                continue
            if environment.wanted == built and isinstance(event, BuildEnded) and self._built_for(before, built) == id_:
                continue
            hits += 1
            saved = self._seconds_of(environment.wanted, id_) or 0.0
            self._add(hits=1, seconds_saved=saved)
        return hits

    def cleaned(self, images: int, freed_bytes: int) -> None:
        """Count a clean-up."""
        self._kept.removed += images
        self._kept.freed_bytes += freed_bytes
        self.changed = self.changed or images > 0

    def unchanged(self, saves: int) -> None:
        """Count saves that changed nothing that counts."""
        if saves:
            self._kept.unchanged += saves
            self.changed = True

    def document(self) -> Any:
        """Return what to keep, as values of JSON."""
        self.changed = False
        return msgspec.to_builtins(self._kept)

    def view(self, *, images: int, image_bytes: int, log_bytes: int, disk: tuple[DiskSample, ...] = ()) -> StatsView:
        kept = self._kept
        return StatsView(
            since=kept.since,
            hits=kept.hits,
            misses=kept.misses,
            failed=kept.failed,
            cancelled=kept.cancelled,
            unchanged=kept.unchanged,
            removed=kept.removed,
            freed_bytes=kept.freed_bytes,
            builds_saved=kept.hits,
            seconds_saved=round(kept.seconds_saved, 3),
            build_seconds=round(kept.build_seconds, 3),
            images=images,
            image_bytes=image_bytes,
            log_bytes=log_bytes,
            days=tuple(kept.days[day] for day in sorted(kept.days)),
            disk=disk,
        )

    def _count_build(self, event: BuildEnded, before: State) -> str | None:
        if event.name not in before.builds:
            return None
        match event.ending:
            case Ending.BUILT:
                self._add(misses=1, build_seconds=event.seconds)
                return event.name
            case Ending.FAILED:
                self._add(failed=1)
            case Ending.CANCELLED:
                self._kept.cancelled += 1
                self.changed = True
        return None

    @staticmethod
    def _built_for(before: State, name: str) -> str:
        return before.builds[name].id

    def _add(
        self,
        *,
        hits: int = 0,
        misses: int = 0,
        failed: int = 0,
        build_seconds: float = 0.0,
        seconds_saved: float = 0.0,
    ) -> None:
        kept = self._kept
        kept.hits += hits
        kept.misses += misses
        kept.failed += failed
        kept.build_seconds += build_seconds
        kept.seconds_saved += seconds_saved
        name = time.strftime("%Y-%m-%d", time.gmtime(self._clock()))
        day = kept.days.get(name) or DayView(day=name)
        kept.days[name] = DayView(
            day=name,
            hits=day.hits + hits,
            misses=day.misses + misses,
            failed=day.failed + failed,
            build_seconds=day.build_seconds + build_seconds,
            seconds_saved=day.seconds_saved + seconds_saved,
        )
        for old in sorted(kept.days)[:-DAYS_KEPT]:
            del kept.days[old]
        self.changed = True


def _ready(environment: Environment) -> str | None:
    """Return the name of the image that was ready, in the engine or in a registry."""
    return environment.wanted if environment.phase is Phase.READY else None
