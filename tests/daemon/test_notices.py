"""Which notice a step gives."""

from collections.abc import Callable
from typing import Any

import pytest
from values import BROKEN, PASSING, PROBLEM, Story, definition, image, name_of

from envkiln.daemon.events import (
    BuildEnded,
    BuildRequested,
    CancelRequested,
    Ending,
    EngineConnected,
    EngineLost,
    Event,
    ImagesListed,
    Looked,
    Now,
    Problem,
    Tick,
)
from envkiln.daemon.notices import Notice, Notices
from envkiln.daemon.state import Phase
from envkiln.daemon.step import step

OLD = definition("python=3.11")
NEW = definition("python=3.12")
A, B = name_of(OLD), name_of(NEW)
ALL = ("ready", "failed", "recovered")


class Told(Story):
    """A story that keeps every notice it gives; environments want all kinds unless `on` says otherwise."""

    def __init__(self, on: tuple[str, ...] = ALL) -> None:
        super().__init__()
        self.on = on
        self.notices = Notices()
        self.given: list[Notice] = []

    def tell(self, event: Event, *, after: float = 0.0) -> Any:
        self.monotonic += after
        before = self.state
        self.state, effects = step(before, event, Now(self.monotonic + 1e9, self.monotonic))
        self.given += self.notices.of(before, self.state)
        return effects

    def see(self, id_: str, found: Any, **settings: object) -> Any:
        return super().see(id_, found, **{"notify_on": self.on, **settings})

    def new(self) -> list[tuple[str, str]]:
        """Return the kind and the state of each notice since the last time."""
        given, self.given = self.given, []
        return [(notice.kind, notice.state) for notice in given]


def ready(on: tuple[str, ...] = ALL) -> Told:
    story = Told(on)
    story.connect(image(A, "a:latest"))
    story.see("a", OLD)
    assert story.phase("a") is Phase.READY
    assert story.new() == []
    return story


def test_a_start_tells_nothing_of_what_is_there_already() -> None:
    story = Told()
    for number in range(50):
        story.see(f"early-{number}", OLD)
    story.see("broken", BROKEN)
    story.connect(image(A), image(B))
    for number in range(50):
        story.see(f"late-{number}", NEW)
    story.tell(EngineLost(PASSING))
    story.connect(image(A), image(B))
    story.tell(Looked((), frozenset({"early-1"})))

    assert story.new() == []


def test_a_build_that_ends_well_is_told() -> None:
    story = Told()
    story.connect()
    story.see("a", OLD)
    assert story.new() == []
    story.built(A)

    (notice,) = story.given
    assert (notice.kind, notice.environment, notice.state, notice.image) == ("ready", "a", "ready", A)
    assert (notice.reason, notice.hint) == ("built in 2.0 s", None)
    assert notice.time == story.environment("a").since
    assert notice.message.text == "a: ready: built in 2.0 s"


def test_everybody_who_waited_for_the_build_is_told_of() -> None:
    story = Told()
    story.connect()
    story.see("b", OLD)
    story.see("a", OLD)
    story.built(A)

    assert [notice.environment for notice in story.given] == ["a", "b"]


def test_an_edit_to_a_text_whose_image_is_there_is_told() -> None:
    story = ready()
    story.list(image(A), image(B))
    story.see("a", NEW)

    assert story.new() == [("ready", "ready")]


def test_a_save_that_changes_nothing_is_not_told() -> None:
    story = ready()
    story.see("a", OLD)
    story.see("a", definition("python=3.11", comment="odd"))

    assert story.new() == []


def test_an_error_in_the_file_is_told_once_and_its_correction_is_a_recovery() -> None:
    story = ready()
    story.see("a", BROKEN)
    assert story.given[0].message.text == "a: invalid: a/env.yml:3:1: unknown key (remove it)"
    assert story.new() == [("failed", "invalid")]
    story.see("a", BROKEN)
    assert story.new() == []
    story.see("a", Problem("another"))
    assert story.new() == [("failed", "invalid")]
    story.see("a", OLD)

    assert story.given[0].title == "a: ready again"
    assert story.new() == [("recovered", "ready")]


