"""Where the program begins."""

import os
import sys
from io import TextIOWrapper

from envkiln.daemon.quick import quick_answer

_INTERRUPTED = 130
"""`errors.ExitCode.INTERRUPTED`, which is not imported yet."""


def main() -> int:
    """Run the command line that the process was started with; returns the exit code."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as `cli.main` has it
    try:
        answer = quick_answer(sys.argv[1:], os.environ)
        if answer is not None:
            sys.stdout.write(answer)
            sys.stdout.flush()
            return 0
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has what it wanted. Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    from envkiln.daemon.cli import main as whole  # noqa: PLC0415 -- the half of the time

    return whole()
