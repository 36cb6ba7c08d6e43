"""One service for one state directory: a lock, then the socket."""

import fcntl
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.daemon.fault_point import reach
from envkiln.daemon.paths import Paths

UNFINISHED = ".new"
"""How the temporary name of a file in the state directory ends, before it is renamed to the name that counts."""


class AlreadyRunning(EnvkilnError):  # noqa: N818 -- what it is
    """Another service has the state directory."""


class StateUnusable(EnvkilnError):  # noqa: N818 -- what it is
    """The state directory is there, and a service cannot keep anything in it."""

    turn = Turn.SURROUNDINGS


@contextmanager
def usable(state: Path) -> Iterator[None]:
    """Turn what a disk that is full or read-only raises while a service takes hold of `state` into StateUnusable."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise StateUnusable(
            f"the state directory {state} cannot be used: {error}",
            hint="free some space on its disk, or make it writable for this user, and start again",
        ) from error


@contextmanager
def single_instance(paths: Paths, listener: socket.socket | None = None) -> Iterator[socket.socket]:
    """Hold the state directory and its socket (mode 0600), listening; raises AlreadyRunning.

    The lock comes first: only its owner may remove what a killed service left behind, the socket and files that it had
    not yet renamed. A `listener` that somebody else made is held and not removed: clients wait in it for the next
    service.
    """
    descriptor = os.open(paths.state / "service.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            raise AlreadyRunning(
                f"another envkiln service (process {other or 'unknown'}) uses {paths.state}",
                hint="ask it with `envkiln status`, or stop it first",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        reach("service-locked")
        for unfinished in paths.state.glob(f"*{UNFINISHED}"):
            unfinished.unlink(missing_ok=True)
        with _listening(paths.socket) if listener is None else listener as listening:
            yield listening
    finally:
        os.close(descriptor)


@contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        # The mask makes the socket private from its first moment; `chmod` afterwards would come too late.
        mask = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        reach("socket-bound")
        listener.listen(1024)  # hundreds of followers come back together after a restart
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)
