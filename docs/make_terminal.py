"""Draws docs/terminal.svg from a real run: `envkiln up` on a terminal, then `envkiln status`.

Needs the test bed (`make testbed`). Run it with `.venv/bin/python docs/make_terminal.py`. What it made in the engine is
removed at the end.
"""

# ruff: noqa: INP001, T201 -- a script

import fcntl
import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "demo"))
import tour  # noqa: E402 -- the demo's scratch directories, beside this one

PICTURE = PROJECT / "docs" / "terminal.svg"
COLUMNS, ROWS = 104, 24
_PIECES = re.compile(r"\x1b\[(?P<count>\d*)A|\x1b\[2K|\x1b\[\?25[hl]|\r|\n|(?P<text>(?:\x1b\[[\d;]*m|[^\x1b\r\n])+)")


class Screen:
    """What a terminal shows of the output so far: the few movements that rich makes, no more."""

    def __init__(self) -> None:
        self.lines = [""]
        self._row = 0

    def feed(self, output: str) -> None:
        for piece in _PIECES.finditer(output):
            if piece["text"]:
                self.lines[self._row] += piece["text"]
            elif piece[0] == "\n":
                self._row += 1
                self.lines += [""] * (self._row + 1 - len(self.lines))
            elif piece[0].endswith("A"):
                self._row = max(0, self._row - int(piece["count"] or 1))
            elif piece[0].endswith("2K"):
                self.lines[self._row] = ""


class Terminal:
    """A command on a terminal of its own, read as it writes."""

    def __init__(self, command: list[str], environ: dict[str, str], directory: Path) -> None:
        control, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            command, env=environ, cwd=directory, stdin=terminal, stdout=terminal, stderr=terminal
        )
        os.close(terminal)
        self._control = control
        self._output = io.BytesIO()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._control, 65536)
            except OSError:  # nobody holds the other end any more
                return
            self._output.write(data)

    def screen(self) -> list[str]:
        screen = Screen()
        screen.feed(self._output.getvalue().decode(errors="ignore"))
        return [line for line in screen.lines if line.strip()]

    def end(self) -> list[str]:
        self.process.wait(30)
        self._reader.join(5)
        return self.screen()


def play(scene: tour.Tour) -> list[str]:
    """Run the commands and return the lines to draw, with their colours."""
    environ = scene.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    home = scene.envs.parent

    def state(id_: str) -> str:
        return next((str(it["state"]) for it in scene.status()["environments"] if it["environment"] == id_), "")

    def until(what: str, condition: Callable[[], bool]) -> None:
        tour.until(what, condition)
        time.sleep(0.6)  # the view is drawn four times a second

    up = Terminal(["envkiln", "up", "envs"], environ, home)
    try:
        until("web-client is ready", lambda: state("web-client") == "ready")
        until("training is ready", lambda: state("training") == "ready")
        file = scene.envs / "training" / "env.yml"
        good = file.read_text()
        file.write_text(good + "# for the training job\n")
        time.sleep(0.6)
        file.write_text(good.replace("  - numpy\n", "  - numpy\n  - requests\n  - six\n"))
        until("training is built again", lambda: state("training") == "ready")
        (scene.envs / "notebook").mkdir()
        (scene.envs / "notebook" / "env.yml").write_text("dependencies:\n  - python=3.11\n  pip:\n")
        until("the broken one is seen", lambda: state("notebook") == "invalid")
        live = up.screen()
        status = Terminal(["envkiln", "status"], environ, home).end()
        image = Terminal(["envkiln", "image", "training"], environ, home).end()
    finally:
        up.process.send_signal(signal.SIGINT)
        up.end()
    elsewhere = ["", "$ envkiln status", *status, "$ envkiln image training", *image]
    return ["$ envkiln up envs", *live, *elsewhere]


def draw(lines: list[str], path: Path) -> None:
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in lines:
        text = Text.from_ansi(line)
        console.print(Text(line, style="bold") if line.startswith("$") else text, no_wrap=True, crop=True)
    svg = console.export_svg(title="envkiln", unique_id="envkiln")
    # A picture that needs nothing from elsewhere: no fonts are fetched.
    svg = re.sub(r" *@font-face \{.*?\}\n", "", svg, flags=re.DOTALL)
    path.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")


def main() -> int:
    facts = json.loads(tour.TESTBED.read_text())
    with tempfile.TemporaryDirectory(prefix="envkiln-") as directory:
        scene = tour.Tour(Path(directory), facts)
        scene.copy_examples()
        try:
            lines = play(scene)
        finally:
            scene.remove_images()
    draw(lines, PICTURE)
    print("\n".join(str(Text.from_ansi(line)) for line in lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
