"""When a clean-up begins by itself."""

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from envkiln.daemon.builder import EngineUnavailable
from envkiln.daemon.clean_up import GB, CleanUp
from envkiln.daemon.engine import Engine
from envkiln.daemon.engine_disk import free_bytes
from envkiln.daemon.engine_values import EngineInfo
from envkiln.daemon.housekeeper import VAIN_S, Housekeeper
from envkiln.daemon.messages import CleanUpView, ImageVerdict

DAY = 86_400.0


class House:
    """A housekeeper with a disk that has `free` bytes left; a clean-up gives `gives` of them back."""

    def __init__(self, last: float | None = None, **settings: Any) -> None:
        self.free: int | None = 100 * GB
        self.gives = 0
        self.known = True
        self.now = 5.0
        self.removed = True
        self.down = False
        self.needs: list[int] = []
        self.swept = asyncio.Event()
        self.told: list[CleanUpView] = []
        self.stored: dict[str, Any] = {}
        defaults = {"clean_up": True, "clean_up_interval_s": DAY, "low_disk_gb": 5.0}
        self.config = SimpleNamespace(**{**defaults, **settings})
        self.keeper = Housekeeper(
            cast("CleanUp", self),
            document=None if last is None else {"at": last},
            store=lambda name, encode: self.stored.update({name: encode()}),
            known=lambda: self.known,
            free_bytes=lambda: self.free,
            told=self.told.append,
            monotonic=lambda: self.now,
        )

    async def clean(self, *, dry_run: bool = False, need: int = 0) -> CleanUpView:
        if self.down:
            raise EngineUnavailable("the engine does not answer")
        self.needs.append(need)
        if self.free is not None:
            self.free += self.gives
        image = ImageVerdict(image="image", id="sha256:1", tags=(), size=2 * GB, reason="old")
        removed = (image,) if self.removed else ()
        return CleanUpView(dry_run=dry_run, at=time.time(), freed_bytes=2 * GB * self.removed, removed=removed)

    async def remove_untagged(self) -> CleanUpView:
        self.swept.set()
        return CleanUpView(dry_run=False, at=time.time())

    def look(self, times: int = 1) -> "House":
        async def looking() -> None:
            for _ in range(times):
                await self.keeper.look()

        asyncio.run(looking())
        return self


def test_a_clean_up_begins_when_the_interval_is_over() -> None:
    assert House(time.time() - DAY - 60).look(2).needs == [0]
    assert House(time.time() - DAY + 600).look().needs == []


@pytest.mark.parametrize("last", [None, 1e12])
def test_without_a_clean_up_before_the_interval_begins_now(last: float | None) -> None:
    house = House(last).look(2)
    assert house.needs == []
    assert abs(house.stored["cleaned"]["at"] - time.time()) < 60


@pytest.mark.parametrize(("switched_on", "known"), [(False, True), (True, False)])
def test_none_begins_that_is_switched_off_or_knows_nothing(switched_on: bool, known: bool) -> None:
    house = House(1.0, clean_up=switched_on)
    house.free, house.known = 0, known
    assert house.look().needs == []


def test_a_full_disk_is_cleaned_until_there_is_room() -> None:
    house = House(time.time())
    house.free, house.gives = GB, 3 * GB
    house.look(3)
    assert house.needs == [4 * GB, GB]
    assert house.keeper.problems == ()
    assert len(house.told) == 2


def test_a_clean_up_that_gives_nothing_back_is_not_repeated_and_is_told_of() -> None:
    house = House(time.time())
    house.free = GB
    house.look(3)
    assert house.needs == [4 * GB]
    assert "1GB left" in house.keeper.problems[0]
    house.now += VAIN_S
    assert house.look().needs == [4 * GB, 4 * GB], "by now, other images may go"
    house.free = 50 * GB
    assert house.look().keeper.problems == ()
    house.free = GB
    assert len(house.look().needs) == 3, "it had room in between"


def test_a_clean_up_that_found_nothing_is_not_repeated_though_the_disk_has_a_little_more_by_chance() -> None:
    house = House(time.time())
    house.free, house.gives, house.removed = GB, 10, False
    assert house.look(3).needs == [4 * GB]


def test_a_disk_somewhere_else_is_not_minded() -> None:
    house = House(time.time())
    house.free = None
    assert house.look().needs == []


def test_zero_is_never_too_little() -> None:
    house = House(time.time(), low_disk_gb=0.0)
    house.free = 0
    assert house.look().needs == []


def test_an_engine_that_is_away_is_a_problem_and_not_the_end() -> None:
    house = House(1.0)
    house.down = True
    assert house.look().keeper.problems == ("no clean-up: the engine does not answer",)
    house.down = False
    assert house.look().keeper.problems == ()


def test_the_first_thing_is_what_has_lost_its_tag() -> None:
    async def main() -> House:
        house = House(time.time())
        house.known = False
        running = asyncio.create_task(house.keeper.run())
        house.keeper.check()
        await asyncio.sleep(0)
        assert not house.swept.is_set(), "nothing is known yet"
        house.known = True
        house.keeper.check()
        async with asyncio.timeout(60):
            await house.swept.wait()
        running.cancel()
        return house

    assert asyncio.run(main()).needs == []


def test_only_a_disk_of_this_machine_is_measured(tmp_path: Path) -> None:
    here = EngineInfo("1", "1.41", "linux/amd64", "overlay2", str(tmp_path))
    elsewhere = EngineInfo("1", "1.41", "linux/amd64", "overlay2", str(tmp_path / "not-here"))
    local, remote = Engine("unix:///run/docker.sock"), Engine("tcp://engine.example:2376")
    assert (free_bytes(local, here) or 0) > 0
    assert free_bytes(local, elsewhere) is None
    assert free_bytes(remote, here) is None
    assert free_bytes(local, None) is None
