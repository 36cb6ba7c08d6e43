"""The life of one environment, as a sequence of events."""

from itertools import pairwise

import pytest
from values import BROKEN, PROBLEM, Story, definition, image, name_of

from envkiln.daemon.events import (
    BuildEnded,
    BuildRequested,
    CancelBuild,
    Ending,
    EngineConnected,
    EngineLost,
    ImagesListed,
    KnownImage,
    Looked,
    Problem,
    SetAlias,
    StartBuild,
    Tick,
)
from envkiln.daemon.registry_facts import FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S
from envkiln.daemon.state import Phase, next_wake

OLD = definition("python=3.11")
NEW = definition("python=3.12")
A, B = name_of(OLD), name_of(NEW)


def ready() -> Story:
    """An environment whose image is there, and whose alias points to it."""
    story = Story()
    story.connect(image(A, "a:latest"))
    story.see("a", OLD)
    assert story.phase("a") is Phase.READY
    return story


def building() -> Story:
    story = Story()
    story.connect()
    story.see("a", OLD)
    assert story.phase("a") is Phase.BUILDING
    return story


def test_a_new_environment_is_built_then_tagged_then_ready() -> None:
    story = Story()
    assert story.see("a", OLD) == ()
    assert story.phase("a") is Phase.QUEUED
    assert story.connect() == (StartBuild(A, "a", forced=False),)
    assert story.phase("a") is Phase.BUILDING
    assert story.built(A) == (SetAlias("a:latest", A),)
    assert story.phase("a") is Phase.READY
    assert story.environment("a").reason == "built in 2.0 s"
    assert story.environment("a").last_good == A


def test_an_image_that_is_there_is_not_built() -> None:
    story = Story()
    story.connect(image(A, "a:latest"))
    assert story.see("a", OLD) == ()
    assert story.phase("a") is Phase.READY


def test_an_image_that_was_found_at_the_last_moment_is_ready() -> None:
    story = building()
    story.tell(BuildEnded(A, Ending.FOUND, image(A)))
    assert story.phase("a") is Phase.READY
    assert story.environment("a").reason == "an image of this content exists"


def test_a_comment_changes_nothing() -> None:
    story = ready()
    since = story.environment("a").since
    story.monotonic += 10
    assert story.see("a", definition("python=3.11", comment="more words")) == ()
    assert story.phase("a") is Phase.READY
    assert story.environment("a").since == since


def test_an_edit_during_a_build_cancels_it_and_builds_what_was_saved_last() -> None:
    story = building()
    assert story.see("a", NEW) == (CancelBuild(A), StartBuild(B, "a", forced=False))
    assert story.cancelled(A) == ()
    assert story.built(B) == (SetAlias("a:latest", B),)
    assert story.environment("a").last_good == B


def test_an_edit_back_during_the_cancelling_builds_the_first_again_when_it_has_stopped() -> None:
    story = building()
    story.see("a", NEW)
    assert story.see("a", OLD) == (CancelBuild(B),)
    assert story.phase("a") is Phase.QUEUED
    assert story.cancelled(A) == (StartBuild(A, "a", forced=False),)


def test_a_build_that_ended_well_although_it_was_cancelled_counts() -> None:
    story = building()
    story.see("a", NEW)
    story.see("a", OLD)
    assert story.built(A) == (SetAlias("a:latest", A),)
    assert story.phase("a") is Phase.READY


def test_going_back_to_an_earlier_text_is_a_tag_and_no_build() -> None:
    story = ready()
    story.see("a", NEW)
    story.built(B)
    story.list(image(A), image(B, "a:latest"))
    assert story.see("a", OLD) == (SetAlias("a:latest", A),)
    assert story.environment("a").reason == "an image of this content exists: tagged, not built"


def test_an_invalid_definition_keeps_the_last_good_image_and_says_what_is_wrong() -> None:
    story = ready()
    assert story.see("a", BROKEN) == ()
    environment = story.environment("a")
    assert (environment.phase, environment.last_good, environment.problem) == (Phase.INVALID, A, BROKEN)
    assert environment.reason == "a/env.yml:3:1: unknown key"
    story.see("a", OLD)
    assert story.phase("a") is Phase.READY


def test_an_invalid_definition_cancels_the_build_of_what_it_said_before() -> None:
    assert building().see("a", BROKEN) == (CancelBuild(A),)


def test_an_environment_that_is_gone_is_forgotten_and_its_build_cancelled() -> None:
    story = building()
    assert story.tell(Looked((), frozenset({"a"}))) == (CancelBuild(A),)
    assert (story.state.environments, story.state.wanted, story.state.claims) == ({}, {}, {})
    assert story.state.changed == {"a"}


def test_a_cause_that_may_pass_is_tried_again_when_its_time_has_come() -> None:
    story = building()
    story.failed(A, passing=True)
    assert story.phase("a") is Phase.FAILED
    assert next_wake(story.state) == story.monotonic + FIRST_BACK_OFF_S
    assert story.tell(Tick(), after=FIRST_BACK_OFF_S - 0.1) == ()
    assert story.tell(Tick(), after=0.1) == (StartBuild(A, "a", forced=False),)


