"""Directories that may hold mounts: an engine's data, a half-made root file system."""

from __future__ import annotations

import shutil
from pathlib import Path

from steps import run


def unmount_below(place: Path) -> None:
    """Detach every file system that is mounted at `place` or deeper."""
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    # Deepest first. A blank in a path is written \\040 there.
    mounted = sorted((line.split()[1].replace("\\040", " ") for line in lines), reverse=True)
    for mount in mounted:
        if Path(mount).is_relative_to(place.absolute()):
            run(["umount", "--lazy", mount])


def remove_tree(place: Path) -> None:
    """Remove a directory and nothing that is mounted in it."""
    unmount_below(place)
    if place.exists():
        shutil.rmtree(place)
