"""One build per name on this machine, however many envkilns run: an advisory lock on a file for each name."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from envkiln.cache.names import short_name

_LOOK_AGAIN_S = 0.2


@asynccontextmanager
async def name_lock(directory: Path, name: str) -> AsyncIterator[bool]:
    """Hold the lock of an image name, a file in `directory`, which exists; yields whether somebody else had it first.

    The kernel drops the lock with the process, so a killed build leaves none behind. The empty file stays.
    """
    descriptor = _open(directory, name)
    waited = False
    try:
        while not _taken(descriptor):
            waited = True
            await asyncio.sleep(_LOOK_AGAIN_S)
        yield waited
    finally:
        os.close(descriptor)


@contextmanager
def free_lock(directory: Path, name: str) -> Iterator[bool]:
    """Hold the lock of an image name, if nobody else does; yields whether it is ours."""
    descriptor = _open(directory, name)
    try:
        yield _taken(descriptor)
    finally:
        os.close(descriptor)


def _open(directory: Path, name: str) -> int:
    return os.open(directory / f"{short_name(name)}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
