"""A real interactive shell on a pseudo-terminal, whose screen is read as a person reads it.

On `pythonpath` (pyproject.toml): test files import it as `shells`.
"""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyte

PATIENCE_S = 60.0
"""Far above what is needed, far below a hanging test."""
PROMPT = "ready> "
COLUMNS, ROWS = 100, 40


class Terminal:
    """What a program shows, and the keys that are pressed."""

    def __init__(self, master: int) -> None:
        self._master = master
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def lines(self) -> list[str]:
        """Every line that is not empty."""
        return [line.rstrip() for line in self._screen.display if line.strip()]

    @property
    def line(self) -> str:
        """The line of the cursor, up to it."""
        return str(self._screen.display[self._screen.cursor.y])[: self._screen.cursor.x]

    def press(self, keys: str) -> None:
        os.write(self._master, os.fsencode(keys))

    def until(self, seen: Callable[[], object], what: object = "") -> None:
        """Read until `seen` is true; AssertionError with the screen after the limit."""
        deadline = time.monotonic() + PATIENCE_S
        while not seen():
            if not select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"{what}: not within {PATIENCE_S:g} s on the screen:\n" + "\n".join(self.lines))
            self._stream.feed(os.read(self._master, 65536))

    def until_line(self, text: str) -> None:
        """Read until the cursor stands behind `text`, which follows the prompt."""
        self.until(lambda: self.line == PROMPT + text, f"{text!r} at the cursor")

    def until_shown(self, text: str) -> None:
        """Read until a line is `text`."""
        self.until(lambda: text in self.lines, f"a line {text!r}")

    def until_end(self) -> None:
        """Read until the program has ended."""
        try:
            self.until(lambda: False, "the end")
        except OSError:  # what Linux says of a terminal that nobody has open
            return

    def completes(self, typed: str, expected: str) -> None:
        """Type, press TAB, and see what the line becomes."""
        self.press(f"{typed}\t")
        self.until_line(expected)

    def means(self, *words: str) -> None:
        """Press ENTER and see the words that `envkiln` is given."""
        self.press("\r")
        self.until_shown("".join(f"<{word}>" for word in words))
        self.until_line("")


@contextmanager
def shell_on_terminal(
    command: Sequence[str], environ: Mapping[str, str], directory: Path, setup: str
) -> Iterator[Terminal]:
    """Start a shell, type `setup` (the lines that end in the prompt `PROMPT`) and give its terminal."""
    process, master = pty.fork()
    if process == 0:
        os.chdir(directory)
        os.execvpe(command[0], list(command), {**environ, "TERM": "xterm", "COLUMNS": str(COLUMNS)})  # noqa: S606
    try:
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        terminal = Terminal(master)
        terminal.press(f"{setup}\r")
        terminal.until_line("")
        yield terminal
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(master)


def program(directory: Path) -> Path:
    """Make a directory with `envkiln`, as a directory of PATH."""
    directory.mkdir()
    file = directory / "envkiln"
    file.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m envkiln.daemon "$@"\n')
    file.chmod(0o755)
    return directory
