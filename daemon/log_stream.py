"""The log of a build: whole, its end, or followed. Files are read in threads of their own, a piece at a time."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from envkiln.daemon.journal import encoded
from envkiln.daemon.messages import BuildView
from envkiln.daemon.sse import HEARTBEAT, HEARTBEAT_S, RETRY, frame

_PIECE = 64 * 1024
_LOOK_AGAIN_S = 0.2
_THREADS = ThreadPoolExecutor(2, thread_name_prefix="log")
"""Not the loop's own: those may all be waiting for an engine that does not answer."""

T = TypeVar("T")


class Lines(msgspec.Struct, frozen=True):
    """The next lines of a log."""

    lines: tuple[str, ...]


async def place_in(path: Path, *, tail: int | None, seen: int | None) -> int:
    """Return the offset at which to begin: `seen` if it is in the file, else that of the last `tail` lines (None: 0).

    Raises OSError when there is no such file.
    """
    return await _in_thread(lambda: _place_in(path, tail, seen))


async def pieces(path: Path, start: int) -> AsyncGenerator[bytes, None]:
    """Yield what the log holds now, from `start`; nothing more when the file goes meanwhile."""
    end = await _in_thread(lambda: _size(path))
    while start < end:
        piece = await _in_thread(lambda at=start: _read(path, at, min(_PIECE, end - at)))  # type: ignore[misc]
        if not piece:
            return
        start += len(piece)
        yield piece


async def follow(
    path: Path,
    start: int,
    build: BuildView,
    find: Callable[[str], BuildView | None],
    *,
    heartbeat_s: float = HEARTBEAT_S,
) -> AsyncGenerator[bytes, None]:
    """Yield the lines from `start` as events, until `build`, as `find` finds it by its id, does not run any more.

    The id of an event is the offset behind its lines, for a `start` later. The last event, `end`, has the build.
    """
    loop = asyncio.get_running_loop()
    offset, quiet_since = start, loop.time()
    yield RETRY
    while True:
        # First the build: what it wrote before it ended is in the file when that is read after.
        found = find(build.build)
        build = found or build
        ended = found is None or build.state != "running"
        while lines := await _in_thread(lambda at=offset, end=ended: _lines(path, at, rest=end)):  # type: ignore[misc]
            text, offset = lines
            yield frame("lines", encoded(Lines(text)), str(offset))
            quiet_since = loop.time()
        if ended:
            yield frame("end", encoded(build), str(offset))
            return
        if loop.time() - quiet_since >= heartbeat_s:
            yield HEARTBEAT
            quiet_since = loop.time()
        await asyncio.sleep(_LOOK_AGAIN_S)


async def _in_thread(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_THREADS, work)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _read(path: Path, offset: int, length: int) -> bytes:
    try:
        with path.open("rb") as log:
            log.seek(offset)
            return log.read(length)
    except OSError:
        return b""


def _lines(path: Path, offset: int, *, rest: bool) -> tuple[tuple[str, ...], int] | None:
    """Return the next whole lines, and the offset behind them; with `rest` also one without an end."""
    piece = _read(path, offset, _PIECE)
    # No line of a log is longer than a piece; if one is all the same, it comes in several.
    length = len(piece) if rest or len(piece) == _PIECE else 0
    whole = piece[: piece.rfind(b"\n") + 1] or piece[:length]
    if not whole:
        return None
    return tuple(whole.decode(errors="replace").removesuffix("\n").split("\n")), offset + len(whole)


def _place_in(path: Path, tail: int | None, seen: int | None) -> int:
    with path.open("rb") as log:
        end = log.seek(0, os.SEEK_END)
        if seen is not None and seen <= end:
            return seen
        if tail is None:
            return 0
        return _start_of_tail(log, end, tail) if tail else end


def _start_of_tail(log: BinaryIO, end: int, lines: int) -> int:
    position, left = end, lines
    while position > 0:
        start = max(0, position - _PIECE)
        log.seek(start)
        piece = log.read(position - start)
        if position == end and not piece.endswith(b"\n"):
            left -= 1
        at = len(piece)
        while (at := piece.rfind(b"\n", 0, at)) >= 0:
            # The first that is found, at the very end, ends the last line.
            if left <= 0:
                return start + at + 1
            left -= 1
        position = start
    return 0