def test_a_try_whose_time_came_during_another_event_is_not_forgotten() -> None:
    story = building()
    story.failed(A, passing=True)
    story.monotonic += FIRST_BACK_OFF_S + 1
    story.see("b", NEW)
    wake = next_wake(story.state)
    assert wake is not None
    assert wake <= story.monotonic
    assert StartBuild(A, "a", forced=False) in story.tell(Tick())
    assert next_wake(story.state) is None


def test_tries_get_rarer_and_start_anew_after_a_success() -> None:
    story = building()
    waits = []
    for _ in range(9):
        story.failed(A, passing=True)
        wake = next_wake(story.state)
        assert wake is not None
        waits.append(wake - story.monotonic)
        story.tell(Tick(), after=waits[-1])
    assert all(later == min(2 * earlier, LONGEST_BACK_OFF_S) for earlier, later in pairwise(waits))
    assert waits[0] == FIRST_BACK_OFF_S
    assert waits[-1] == LONGEST_BACK_OFF_S
    story.built(A)
    assert story.state.failures == {}


def test_a_cause_may_last_for_weeks() -> None:
    story = building()
    for _ in range(2000):
        story.failed(A, passing=True)
        story.tell(Tick(), after=LONGEST_BACK_OFF_S)
    assert story.phase("a") is Phase.BUILDING


def test_a_cause_that_will_not_pass_is_tried_again_only_after_an_edit() -> None:
    story = building()
    story.failed(A, passing=False)
    assert story.environment("a").reason == PROBLEM.message
    assert story.tell(Tick(), after=1e6) == ()
    assert story.see("a", definition("python=3.11", comment="a comment is no reason")) == ()
    story.see("a", NEW)
    story.cancelled(B)
    assert StartBuild(A, "a", forced=False) in story.see("a", OLD)


def test_a_failed_build_that_somebody_asks_for_is_tried_again() -> None:
    story = building()
    story.failed(A, passing=False)
    assert story.tell(BuildRequested("a")) == (StartBuild(A, "a", forced=True),)


def test_a_build_that_is_asked_for_is_made_once_although_the_image_is_there() -> None:
    story = ready()
    assert story.tell(BuildRequested("a")) == (StartBuild(A, "a", forced=True),)
    assert story.environment("a").reason == "a build was asked for"
    assert story.built(A, id_="sha256:new") == (SetAlias("a:latest", A),)
    assert story.phase("a") is Phase.READY
    assert story.tell(Tick(), after=1e6) == ()


def test_the_image_stays_good_when_a_build_that_was_asked_for_fails() -> None:
    story = ready()
    story.tell(BuildRequested("a"))
    story.failed(A, passing=False)
    assert story.phase("a") is Phase.READY


def test_a_request_that_the_engine_interrupted_is_kept_whatever_is_listed() -> None:
    story = ready()
    story.tell(BuildRequested("a"))
    story.tell(BuildEnded(A, Ending.INTERRUPTED, problem=Problem("gone")))
    assert story.phase("a") is Phase.FAILED
    assert story.list(image(A, "a:latest")) == (StartBuild(A, "a", forced=True),)


def test_a_request_for_an_environment_that_does_not_exist_does_nothing() -> None:
    assert ready().tell(BuildRequested("unknown")) == ()


def test_an_image_that_was_removed_is_built_again() -> None:
    story = ready()
    story.monotonic += 1
    assert story.list() == (StartBuild(A, "a", forced=False),)
    assert story.state.builds[A].id == "a"


def test_a_list_that_was_asked_for_before_a_build_ended_says_nothing_about_its_image() -> None:
    story = building()
    asked = story.monotonic
    story.built(A)
    assert story.tell(ImagesListed({}, asked)) == ()
    assert story.phase("a") is Phase.READY


@pytest.mark.parametrize("images", [(), (image(A, "a:latest"),)], ids=["no image", "image"])
def test_nothing_is_started_while_the_engine_is_away(images: tuple[KnownImage, ...]) -> None:
    story = Story()
    story.connect(*images)
    story.tell(EngineLost(Problem("refused")))
    assert story.see("a", OLD) == ()
    assert story.phase("a") is (Phase.READY if images else Phase.QUEUED)
    assert story.tell(EngineConnected("engine")) == ()
    assert story.tell(Tick()) == ()
    story.monotonic += 1
    started = story.list(*images)
    assert started == (() if images else (StartBuild(A, "a", forced=False),))


def test_a_build_that_the_engine_interrupted_starts_again_when_it_is_back() -> None:
    story = building()
    story.tell(EngineLost(Problem("refused")))
    story.tell(BuildEnded(A, Ending.INTERRUPTED, problem=Problem("gone")))
    story.tell(Tick(), after=FIRST_BACK_OFF_S)
    assert story.phase("a") is Phase.QUEUED
    assert story.connect() == (StartBuild(A, "a", forced=False),)


def test_an_environment_that_is_not_to_be_built_is_named_or_ready() -> None:
    story = Story()
    story.connect()
    assert story.see("a", OLD, build=False) == ()
    assert story.phase("a") is Phase.NAMED
    assert story.tell(BuildRequested("a")) == ()
    story.monotonic += 1
    assert story.list(image(A)) == (SetAlias("a:latest", A),)
    story.tell(BuildRequested("a"))
    assert story.phase("a") is Phase.READY
