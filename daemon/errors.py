"""The exit codes, and the one place that turns an error into words. `docs/exit-codes.md` has the same table."""

import os
import sys
import time
import traceback
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

from envkiln.cache.errors import EnvkilnError, Turn


class ExitCode(IntEnum):
    """What a command's end says, and whose turn it is."""

    DONE = 0
    FAILED = 1
    """The user's turn: a definition or configuration has an error, or a build failed for a cause that stays."""
    USAGE = 2
    BUG = 3
    SURROUNDINGS = 4
    """The engine, the service, the network or the disk: the same command may succeed later."""
    TIMED_OUT = 5
    UNKNOWN_ENVIRONMENT = 6
    SKIPPED = 10
    """`build`: the image was there, nothing was built."""
    INTERRUPTED = 130


_BY_TURN = {Turn.USER: ExitCode.FAILED, Turn.SURROUNDINGS: ExitCode.SURROUNDINGS, Turn.BUG: ExitCode.BUG}


class UnknownEnvironment(EnvkilnError):  # noqa: N818 -- what it is
    """No environment of that id or path."""


def exit_code_of(error: EnvkilnError) -> ExitCode:
    """Return the exit code for an error."""
    return ExitCode.UNKNOWN_ENVIRONMENT if isinstance(error, UnknownEnvironment) else _BY_TURN[error.turn]


def exit_code_of_turn(turn: Turn) -> ExitCode:
    """Return the exit code that says whose turn it is."""
    return _BY_TURN[turn]


def say_error(error: EnvkilnError) -> None:
    """Write what is wrong and what to do next to standard error."""
    sys.stderr.write(f"envkiln: {error}\n")
    if error.hint:
        sys.stderr.write(f"  {error.hint}\n")


def guarded(work: Callable[[], int], crash_directory: Path) -> int:
    """Run `work` and return an exit code; a bug leaves a report in `crash_directory` and says where."""
    try:
        return work()
    except EnvkilnError as error:
        say_error(error)
        return exit_code_of(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has what it wanted. Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except Exception as error:  # noqa: BLE001 -- the last resort: a report instead of a traceback
        report = _write_report(crash_directory)
        sys.stderr.write(f"envkiln: internal error: {error!r}\n")
        sys.stderr.write(f"  please report it with {report}\n" if report else traceback.format_exc())
        return ExitCode.BUG


def _write_report(directory: Path) -> Path | None:
    path = directory / f"crash-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.txt"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(f"{' '.join(sys.argv)}\n{sys.version}\n\n{traceback.format_exc()}")
    except OSError:
        return None
    return path
