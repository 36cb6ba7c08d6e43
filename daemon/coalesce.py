"""Debounce: changed paths are held until they rest, with an upper bound; time is an argument."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from envkiln.cache.source import directory_of

EVERYTHING: Final = frozenset({""})
"""The root directory's own path: look at all that is below it."""


@dataclass(frozen=True, slots=True)
class Coalescer:
    """Changed paths that wait, as a value. Times are seconds of one monotonic clock.

    They are due `settle` after the last change, so that a save that is several steps is looked at once, and at
    most `settle_max` after the first, so that a steady stream starves nobody. A path in `pending` stands for
    itself and everything below it. More than `directory_limit` paths in one directory become the directory, more
    than `limit` in all become everything.
    """

    settle: float
    settle_max: float
    directory_limit: int = 1_000
    limit: int = 4_000
    pending: frozenset[str] = frozenset()
    first: float = 0.0
    last: float = 0.0

    def add(self, paths: Iterable[str] | None, now: float) -> "Coalescer":
        """Return this with `paths` changed at `now`; None means that anything may have changed."""
        new = EVERYTHING if paths is None else frozenset(paths)
        if not new:
            return self
        first = self.first if self.pending else now
        if new <= self.pending or self.pending == EVERYTHING:
            return replace(self, last=now)
        pending = self.pending | new
        if "" in pending:
            pending = EVERYTHING
        elif len(pending) > self.limit:
            pending = _collapsed(pending, self.directory_limit)
            if len(pending) > self.limit:
                pending = EVERYTHING
        return replace(self, pending=pending, first=first, last=now)

    def next_wake(self, now: float) -> float | None:
        """Return when to ask `due` next, never before `now`; None when nothing waits."""
        if not self.pending:
            return None
        return max(now, min(self.last + self.settle, self.first + self.settle_max))

    def due(self, now: float) -> frozenset[str] | None:
        """Return the paths to look at now, or None; whoever takes them goes on with `released()`."""
        wake = self.next_wake(now)
        if wake is None or wake > now:
            return None
        return _collapsed(self.pending, self.directory_limit)

    def released(self) -> "Coalescer":
        """Return this with nothing waiting."""
        return replace(self, pending=frozenset())


def _collapsed(paths: frozenset[str], directory_limit: int) -> frozenset[str]:
    """Return fewer paths that stand for the same places, or for more."""
    while len(paths) > directory_limit:
        counts = Counter(map(directory_of, paths))
        full = {directory for directory, count in counts.items() if count > directory_limit}
        if not full:
            break
        paths = frozenset(path for path in paths if directory_of(path) not in full) | full
    if "" in paths:
        return EVERYTHING
    return frozenset(path for path in paths if not _covered(path, paths))


def _covered(path: str, paths: frozenset[str]) -> bool:
    """Whether a directory above `path` is in `paths`."""
    while path := directory_of(path):
        if path in paths:
            return True
    return False
