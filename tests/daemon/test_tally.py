"""Builds and builds saved: what counts as one, and what never does."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from values import BROKEN, Story, definition, image, name_of

from envkiln.daemon.events import BuildEnded, Ending, EngineConnected, Event, ImagesListed, Looked, Problem
from envkiln.daemon.messages import StatsView
from envkiln.daemon.tally import DAYS_KEPT, Tally

FIRST, SECOND = definition("first"), definition("second")
A, B = name_of(FIRST), name_of(SECOND)
DAY_S = 86400.0


class Counted:
    def __init__(self, document: Any = None) -> None:
        self.now = 0.0
        self.tally = Tally(document, lambda _image, _id: 7.0, clock=lambda: self.now)
        self.story = Story()
        self.counting = False

    def tell(self, *events: Event) -> int:
        hits = 0
        for event in events:
            before = self.story.state
            self.story.tell(event)
            hits += self.tally.count(event, before, self.story.state, counting=self.counting)
        return hits

    def see(self, id_: str, found: Any) -> int:
        other = Story()
        other.see(id_, found)
        return self.tell(Looked((other.environment(id_).sighting,)))

    def connect(self, *names: str) -> int:
        images = {name: image(name) for name in names}
        return self.tell(EngineConnected("engine"), ImagesListed(images, self.story.monotonic))

    def built(self, name: str, seconds: float = 2.0) -> int:
        return self.tell(BuildEnded(name, Ending.BUILT, image(name), seconds=seconds))

    def view(self) -> StatsView:
        return self.tally.view(images=0, image_bytes=0, log_bytes=0)


def running() -> Counted:
    """A service that has looked, with one environment that was built."""
    counted = Counted()
    counted.connect()
    counted.counting = True
    counted.see("a", FIRST)
    counted.built(A)
    return counted


def test_a_build_is_a_miss_and_no_hit_of_its_own_environment() -> None:
    view = running().view()
    assert (view.misses, view.hits, view.build_seconds) == (1, 0, 2.0)


def test_going_back_to_an_earlier_text_is_a_hit() -> None:
    counted = running()
    counted.see("a", SECOND)
    counted.built(B)
    assert counted.see("a", FIRST) == 1
    view = counted.view()
    assert (view.misses, view.hits, view.builds_saved, view.seconds_saved) == (2, 1, 1, 7.0)


def test_a_new_environment_whose_image_is_there_is_a_hit() -> None:
    assert running().see("b", FIRST) == 1


def test_an_environment_that_shares_the_build_of_another_is_a_hit() -> None:
    counted = Counted()
    counted.connect()
    counted.counting = True
    counted.see("a", FIRST)
    counted.see("b", FIRST)
    assert counted.built(A) == 1


@pytest.mark.parametrize("engine_first", [True, False])
def test_what_was_there_before_a_start_is_no_hit(engine_first: bool) -> None:
    counted = Counted()
    if engine_first:
        counted.connect(A)
    counted.see("a", FIRST)
    counted.counting = True
    if not engine_first:
        counted.connect(A)
    assert counted.view().hits == 0
    assert counted.see("a", BROKEN) == 0
    assert counted.see("a", FIRST) == 0
    counted.see("a", SECOND)
    counted.built(B)
    assert counted.see("a", FIRST) == 1


def test_an_image_that_is_pulled_back_into_the_engine_is_no_second_hit() -> None:
    counted = running()
    assert counted.tell(ImagesListed({}, counted.story.monotonic + 1)) == 0
    assert counted.connect(A) == 0


def test_failures_are_counted() -> None:
    counted = Counted()
    counted.connect()
    counted.see("a", FIRST)
    counted.tell(BuildEnded(A, Ending.FAILED, problem=Problem("no")))
    assert counted.view().failed == 1
    counted.tell(BuildEnded(A, Ending.FAILED, problem=Problem("told twice")))
    assert counted.view().failed == 1


def test_counts_go_on_after_a_restart() -> None:
    counted = running()
    counted.tally.unchanged(3)
    document = counted.tally.document()
    assert not counted.tally.changed
    again = Counted(document)
    assert again.view() == counted.view()
    assert (again.view().misses, again.view().unchanged) == (1, 3)


def test_days_are_counted_by_themselves_and_old_ones_go() -> None:
    counted = running()
    for day in range(1, DAYS_KEPT + 2):
        counted.now = day * DAY_S
        counted.see("a", SECOND if day % 2 else FIRST)
        if day == 1:
            counted.built(B)
    days = counted.view().days
    assert len(days) == DAYS_KEPT
    assert (days[-1].day, days[-1].hits) == ("1970-04-02", 1)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda it: st.lists(it) | st.dictionaries(st.text(), it)))
def test_a_damaged_document_begins_anew(document: Any) -> None:
    assert Counted(document).view().hits == 0
