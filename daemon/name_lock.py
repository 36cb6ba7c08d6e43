"""One build per name on this machine, however many envkilns run: an advisory lock on a file for each name."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from envkiln.cache.names import short_name

_LOOK_AGAIN_S = 0.2


@asynccontextmanager
async def name_lock(directory: Path, name: str) -> AsyncIterator[bool]:
    """Hold the lock of an image name, a file in `directory`, which exists; yields whether somebody else had it first.

    The kernel drops the lock with the process, so a killed build leaves none behind. The empty file stays.
    """
    path = _path(directory, name)
    waited = False
    while True:
        with _held(path) as ours:
            if ours:
                yield waited
                return
        waited = True
        await asyncio.sleep(_LOOK_AGAIN_S)


def remove_free_locks(directory: Path, before: float) -> None:
    """Remove the lock files that were made before that wall time and that nobody holds."""
    for path in directory.glob("*.lock"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < before:
                with _held(path) as ours:
                    if ours:
                        path.unlink()


@contextmanager
def free_lock(directory: Path, name: str) -> Iterator[bool]:
    """Hold the lock of an image name, if nobody else does; yields whether it is ours."""
    with _held(_path(directory, name)) as ours:
        yield ours


def _path(directory: Path, name: str) -> Path:
    return directory / f"{short_name(name)}.lock"


@contextmanager
def _held(path: Path) -> Iterator[bool]:
    """Open the file, and hold its lock if nobody else does; yields whether it is ours."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield _taken(descriptor) and _is(path, descriptor)
    finally:
        os.close(descriptor)


def _is(path: Path, descriptor: int) -> bool:
    """Return whether the open file is still the one of that path: it may have been removed before it was locked."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
