"""Steps with a clock, commands that explain their failure, files written at once."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SHOWN_LINES = 15


class TestbedError(Exception):
    """Raised when the test bed cannot go on; `hint` says what the reader can do."""

    __test__ = False  # not a test class, whatever its name says to pytest

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Step:
    """A running step; set `note` to say in a few words how it ended."""

    def __init__(self) -> None:
        self.note = ""


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Print one line when the block ends: title, seconds, note."""
    started = time.monotonic()
    current = Step()
    try:
        yield current
    except BaseException:
        print(f"{title:<28} {time.monotonic() - started:7.2f} s  FAILED", flush=True)
        raise
    print(f"{title:<28} {time.monotonic() - started:7.2f} s  {current.note}", flush=True)


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes | None = None,
    hint: str = "",
) -> str:
    """Run a command to its end and return what it printed (UTF-8).

    Raises TestbedError with the command's last lines when it fails or is missing.
    """
    words = [str(word) for word in command]
    try:
        # LC_ALL: output is parsed here and there, so it must not be translated.
        done = subprocess.run(
            words,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
            cwd=cwd,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as missing:
        raise TestbedError(f"{words[0]} is not on this machine", hint) from missing
    output = done.stdout.decode(errors="replace")
    if done.returncode:
        said = (done.stderr.decode(errors="replace") + output).strip()
        raise TestbedError(f"`{' '.join(words)}` ended with {done.returncode}:\n{last_lines(said)}", hint)
    return output


def last_lines(text: str, count: int = SHOWN_LINES) -> str:
    """The end of a log, indented for an error message."""
    return "\n".join("    " + line for line in text.splitlines()[-count:])


def write_atomically(path: Path, text: str) -> None:
    """Replace a file in one step: readers see the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    Path(name).chmod(0o644)
    Path(name).replace(path)


def is_stamped(directory: Path, recipe: str) -> bool:
    """Whether `directory` was completed by exactly this recipe."""
    try:
        return (directory / ".recipe").read_text(encoding="utf-8") == recipe
    except OSError:
        return False


def stamp(directory: Path, recipe: str) -> None:
    """Mark `directory` as complete; call it last."""
    write_atomically(directory / ".recipe", recipe)


def complain(error: TestbedError) -> None:
    """Print an error and its hint for a person."""
    print(f"testbed: {error}", file=sys.stderr)
    if error.hint:
        print(f"  hint: {error.hint}", file=sys.stderr)
