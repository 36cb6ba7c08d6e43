"""`status --watch`: what is shown of the event stream, under a real pseudo-terminal and in a pipe."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pyte
import pytest
from fake_service import FakeService
from running import until

from envkiln.daemon.watch_model import WatchModel

ROWS, COLUMNS = 12, 60
Start = Callable[..., subprocess.Popen[bytes]]


def _view(id_: str, state: str = "ready", since: float = 0.0, **more: Any) -> dict[str, Any]:
    view = {"environment": id_, "state": state, "since": since, "reason": "because", "image": None}
    return view | {"paused": False, "build": None} | more


def _snapshot(*views: dict[str, Any], more: bool = False) -> dict[str, Any]:
    service = {"engine": {"connected": True, "problem": None}, "paused": False, "starting": False, "problems": []}
    return {"environments": views, "builds": [], "service": None if more else service, "more": more}


def _build(build: str, state: str = "running", step: int = 1) -> dict[str, Any]:
    progress = {"phase": "solve", "step": step, "steps": 5, "text": ""}
    return {"build": build, "state": state, "started": 0.0, "estimate": None, "progress": progress}


def test_what_needs_a_look_comes_first_and_only_so_much_as_fits() -> None:
    model = WatchModel()
    views = [_view(f"e{number}", since=float(number)) for number in range(1000)]
    model.take("snapshot", _snapshot(*views, _view("q", "queued"), _view("f", "failed"), _view("b", "building")))
    assert [row.id for row in model.rows(5, 0.0)] == ["b", "f", "q", "e999", "e998"]
    assert model.caption() == "1000 ready, 1 building, 1 queued, 1 failed; engine up"


def test_a_snapshot_counts_when_its_last_part_is_there() -> None:
    model = WatchModel()
    model.take("snapshot", _snapshot(_view("old")))
    model.take("snapshot", _snapshot(_view("lost"), more=True))
    model.lose("gone")
    assert "gone; waiting for it" in model.caption()
    model.take("snapshot", _snapshot(_view("a"), more=True))
    assert list(model.views) == ["old"]
    model.take("snapshot", _snapshot(_view("b")))
    assert list(model.views) == ["a", "b"]
    assert "waiting" not in model.caption()


def test_a_row_follows_its_build_and_goes_with_its_file() -> None:
    model = WatchModel()
    model.take("snapshot", _snapshot(_view("a")))
    model.take("build", _build("x"))
    model.take("environment", _view("a", "building", build="x"))
    model.take("progress", _build("x", step=3))
    assert model.rows(1, 7.0)[0].why == "step 3 of 5, solve, 7s"
    model.take("build", _build("x", "built"))
    model.take("environment", _view("a"))
    assert model.rows(1, 7.0)[0].why == "because"
    model.take("saved", {"environment": "a"})
    model.take("gone", {"environment": "a"})
    assert model.rows(1, 7.0) == []


def test_states_and_one_environment_choose_the_rows() -> None:
    views = [_view("a"), _view("b", "failed"), _view("c", "queued", paused=True)]
    model = WatchModel(["failed", "queued"])
    model.take("snapshot", _snapshot(*views))
    assert [(row.id, row.why) for row in model.rows(9, 0.0)] == [("b", "because"), ("c", "paused; because")]
    model = WatchModel(only="a")
    model.take("snapshot", _snapshot(*views))
    assert [row.id for row in model.rows(9, 0.0)] == ["a"]


class Screen:
    """A program under a pseudo-terminal, and what can be read on it."""

    def __init__(self, words: list[str], environ: dict[str, str]) -> None:
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self.bytes = b""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.process = subprocess.Popen(words, env=environ, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self._master = master
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def lines(self) -> list[str]:
        with self._lock:
            return [line.rstrip() for line in self._screen.display]

    def text(self) -> str:
        return "\n".join(self.lines())

    def end(self) -> int:
        """Press Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()
            self.process.wait()
            self._reader.join()
            os.close(self._master)

    def _read(self) -> None:
        with suppress(OSError):  # the other side is gone
            while data := os.read(self._master, 1 << 16):
                with self._lock:
                    self.bytes += data
                    self._stream.feed(data)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    ours = ("NO_COLOR", "COLUMNS", "LINES", "ENVKILN_PLAIN")
    known = {name: value for name, value in os.environ.items() if name not in ours}
    return {
        **known,
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "ENVKILN_STATE_DIR": str(tmp_path / "state"),
        "TERM": "xterm-256color",
        "LC_ALL": "C.UTF-8",
    }


