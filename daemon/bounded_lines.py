"""Lines from a build's thread to the event loop: in order, and never more than the loop keeps up with."""

import asyncio
import threading
from typing import Final

from envkiln.daemon.builder import Log

BATCH: Final = 200
"""Lines handed over at once: the loop answers others in between."""
_WAITING: Final = 4


class BoundedLines:
    """Hands lines to `log`, which runs on `loop`. A thread that is faster than the loop waits in `put`.

    So a build that prints without end slows down, and takes no memory and no answers away.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, log: Log) -> None:
        self._loop = loop
        self._log = log
        self._free = threading.Semaphore(_WAITING)

    def put(self, lines: list[str]) -> None:
        """Hand over lines, from any thread but the loop's; raises RuntimeError when the loop is closed."""
        for start in range(0, len(lines), BATCH):
            self._free.acquire()
            self._loop.call_soon_threadsafe(self._take, lines[start : start + BATCH])

    def _take(self, lines: list[str]) -> None:
        try:
            for line in lines:
                self._log(line)
        finally:
            self._free.release()
