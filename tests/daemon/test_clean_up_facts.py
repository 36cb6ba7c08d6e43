"""A whole clean-up on an engine of values: what it asks, what it takes away, and when it takes nothing."""

import asyncio
import dataclasses
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from held_engine import HeldEngine, image_of_ours
from in_process import Place

from envkiln.cache.index import Index
from envkiln.daemon.builder import EngineUnavailable
from envkiln.daemon.clean_up import CleanUp
from envkiln.daemon.config import load_config
from envkiln.daemon.events import Effect
from envkiln.daemon.messages import CleanUpView
from envkiln.daemon.parts import Parts, make_parts

OLD = image_of_ours(1, "a:latest", size=10)
OLDER = image_of_ours(2, size=20)


class House:
    """A root with the environment `a`, whose image is not there; an engine with two images that nobody needs.

    `then` is called with the parts right before the clean-up.
    """

    def __init__(self, directory: Path, **flags: Any) -> None:
        self.place = Place(directory)
        self.place.conda("a")
        self.engine = HeldEngine(OLD, OLDER)
        self.flags = {"keep_last": 0, "keep_days": 0.0, "base_image_digest": "ignore", **flags}
        self.roots = [self.place.root]
        self.then: Callable[[Parts], None] = lambda _: None
        self.performed: list[Effect] = []

    def clean(self, **how: Any) -> CleanUpView:
        async def cleaning(index: Index) -> CleanUpView:
            config = load_config(
                roots_from_flags=self.roots,
                flags={"docker_host": "unix:///nowhere", **self.flags},
                environ={},
                user_file=self.place.paths.config_file,
                read=lambda _: None,
            )
            made = make_parts(config, self.place.paths, index, lambda _: None)
            parts = dataclasses.replace(made, engine=self.engine)
            parts.loop.perform = self.performed.append
            running = asyncio.create_task(parts.loop.run())
            for watched in parts.roots.all:
                await watched.first_look()
            parts.roots.started = True
            await parts.loop.drained()
            self.then(parts)
            try:
                return await CleanUp(config, parts, self.place.paths, index, None).clean(**how)
            finally:
                running.cancel()
                await parts.hands.close()

        self.place.paths.ensure()
        index = Index(self.place.paths.index)
        try:
            return asyncio.run(cleaning(index))
        finally:
            index.close()


def ids(view: CleanUpView) -> list[str]:
    return [it.id for it in view.removed]


def test_what_nobody_needs_is_taken_away(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.engine.remove("a:latest")
    view = house.clean()
    assert sorted(ids(view)) == [OLD.id, OLDER.id]
    assert house.engine.all == {}
    assert (view.freed_bytes, view.image_bytes, view.problems) == (30, 0, ())


def test_a_dry_run_tells_and_does_nothing(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.engine.remove("a:latest")
    house.engine.told.clear()
    view = house.clean(dry_run=True)
    assert sorted(ids(view)) == [OLD.id, OLDER.id]
    assert view.freed_bytes == 30
    assert house.engine.told == []


def test_the_image_on_which_a_tag_of_an_environment_stands_stays(tmp_path: Path) -> None:
    """The file asks for another one, which is not there yet: until then this is what people run."""
    view = House(tmp_path).clean()
    assert ids(view) == [OLDER.id]
    assert [it.reason for it in view.kept] == ["has the tag a:latest of an environment"]


def _no_root(house: House) -> None:
    for file in house.place.root.rglob("*"):
        file.unlink() if file.is_file() else None
    (house.place.root / "a").rmdir()
    house.place.root.rmdir()


def _unreadable_pins(house: House) -> None:
    house.place.paths.ensure()
    house.place.paths.pins.mkdir()


def _no_directory_at_all(house: House) -> None:
    house.roots = []


def _not_looked_at(house: House) -> None:
    def forget(parts: Parts) -> None:
        parts.roots.started = False

    house.then = forget


def _digest_asked_for(house: House) -> None:
    house.flags["base_image_digest"] = "pin"


def _no_workspace(house: House) -> None:
    house.flags["workspace"] = house.place.directory / "workspace"


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (_no_root, "the watched directory does not exist"),
        (_unreadable_pins, "the pinned images cannot be read"),
        (_no_directory_at_all, "no directory is watched"),
        (_not_looked_at, "the first look at the roots is not done"),
        (_digest_asked_for, "is still being asked for"),
        (_no_workspace, "the registered versions cannot be read"),
    ],
)
def test_while_it_is_not_known_what_is_needed_nothing_is_taken(
    tmp_path: Path, trouble: Callable[[House], None], said: str
) -> None:
    house = House(tmp_path)
    trouble(house)
    view = house.clean()
    assert view.removed == ()
    assert set(house.engine.all) == {OLD.id, OLDER.id}
    assert "nothing is removed: " in view.problems[0]
    assert said in view.problems[0]


def test_a_root_that_is_away_again_still_needs_what_it_needed(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.clean()
    _no_root(house)
    assert house.clean().removed == ()


def test_what_is_pinned_by_setting_or_command_stays(tmp_path: Path) -> None:
    house = House(tmp_path, keep_images=(OLDER.labels["envkiln.name"],))
    house.engine.remove("a:latest")
    house.place.paths.ensure()
    house.place.paths.pins.write_text(f"{OLD.labels['envkiln.name']}\n")
    assert house.clean().removed == ()


def test_an_engine_that_goes_in_the_middle_ends_the_clean_up_with_what_is_done(tmp_path: Path) -> None:
    class Leaving(HeldEngine):
        def remove(self, reference: str) -> bool:
            done = super().remove(reference)
            self.down = True
            return done

    house = House(tmp_path)
    house.engine = Leaving(OLDER, image_of_ours(3))
    view = house.clean()
    assert ids(view) == [OLDER.id]
    assert [it.reason for it in view.kept] == ["the clean-up ended before it"]
    assert view.problems == ("the engine does not answer",)
    assert view.freed_bytes == 20


def test_an_engine_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.engine.down = True
    with pytest.raises(EngineUnavailable):
        house.clean()


def test_an_index_that_cannot_be_read_keeps_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Index) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    house = House(tmp_path)
    monkeypatch.setattr(Index, "uses", fail)
    view = house.clean()
    assert view.removed == ()
    assert view.problems == ("nothing is removed: the index cannot be read: disk I/O error",)


def test_old_logs_go_in_the_same_clean_up(tmp_path: Path) -> None:
    house = House(tmp_path, log_keep_days=0.0)
    log = house.place.paths.logs / ("0" * 32) / "20200101T000000.000Z.log"
    log.parent.mkdir(parents=True)
    log.write_text("ten bytes\n")
    os.utime(log, (1.0, 1.0))
    view = house.clean()
    assert (view.logs, view.log_bytes) == (1, 10)
    assert not log.exists()