@contextmanager
def watching(environ: dict[str, str], *words: str) -> Iterator[Screen]:
    screen = Screen([sys.executable, "-m", "envkiln.daemon", "status", "--watch", *words], environ)
    code = -1
    try:
        yield screen
    finally:
        code = screen.end()
    assert code == 0


def test_the_view_follows_what_happens(fake: FakeService, environ: dict[str, str]) -> None:
    with watching(environ) as screen:
        until(lambda: "3 ready, 1 building" in screen.text(), screen.text)
        lines = screen.lines()
        assert lines[1].startswith("*  speech")
        assert "step 3 of 5" in lines[1]
        assert b"\x1b[36m" in screen.bytes, "in colour"
        fake.progress("speech", 4, "pip", "Collecting idna")
        until(lambda: "step 4 of 5" in screen.text(), screen.text)
        fake.finish("speech")
        until(lambda: "4 ready" in screen.text(), screen.text)
        fake.remove("scratch")
        until(lambda: "scratch" not in screen.text(), screen.text)
        fake.disconnect_engine()
        until(lambda: "the engine does not" in " ".join(screen.text().split()), screen.text)
    assert screen.bytes.rindex(b"\x1b[?25h") > screen.bytes.rindex(b"\x1b[?25l"), "the cursor is there again"


def test_no_color_is_respected(fake: FakeService, environ: dict[str, str]) -> None:  # noqa: ARG001
    with watching({**environ, "NO_COLOR": "1"}) as screen:
        until(lambda: "3 ready" in screen.text(), screen.text)
    assert b"\x1b[36m" not in screen.bytes


def test_a_thousand_rows_are_drawn_at_most_ten_times_a_second(fake: FakeService, environ: dict[str, str]) -> None:
    view = fake.all["training"]
    many = {
        f"many/{number:04d}": msgspec.structs.replace(view, environment=f"many/{number:04d}") for number in range(1000)
    }
    fake.on_loop(lambda: fake.all.update(many))
    with watching(environ) as screen:
        until(lambda: "1003 ready" in screen.text(), screen.text)
        before, begun = screen.bytes.count(b"ready, "), time.monotonic()
        for number in range(300):
            fake.progress("speech", 1 + number % 5, "solve", str(number))
        fake.finish("speech")
        until(lambda: "1004 ready" in screen.text(), screen.text)
        drawn, took = screen.bytes.count(b"ready, ") - before, time.monotonic() - begun
    assert drawn <= 10 * took + 2


@pytest.mark.parametrize("plain", [("--plain",), ()])
def test_plain_lines_on_a_terminal_that_cannot_redraw(
    fake: FakeService, environ: dict[str, str], plain: tuple[str, ...]
) -> None:
    with watching(environ if plain else {**environ, "TERM": "dumb"}, *plain) as screen:
        until(lambda: "3 ready, 1 building" in screen.text(), screen.text)
        fake.finish("speech")
        until(lambda: "speech: ready: built in 12.3 s" in screen.text(), screen.text)
        fake.remove("speech")
        until(lambda: "speech: gone" in screen.text(), screen.text)
    assert b"\x1b" not in screen.bytes


def test_a_line_for_each_phase_of_a_build_and_none_for_what_is_not_asked_for(
    fake: FakeService, environ: dict[str, str]
) -> None:
    command = [sys.executable, "-m", "envkiln.daemon", "status", "speech", "--watch"]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = [process.stdout.readline(), process.stdout.readline()]
    fake.fail("speech")
    fake.save("training")
    told.append(process.stdout.readline())
    fake.save("speech")
    while not any("speech: building" in line for line in told[2:]):
        told.append(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    process.stdout.close()
    assert ": step 3 of 5, solve, " in told[0]
    assert told[1].endswith("1 named\n")
    assert any("speech: failed: torch 99.1" in line for line in told)
    assert not any("training" in line for line in told)


def test_a_view_without_a_service_says_how_to_start_one(environ: dict[str, str]) -> None:
    command = [sys.executable, "-m", "envkiln.daemon", "status", "--watch"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4
    assert "start it with: envkiln up" in done.stderr
