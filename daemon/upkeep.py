"""Keeps the state directory small: old logs and reports, unused locks, and what the index has of what is gone."""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from envkiln.cache.index import Index
from envkiln.daemon.logs import LogFiles
from envkiln.daemon.name_lock import remove_free_locks

REMEMBERED_S = 90 * 86_400.0
"""So long the index and the locks remember what is gone."""
_MOMENT_S = 3600.0
"""A log that was written in the last hour may be one of a build that runs."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """`written` is the time of the last write, in seconds since 1970."""

    path: Path
    size: int
    written: float


@dataclass(frozen=True, slots=True)
class StillThere:
    """What the index keeps: environments by id, images by name, tags, watched roots by path."""

    environments: frozenset[str]
    images: frozenset[str]
    tags: frozenset[str]
    roots: frozenset[str]


def logs_to_go(logs: Iterable[LogFile], *, keep_s: float, budget: int, now: float) -> list[LogFile]:
    """Return the logs older than `keep_s`, and of the others the oldest until they fit into `budget` bytes.

    A log of the last hour stays.
    """
    by_age = sorted(logs, key=lambda log: (log.written, log.path))
    left = sum(log.size for log in by_age)
    going = []
    for log in by_age:
        old, young = now - log.written > keep_s, now - log.written < _MOMENT_S
        if (old or left > budget) and not young:
            going.append(log)
            left -= log.size
    return going


def tidy_logs(logs: LogFiles, *, keep_s: float, budget: int) -> tuple[int, int]:
    """Remove the logs that are to go; return their number and bytes. Raises OSError."""
    count = freed = 0
    for log in logs_to_go(_found(logs.directory), keep_s=keep_s, budget=budget, now=time.time()):
        with suppress(FileNotFoundError):
            log.path.unlink()
            count += 1
            freed += log.size
        with suppress(OSError):
            log.path.parent.rmdir()  # with its last log
    return count, freed


def tidy_crash_reports(directory: Path, *, keep_s: float) -> None:
    """Remove the crash reports older than `keep_s`; raises OSError."""
    before = time.time() - keep_s
    for report in directory.glob("crash-*.txt"):
        with suppress(FileNotFoundError):
            if report.stat().st_mtime < before:
                report.unlink()


def tidy_locks(directory: Path) -> None:
    """Remove the lock files of names that were not built for a long time."""
    remove_free_locks(directory, time.time() - REMEMBERED_S)


def tidy_index(index: Index, there: StillThere) -> None:
    """Forget what is neither there nor of the last 90 days; raises OSError and sqlite3.Error."""
    before = time.time() - REMEMBERED_S
    index.forget(
        environments=there.environments, images=there.images, aliases=there.tags, roots=there.roots, before=before
    )


def _found(directory: Path) -> Iterable[LogFile]:
    for path in directory.glob("*/*.log"):
        with suppress(FileNotFoundError):
            status = path.stat()
            yield LogFile(path, status.st_size, status.st_mtime)