def test_a_failed_build_is_told_and_the_next_that_ends_well_is_a_recovery() -> None:
    story = ready()
    story.see("a", NEW)
    story.failed(B, passing=False)
    assert story.given[0].hint == PROBLEM.hint
    assert story.new() == [("failed", "failed")]
    third = definition("python=3.13")
    story.see("a", third)
    assert story.new() == []
    story.built(name_of(third))

    assert story.new() == [("recovered", "ready")]


def test_a_retry_that_fails_in_the_same_way_is_not_told_again() -> None:
    story = ready()
    story.see("a", NEW)
    story.failed(B, passing=True)
    assert story.new() == [("failed", "failed")]
    for _ in range(3):
        story.tell(Tick(), after=10_000)
        assert story.phase("a") is Phase.BUILDING
        story.failed(B, passing=True)
    assert story.new() == []
    story.tell(Tick(), after=10_000)
    story.tell(BuildEnded(B, Ending.FAILED, problem=PROBLEM))

    assert story.new() == [("failed", "failed")]


def test_a_build_that_was_asked_for_is_told_of_although_it_fails_as_before() -> None:
    story = ready()
    story.see("a", NEW)
    story.failed(B, passing=False)
    assert story.new() == [("failed", "failed")]
    story.tell(BuildRequested("a"))
    story.failed(B, passing=False)

    assert story.new() == [("failed", "failed")]


def test_a_cancelled_build_is_not_told() -> None:
    story = ready()
    story.see("a", NEW)
    story.tell(CancelRequested("a"))
    story.cancelled(B)
    assert story.phase("a") is Phase.FAILED
    story.see("a", OLD)

    assert story.new() == []


def test_an_image_that_was_removed_and_is_back_is_told_only_when_it_was_built() -> None:
    story = ready()
    story.tell(ImagesListed({}, story.monotonic + 1), after=2)
    assert story.phase("a") is Phase.BUILDING
    story.built(A)
    assert story.new() == [("ready", "ready")]
    story.tell(EngineLost(PASSING))
    story.tell(EngineConnected("engine"))

    assert story.new() == []


def test_what_is_gone_is_forgotten() -> None:
    story = ready()
    story.see("a", BROKEN)
    story.tell(Looked((), frozenset({"a"})))

    assert story.notices.broken == {}


def _recover(story: Told) -> None:
    story.see("a", BROKEN)
    story.see("a", OLD)


def _rebuild(story: Told) -> None:
    story.see("a", NEW)
    story.built(B)


@pytest.mark.parametrize(
    ("on", "happens", "told"),
    [
        ((), _recover, []),
        (("failed",), _recover, ["failed"]),
        (("recovered",), _recover, ["recovered"]),
        (("ready",), _recover, ["ready"]),
        (("ready", "recovered"), _recover, ["recovered"]),
        (("recovered",), _rebuild, []),
        (("ready",), _rebuild, ["ready"]),
    ],
)
def test_only_what_was_asked_for_is_told(on: tuple[str, ...], happens: Callable[[Told], None], told: list[str]) -> None:
    story = ready(on)
    happens(story)

    assert [kind for kind, _ in story.new()] == told


def test_environments_have_settings_of_their_own() -> None:
    story = ready()
    story.connect(image(A), image(B))
    story.see("b", OLD, notify_on=("failed",))
    for id_ in "ab":
        story.see(id_, NEW, notify_on=("ready",) if id_ == "a" else ("failed",))

    assert [(notice.environment, notice.settings.notify_on) for notice in story.given] == [("a", ("ready",))]


def test_no_notice_tells_a_secret_and_its_id_is_its_own() -> None:
    story = ready()
    story.see("a", Problem("no https://user:s3cret@host/x", "see https://s3cret@host"))
    story.see("a", OLD)

    first, second = (notice.message for notice in story.given)
    assert "s3cret" not in repr(first)
    assert first.id != second.id
    assert first.id == story.given[0].message.id
