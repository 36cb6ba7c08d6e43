"""One service for one state directory: a lock, then the socket."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from envkiln.cache.errors import EnvkilnError
from envkiln.daemon.fault_point import reach
from envkiln.daemon.paths import Paths

UNFINISHED = ".new"
"""How the temporary name of a file in the state directory ends, before it is renamed to the name that counts."""


class AlreadyRunning(EnvkilnError):  # noqa: N818 -- what it is
    """Another service has the state directory."""


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
