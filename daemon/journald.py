"""Lines for the journal, with fields to ask for: `journalctl ENVKILN_ENVIRONMENT=training`.

The protocol is that of https://systemd.io/JOURNAL_NATIVE_PROTOCOL/.
"""

import os
import socket
import struct
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from envkiln.daemon.narrate import Level, Line

ADDRESS = "/run/systemd/journal/socket"
_PRIORITIES = {Level.INFO: 6, Level.GOOD: 5, Level.WARNING: 4, Level.ERROR: 3}


def is_journal(environ: Mapping[str, str], descriptor: int) -> bool:
    """Whether what is written to `descriptor` goes to the journal: systemd names its device and inode."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def entry(line: Line) -> bytes:
    """Return one line as a datagram of the journal's protocol."""
    subject = f"{line.subject}: " if line.subject else ""
    fields = {
        "MESSAGE": f"{subject}{line.text}",
        "PRIORITY": str(_PRIORITIES[line.level]),
        "SYSLOG_IDENTIFIER": "envkiln",
        "ENVKILN_ENVIRONMENT": line.subject,
        "ENVKILN_IMAGE": line.image,
    }
    return b"".join(_field(name, value.encode(errors="backslashreplace")) for name, value in fields.items() if value)


def _field(name: str, value: bytes) -> bytes:
    if b"\n" in value:
        return name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
    return name.encode() + b"=" + value + b"\n"


class JournalLog:
    """Says lines to the journal; lines that it does not take go to standard output, with their priority before."""

    def __init__(self, address: str = ADDRESS) -> None:
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        # The loop must not wait for a journal that is behind.
        self._socket.setblocking(False)

    def say(self, lines: Sequence[Line]) -> None:
        for line in lines:
            try:
                self._socket.sendto(entry(line), self._address)
            except OSError:
                self._print(line)

    def close(self) -> None:
        self._socket.close()

    @staticmethod
    def _print(line: Line) -> None:
        subject = f"{line.subject}: " if line.subject else ""
        text = f"{subject}{line.text}".replace("\n", " ")
        with suppress(OSError):
            sys.stdout.write(f"<{_PRIORITIES[line.level]}>{text}\n")
            sys.stdout.flush()
