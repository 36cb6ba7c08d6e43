"""How much of the kernel's limits of inotify is used, and how much watching some directories takes."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from envkiln.daemon.watcher import is_unwatched

MOST_DIRECTORIES = 300_000
LONGEST_S = 5.0


def use_of_inotify(user: int, *, without: int | None = None, processes: Path = Path("/proc")) -> tuple[int, int]:
    """Return the watches and instances that the user's processes hold, but for the process `without`.

    Processes that may not be looked at are left out.
    """
    watches = instances = 0
    for process in processes.glob("[0-9]*"):
        if process.name == str(without):
            continue
        with suppress(OSError):
            if process.stat().st_uid != user:
                continue
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    if str(descriptor.readlink()) == "anon_inode:inotify":
                        instances += 1
                        watches += (process / "fdinfo" / descriptor.name).read_text().count("\ninotify ")
    return watches, instances


def count_directories(roots: Iterable[Path]) -> tuple[int, bool]:
    """Return how many directories below `roots` a service watches, and whether all of them were counted."""
    deadline = time.monotonic() + LONGEST_S
    waiting = [str(root) for root in roots]
    count = 0
    while waiting:
        if count >= MOST_DIRECTORIES or time.monotonic() > deadline:
            return count, False
        place = waiting.pop()
        count += 1
        with suppress(OSError), os.scandir(place) as entries:
            waiting += [it.path for it in entries if it.is_dir(follow_symlinks=False) and not is_unwatched(it.name)]
    return count, True
