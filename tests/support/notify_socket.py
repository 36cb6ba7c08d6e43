"""The manager's end of sd_notify: a datagram socket that keeps what it is told."""

import socket
import time
from pathlib import Path

PATIENCE_S = 60.0


class NotifySocket:
    """Listens at `address` from its making until `close`."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self.told: list[str] = []
        """Every assignment, in the order of telling, as far as it was received."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)

    def until(self, assignment: str, *, after: int = 0) -> None:
        """Receive until `assignment` has been told, not counting the first `after` assignments."""
        deadline = time.monotonic() + PATIENCE_S
        while assignment not in self.told[after:]:
            left = deadline - time.monotonic()
            assert left > 0, f"{assignment!r} is not in {self.told[after:]}"
            self._socket.settimeout(left)
            self.told += self._socket.recv(65536).decode().split("\n")

    def drain(self) -> None:
        """Receive what is there."""
        self._socket.setblocking(False)
        try:
            while True:
                self.told += self._socket.recv(65536).decode().split("\n")
        except BlockingIOError:
            return

    def close(self) -> None:
        self._socket.close()
