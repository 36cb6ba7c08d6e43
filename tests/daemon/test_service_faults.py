"""A whole service without an engine: a clock that jumps, files that are no files, a second service."""

import asyncio
import os
import socket
import threading
import time
from pathlib import Path

import pytest
from in_process import Place, Served, serve

from envkiln.daemon import watched_root
from envkiln.daemon.client import Client

NEWER = "dependencies: [python=3.12]\n"
YEAR_S = 365 * 24 * 3600.0


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """With one environment, `a`."""
    monkeypatch.setattr(watched_root, "CHECK_S", 0.05)
    place = Place(tmp_path)
    place.conda("a")
    return place


async def _sees_edits(place: Place, served: Served) -> None:
    """Show that a save is seen and a new environment is found."""
    place.conda("a", NEWER)
    place.conda("later")
    await served.until(lambda: served.view("later"))
    place.conda("later", NEWER)
    await served.until(lambda: served.image("later") == served.image("a"))


# The clock


@pytest.mark.parametrize("jump_s", [-10 * YEAR_S, 10 * YEAR_S], ids=["back", "ahead"])
def test_a_clock_that_jumps_loses_no_save(place: Place, monkeypatch: pytest.MonkeyPatch, jump_s: float) -> None:
    real, real_ns = time.time, time.time_ns

    async def work(served: Served) -> None:
        before = served.image("a")
        monkeypatch.setattr(time, "time", lambda: real() + jump_s)
        monkeypatch.setattr(time, "time_ns", lambda: real_ns() + int(jump_s * 1e9))
        await _sees_edits(place, served)
        changed = served.image("a")
        assert changed != before
        monkeypatch.undo()
        place.conda("a")
        await served.until(lambda: served.image("a") == before)

    serve(place, work)


# Files that are no files


def test_what_is_no_file_is_said_and_never_opened(place: Place) -> None:
    for id_ in ("fifo", "socket", "device", "loop", "outside"):
        (place.root / id_).mkdir()
    os.mkfifo(place.root / "fifo" / "env.yml")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place.root / "socket" / "env.yml"))
    (place.root / "device" / "env.yml").symlink_to("/dev/zero")
    (place.root / "loop" / "env.yml").symlink_to("env.yml")
    (place.root / "outside" / "env.yml").symlink_to("/etc/passwd")
    (place.root / "loop" / "up").symlink_to("..")

    async def work(served: Served) -> None:
        assert served.view("fifo") is None
        assert served.view("socket") is None
        for id_ in ("device", "outside"):
            view = served.view(id_)
            assert view is not None
            assert view.state == "invalid"
            assert "leads out of the watched directory" in view.reason
        await _sees_edits(place, served)
        (place.root / "outside" / "env.yml").unlink()
        place.conda("outside", NEWER)
        await served.until(lambda: served.image("outside") == served.image("a"))

    serve(place, work)


def test_a_file_that_grows_for_ever_holds_nobody_up(place: Place) -> None:
    growing = place.conda("growing")
    place.flags["settle_max_ms"] = 100  # what never rests is looked at all the same
    stop = threading.Event()

    def grow() -> None:
        with growing.open("a") as file:
            while not stop.wait(0.001):
                file.write("# more\n")
                file.flush()

    writer = threading.Thread(target=grow)

    async def work(served: Served) -> None:
        before = served.image("growing")
        writer.start()
        try:
            await _sees_edits(place, served)
        finally:
            stop.set()
            writer.join()
        place.conda("growing")
        await served.until(lambda: served.image("growing") == before)

    serve(place, work)


def test_a_save_in_two_halves_ends_as_the_whole(place: Place) -> None:
    async def work(served: Served) -> None:
        with (place.root / "a" / "env.yml").open("w") as file:
            file.write("dependencies: [python=3.12, ")
            file.flush()
            place.conda("b")
            await served.until(lambda: served.view("b"))
            file.write("pip]\n")
        place.conda("whole", "dependencies: [python=3.12, pip]\n")
        await served.until(lambda: served.image("whole") and served.image("a") == served.image("whole"))

    serve(place, work)


def test_two_services_of_one_state_directory(place: Place) -> None:
    async def work(served: Served) -> None:
        with pytest.raises(Exception, match="another envkiln service"):
            async with place.serving():
                pass
        await _sees_edits(place, served)
        assert await asyncio.to_thread(Client(place.paths.socket).service)

    serve(place, work)
