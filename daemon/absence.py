"""When what a look found does not count, because the watched root itself was away: pure but for `place_of`."""

import os
from pathlib import Path

from envkiln.daemon.snapshot import Snapshot

Place = tuple[str, int, int]


def place_of(root: Path) -> Place | None:
    """Return what a root is now: its real path, device and inode; None when it is no directory."""
    try:
        real = os.path.realpath(root)
        result = os.stat(real)  # noqa: PTH116
    except OSError:
        return None
    return (real, result.st_dev, result.st_ino) if os.path.isdir(real) else None  # noqa: PTH112


def absence(before: Snapshot | None, after: Snapshot, earlier: Place | None, later: Place | None) -> str | None:
    """Return why the look `after` says nothing about what is below the root, None where it counts.

    `earlier` and `later` are the root's places as the look began and ended.
    """
    if later is None or after.missing:
        return f"{after.root}: the watched directory does not exist (create it, or mount it)"
    if earlier != later:
        return f"{after.root}: the watched directory changed its place while it was looked at (it is looked at again)"
    there = after.listings[""]
    if there.problem:
        return there.problem
    if before is None or not before.environments or there.directories or there.candidates:
        return None
    old = before.listings.get("")
    # Only the mount point is left. Devices have other numbers after a restart of the machine, but then with files.
    if old is None or old.fingerprint.device == there.fingerprint.device:
        return None
    return f"{after.root}: the watched directory is empty, and on another file system than before (mount it)"
