"""The watched root itself goes away, comes back, is another one: what was below it is unknown meanwhile, never gone."""

import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from in_process import Place, Served, serve

from envkiln.daemon import watched_root
from envkiln.daemon.absence import absence, place_of
from envkiln.daemon.discover import look
from envkiln.daemon.snapshot import Snapshot


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """With one environment, `a`; the watch is checked often."""
    monkeypatch.setattr(watched_root, "CHECK_S", 0.05)
    place = Place(tmp_path)
    place.conda("a")
    return place


def away(place: Place) -> Path:
    """Take the root away; returns where it is."""
    return place.root.rename(place.directory / "elsewhere")


def test_a_root_that_goes_keeps_its_environments_and_says_so(place: Place) -> None:
    async def work(served: Served) -> None:
        before = served.image("a")
        elsewhere = away(place)
        await served.until(lambda: "the watched directory does not exist" in served.problems)
        assert served.image("a") == before
        elsewhere.rename(place.root)
        place.conda("a", "dependencies: [python=3.12]\n")
        await served.until(lambda: served.image("a") != before)
        await served.until(lambda: not served.problems)

    serve(place, work)


def test_a_root_that_is_back_at_once_is_still_watched(place: Place) -> None:
    async def work(served: Served) -> None:
        before = served.image("a")
        away(place).rename(place.root)
        place.conda("a", "dependencies: [python=3.12]\n")
        await served.until(lambda: served.image("a") != before)

    serve(place, work)


def test_a_root_that_is_replaced_is_what_it_is_now(place: Place) -> None:
    async def work(served: Served) -> None:
        away(place)
        place.conda("b")
        await served.until(lambda: served.view("b") and not served.view("a"))
        place.conda("c")
        await served.until(lambda: served.view("c"))

    serve(place, work)


def test_a_root_that_is_emptied_is_empty(place: Place) -> None:
    async def work(served: Served) -> None:
        shutil.rmtree(place.root / "a")
        await served.until(lambda: not served.view("a"))
        assert not served.problems

    serve(place, work)


def test_a_start_without_the_root_shows_what_was_there(place: Place) -> None:
    images: list[str | None] = []

    async def first(served: Served) -> None:
        images.append(served.image("a"))

    async def second(served: Served) -> None:
        assert "the watched directory does not exist" in served.problems
        assert [served.image("a")] == images
        elsewhere.rename(place.root)
        await served.until(lambda: not served.problems)
        assert [served.image("a")] == images

    serve(place, first)
    elsewhere = away(place)
    serve(place, second)


def test_a_root_that_goes_during_a_look_counts_as_away(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        place.conda(f"more/{number}")
    gone = threading.Event()

    async def work(served: Served) -> None:
        async def still_there() -> None:
            await served.until(lambda: gone.is_set() and served.problems)
            assert all(served.view(f"more/{number}") for number in range(5))

        monkeypatch.setattr(watched_root, "look", leaving)
        place.conda("b")
        await still_there()
        monkeypatch.setattr(watched_root, "look", look)
        (place.directory / "elsewhere").rename(place.root)
        await served.until(lambda: served.view("b") and not served.problems)
        assert all(served.view(f"more/{number}") for number in range(5))

    def leaving(*arguments: Any, **options: Any) -> Snapshot:
        # As if the walk had come so far: the root is listed, what is below it is not any more.
        if not gone.is_set():
            away(place)
            gone.set()
        return look(*arguments, **options)

    serve(place, work)


def test_an_empty_mount_point_is_not_an_emptied_root(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "env.yml").write_text("dependencies: [python]\n")
    here = place_of(tmp_path)
    before = look(tmp_path)
    shutil.rmtree(tmp_path / "a")
    after = look(tmp_path, before)
    assert absence(before, after, here, here) is None
    listing = after.listings[""]
    unmounted = replace(after, listings={"": replace(listing, fingerprint=listing.fingerprint._replace(device=-1))})
    assert "another file system than before (mount it)" in str(absence(before, unmounted, here, here))
    os.rmdir(tmp_path)  # noqa: PTH106 -- pytest looks at it
    assert "does not exist" in str(absence(before, after, here, None))
