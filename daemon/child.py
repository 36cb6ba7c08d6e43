"""A program that works for us: its output as lines, its end with ours."""

import asyncio
import codecs
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any

from envkiln.daemon.builder import Log
from envkiln.daemon.log_lines import LineSplitter

_PIECE = 8192
_SIGNALS = ((signal.SIGINT, 5.0), (signal.SIGTERM, 3.0))
# Ends with its parent, also after a kill -9. Not Popen's preexec_fn, which is not safe in a process with threads.
_TIED = (
    "import ctypes,os,sys;ctypes.CDLL(None).prctl(1,9);"
    "os.getppid()==int(sys.argv[1]) or sys.exit(1);os.execvp(sys.argv[2],sys.argv[2:])"
)


async def run_child(command: list[str], environment: Mapping[str, str], stdin: IO[bytes], take: Log) -> int:
    """Run a command, hand over every line of its output (both streams), and return its exit code.

    When cancelled, the command has ended before CancelledError gets out. It ends with this process too.
    """
    process = await asyncio.create_subprocess_exec(
        *_tied(command),
        env=environment,
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        # Of its own: a Ctrl-C at a terminal reaches the daemon only, which ends its builds in order.
        start_new_session=True,
    )
    assert process.stdout is not None  # noqa: S101 -- a pipe was asked for
    reading = asyncio.ensure_future(_read_lines(process.stdout, take))
    try:
        await asyncio.shield(reading)
        return await process.wait()
    except asyncio.CancelledError:
        await _uncancelled(_end(process))
        raise
    finally:
        reading.cancel()


async def _read_lines(stream: asyncio.StreamReader, take: Log) -> None:
    # Not readline(): it gives up at a line of 64 KiB, and progress bars have no line end at all.
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    splitter = LineSplitter()
    while data := await stream.read(_PIECE):
        for line in splitter.feed(decoder.decode(data)):
            take(line)
        # A program that prints without end always has more: others have their turn all the same.
        await asyncio.sleep(0)
    for line in splitter.rest():
        take(line)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Interrupt, terminate, kill: buildx tells BuildKit at the first, and the rest is for one that hangs."""
    for number, grace in _SIGNALS:
        _signal(process, number)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), grace)
            break
    # Also what it left behind in its session.
    _signal(process, signal.SIGKILL)
    await process.wait()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


async def _uncancelled(work: Any) -> None:
    """Await to the end, whatever cancels come meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({task})
    task.result()


def _tied(command: list[str]) -> list[str]:
    """The command, tied to the life of this process where the kernel can do that."""
    if not sys.platform.startswith("linux"):
        return command
    return [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *command]
