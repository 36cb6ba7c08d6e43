"""What a service and systemd say to each other: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3).

Spoken here, since the bindings of libsystemd have to be compiled and these are three variables and a datagram.
"""

import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from envkiln.cache.errors import EnvkilnError, Turn

_FIRST_DESCRIPTOR = 3
_PATIENCE_S = 1.0


class WrongSocket(EnvkilnError):  # noqa: N818 -- what it is
    """systemd has passed on other sockets than the one that clients use."""

    turn = Turn.USER


@dataclass(frozen=True, slots=True)
class Manager:
    """The service manager; `address` is null where there is none, `watchdog_s` where it does not watch."""

    address: str | None = None
    watchdog_s: float | None = None

    def tell(self, *assignments: str) -> None:
        """Send assignments such as `READY=1` together; a manager that does not listen is no reason to fail."""
        if self.address is None:
            return
        # An abstract address begins with a NUL byte, which no variable can hold.
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(_PATIENCE_S)
            sender.sendto("\n".join(assignments).encode(errors="replace"), address)


def manager_from(environ: MutableMapping[str, str], pid: int) -> Manager:
    """Return the manager that `environ` names for the process `pid`.

    What it names is taken out: the programs that we start have no business with our manager.
    """
    address = environ.pop("NOTIFY_SOCKET", None)
    microseconds, meant = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", str(pid))
    if address is None or address[:1] not in ("/", "@"):
        return Manager()
    watched = microseconds.isascii() and microseconds.isdigit() and int(microseconds) > 0 and meant == str(pid)
    return Manager(address, int(microseconds) / 1_000_000 if watched else None)


def inherited_listener(environ: MutableMapping[str, str], pid: int, path: Path) -> socket.socket | None:
    """Return the listening socket at `path` that systemd passed on to the process `pid`, None where it passed none.

    Raises WrongSocket when it passed on sockets, and none is at `path`: clients would wait at a door without a
    house. The variables are taken out of `environ`, and no program that we start inherits the sockets.
    """
    meant, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if meant != str(pid) or not (count.isascii() and count.isdigit()):
        return None
    passed = range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count))
    for descriptor in passed:
        os.set_inheritable(descriptor, False)
    found: dict[str, socket.socket] = {}
    for descriptor in passed:
        inherited = socket.socket(fileno=descriptor)
        if inherited.family == socket.AF_UNIX and inherited.type == socket.SOCK_STREAM:
            found[str(inherited.getsockname())] = inherited
        else:
            inherited.close()
    wanted = found.pop(str(path), None)
    for other in found.values():
        other.close()
    if wanted is None and passed:
        raise WrongSocket(
            f"systemd listens on {', '.join(found) or 'no Unix socket'}, and clients come to {path}",
            hint=f"correct the socket unit: ListenStream={path}",
        )
    return wanted
