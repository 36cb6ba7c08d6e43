"""What people ask for: cancel, pause, resume."""

from values import Story, definition, image, name_of

from envkiln.daemon.events import BuildRequested, CancelBuild, CancelRequested, Paused, Resumed, StartBuild
from envkiln.daemon.schedule import why_waiting
from envkiln.daemon.state import Phase

FOUND_A, FOUND_B = definition("a"), definition("b")
A, B = name_of(FOUND_A), name_of(FOUND_B)


def building() -> Story:
    story = Story()
    story.connect()
    assert StartBuild(A, "a", forced=False) in story.see("a", FOUND_A)
    return story


def test_a_build_that_is_cancelled_stops_and_does_not_start_again_by_itself() -> None:
    story = building()
    assert story.tell(CancelRequested("a")) == (CancelBuild(A),)
    assert story.cancelled(A) == ()
    assert story.phase("a") is Phase.FAILED
    assert "cancelled" in story.environment("a").reason
    assert story.tell(CancelRequested("a")) == ()


def test_a_cancelled_build_is_built_when_its_file_changes() -> None:
    story = building()
    story.tell(CancelRequested("a"))
    story.cancelled(A)
    assert StartBuild(B, "a", forced=False) in story.see("a", FOUND_B)


def test_a_cancelled_build_that_ended_well_in_that_moment_counts() -> None:
    story = building()
    story.tell(CancelRequested("a"))
    story.built(A)
    assert story.phase("a") is Phase.READY


def test_a_queued_build_can_be_cancelled() -> None:
    story = Story()
    story.see("a", FOUND_A)
    assert story.phase("a") is Phase.QUEUED
    story.tell(CancelRequested("a"))
    assert story.connect() == ()
    assert story.phase("a") is Phase.FAILED


def test_cancelling_a_forced_build_leaves_the_image_that_is_there() -> None:
    story = Story()
    story.connect(image(A, "a:latest"))
    story.see("a", FOUND_A)
    story.tell(BuildRequested("a"))
    story.tell(CancelRequested("a"))
    story.cancelled(A)
    assert story.phase("a") is Phase.READY


def test_cancelling_what_is_ready_or_unknown_changes_nothing() -> None:
    story = Story()
    story.connect(image(A, "a:latest"))
    story.see("a", FOUND_A)
    before = story.state.environments
    assert story.tell(CancelRequested("a")) == ()
    assert story.tell(CancelRequested("nobody")) == ()
    assert story.state.environments == before


def test_while_everything_is_paused_nothing_starts_and_the_reason_says_so() -> None:
    story = Story()
    story.connect()
    story.tell(Paused(None))
    assert story.see("a", FOUND_A) == ()
    assert story.phase("a") is Phase.QUEUED
    assert "resume" in why_waiting(story.state, A)
    assert story.tell(Resumed(None)) == (StartBuild(A, "a", forced=False),)


def test_what_runs_goes_on_when_it_is_paused() -> None:
    story = building()
    assert story.tell(Paused(None)) == ()
    assert story.phase("a") is Phase.BUILDING


def test_one_environment_is_paused_and_the_others_go_on() -> None:
    story = Story()
    story.connect()
    story.tell(Paused("a"))
    assert story.state.paused == frozenset()
    story.see("a", FOUND_A)
    story.tell(CancelRequested("a"))
    story.cancelled(A)
    story.tell(Paused("a"))
    assert story.see("a", FOUND_B) == ()
    assert story.see("b", FOUND_A) == (StartBuild(A, "b", forced=False),)
    assert story.tell(Resumed("a")) == (StartBuild(B, "a", forced=False),)


def test_an_image_that_another_environment_wants_too_is_built_although_one_is_paused() -> None:
    story = Story()
    story.see("a", FOUND_A)
    story.tell(Paused("a"))
    story.see("b", FOUND_A)
    assert [effect.name for effect in story.connect() if isinstance(effect, StartBuild)] == [A]
