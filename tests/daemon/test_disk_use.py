"""Disk use over time: when it is sampled, and what is kept."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from values import image

from envkiln.daemon.disk_use import DAILY_FOR_S, DAY_S, HOUR_S, HOURLY_FOR_S, DiskUse, samples_of, thinned
from envkiln.daemon.events import Event, ImagesListed, KnownImage, Tick
from envkiln.daemon.messages import DiskSample
from envkiln.daemon.state import State

NOW = 1_795_000_000.0


def sample(at: float) -> DiskSample:
    return DiskSample(at=at, image_bytes=1, log_bytes=1)


def test_hours_are_kept_for_two_days_and_days_for_ninety() -> None:
    minutes = [sample(NOW - age * 600) for age in range(6 * 24 * 100)]
    kept = thinned(minutes, NOW)
    hours = [it for it in kept if NOW - it.at <= HOURLY_FOR_S]
    assert len(hours) in (48, 49)
    assert len(kept) - len(hours) in (88, 89)
    assert kept[-1].at == NOW


@given(st.lists(st.floats(NOW - 100 * DAY_S, NOW + DAY_S)), st.floats(0, 10 * DAY_S))
def test_thinning_keeps_what_it_promises_and_thinning_again_changes_nothing(times: list[float], later: float) -> None:
    kept = thinned(map(sample, times), NOW)
    ages = [NOW - it.at for it in kept]
    assert ages == sorted(ages, reverse=True)
    assert all(0 <= age <= DAILY_FOR_S for age in ages)
    assert {it.at for it in kept} <= set(times)
    assert thinned(kept, NOW) == kept
    past = [at for at in times if at <= NOW]
    assert not past or NOW - max(past) > DAILY_FOR_S or kept[-1].at == max(past)
    assert set(thinned(kept, NOW + later)) <= set(kept)


@pytest.mark.parametrize("document", [None, 3, "x", {}, [{"at": 1}], [3], [{"at": "x", "image_bytes": 1}]])
def test_a_damaged_document_has_no_samples(document: Any) -> None:
    assert samples_of(document) == ()


class Disk:
    """A DiskUse with a clock and a store of its own."""

    def __init__(self, document: Any = None) -> None:
        self.now = NOW
        self.stored: dict[str, Callable[[], Any]] = {}
        self.use = DiskUse(document, lambda: 17, self.stored.__setitem__, clock=lambda: self.now)

    async def tell(self, event: Event, *images: KnownImage) -> None:
        self.use.observe(event, State(), State(images={it.name: it for it in images}))
        await self.use.close()


LISTED = ImagesListed({}, 0.0)


def test_a_sample_is_taken_when_the_images_are_known_and_once_an_hour() -> None:
    async def scene() -> None:
        disk = Disk()
        await disk.tell(Tick())
        assert not disk.use.samples
        first, same = image("azureml/azureml_1"), image("azureml/azureml_2")
        await disk.tell(LISTED, first, same)
        assert disk.use.samples == (DiskSample(at=NOW, image_bytes=_bytes(first, same), log_bytes=17),)
        disk.now += HOUR_S - 1
        await disk.tell(LISTED)
        assert len(disk.use.samples) == 1
        disk.now += 1
        await disk.tell(LISTED)
        assert [it.image_bytes for it in disk.use.samples] == [_bytes(first, same), 0]

    asyncio.run(scene())


def test_what_was_stored_goes_on_after_a_restart() -> None:
    async def scene() -> None:
        disk = Disk()
        await disk.tell(LISTED, image("azureml/azureml_1"))
        again = Disk(disk.stored[DiskUse.DOCUMENT]())
        assert again.use.samples == disk.use.samples
        await again.tell(LISTED)
        assert again.use.samples == disk.use.samples

    asyncio.run(scene())


def test_a_clock_that_was_set_back_does_not_stop_the_sampling() -> None:
    async def scene() -> None:
        disk = Disk()
        await disk.tell(LISTED)
        disk.now -= 30 * DAY_S
        await disk.tell(LISTED)
        assert [it.at for it in disk.use.samples] == [disk.now]

    asyncio.run(scene())


def _bytes(*images: KnownImage) -> int:
    return sum({it.id: it.size for it in images}.values())
