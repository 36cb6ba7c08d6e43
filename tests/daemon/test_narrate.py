"""What a person who follows along reads."""

import msgspec
import pytest
from values import BROKEN, PASSING, Story, definition, image, name_of, registry_image, sighting

from envkiln.cache.names import short_name
from envkiln.daemon.events import (
    Answer,
    BuildEnded,
    BuildRequested,
    Ending,
    EngineConnected,
    EngineLost,
    Event,
    Looked,
    Problem,
    Progressed,
    PushEnded,
    RegistryAnswered,
    Tick,
)
from envkiln.daemon.messages import ProgressView
from envkiln.daemon.narrate import Level, Line, narrate, narrate_look
from envkiln.daemon.state import Policy, State
from envkiln.daemon.watched_root import LookReport

FOUND = definition()
NAME = name_of(FOUND)
SHORT = short_name(NAME)


class Told(Story):
    """A story that keeps what was said about the last event."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Line] = []

    def tell(self, event: Event, *, after: float = 0.0) -> tuple[object, ...]:  # type: ignore[override]
        before = self.state
        effects = super().tell(event, after=after)
        self.lines = narrate(event, before, self.state)
        return effects


def building() -> Told:
    story = Told()
    story.connect()
    story.see("a", FOUND)
    return story


def test_a_build_is_told_from_beginning_to_end() -> None:
    story = building()
    assert story.lines == [Line(f"building [{SHORT}]", "a", image=NAME)]
    story.built(NAME)
    assert story.lines == [Line(f"ready: built in 2.0 s [{SHORT}]", "a", Level.GOOD, NAME)]


def test_a_build_that_gets_a_free_place_is_told() -> None:
    story = Told()
    story.connect()
    for i in range(3):
        story.see(f"e{i}", definition(f"p{i}"))
    story.built(name_of(definition("p0")))
    assert [line.subject for line in story.lines] == ["e0", "e2"]


def test_a_failure_comes_with_its_hint() -> None:
    story = building()
    story.failed(NAME, passing=False)
    expected = f"failed: the solver found no way (loosen a version) [{SHORT}]"
    assert story.lines == [Line(expected, "a", Level.ERROR, NAME)]


def test_an_error_comes_with_its_place_and_says_what_stays() -> None:
    story = building()
    story.built(NAME)
    story.see("a", BROKEN)
    expected = f"invalid: a/env.yml:3:1: unknown key (remove it); {SHORT} stays"
    assert story.lines == [Line(expected, "a", Level.ERROR)]
    story.see("b", BROKEN)
    assert story.lines == [Line("invalid: a/env.yml:3:1: unknown key (remove it)", "b", Level.ERROR)]


def test_another_error_in_the_same_file_is_told() -> None:
    story = Told()
    story.see("a", BROKEN)
    story.see("a", Problem("another", place="a/env.yml:4"))
    assert story.lines == [Line("invalid: a/env.yml:4: another", "a", Level.ERROR)]


@pytest.mark.parametrize("event", [Tick(), Looked(()), BuildRequested("unknown")], ids=repr)
def test_nothing_is_said_where_nothing_happened(event: Event) -> None:
    story = building()
    story.tell(event)
    assert story.lines == []


def test_a_comment_is_not_worth_a_line() -> None:
    story = building()
    story.see("a", definition(comment="words"))
    assert story.lines == []


def test_an_environment_that_is_gone_leaves_its_image() -> None:
    story = building()
    story.tell(Looked((), frozenset({"a"})))
    assert story.lines == [Line("gone; its image stays", "a")]


def test_the_engine_is_told_once_for_each_change() -> None:
    story = Told()
    story.tell(EngineConnected("Docker Engine 28"))
    assert story.lines == [Line("engine: Docker Engine 28", level=Level.GOOD)]
    story.tell(EngineLost(Problem("refused", "start it")))
    assert story.lines == [Line("engine: refused (start it); what is ready stays known", level=Level.WARNING)]
    story.tell(EngineLost(Problem("refused", "start it")))
    assert story.lines == []


def test_an_interrupted_build_whose_image_is_there_is_told_without_trouble() -> None:
    story = Told()
    story.connect(image(NAME))
    story.see("a", FOUND)
    story.tell(BuildRequested("a"))
    story.tell(BuildEnded(NAME, Ending.INTERRUPTED, problem=Problem("gone")))
    story.list(image(NAME))
    assert [line.text for line in story.lines] == [f"building [{SHORT}]"]


def test_no_line_tells_a_secret() -> None:
    story = building()
    story.tell(
        BuildEnded(NAME, Ending.FAILED, problem=Problem("no https://user:secret@host/x", "see https://secret@h"))
    )
    assert "secret" not in story.lines[0].text


def report(*same: str) -> LookReport:
    return LookReport("root", 0.012, 30, ("changed",), same, ())


def test_a_save_that_changes_nothing_is_confirmed() -> None:
    assert narrate_look(report()) == []
    assert narrate_look(report("a")) == [Line("saved; nothing that counts has changed (12 ms)", "a")]


def test_many_of_them_are_one_line() -> None:
    (line,) = narrate_look(report(*map(str, range(21))))
    assert line.text == "21 definitions read again, none has changed"


def test_nothing_is_said_of_a_queue_that_the_engine_may_empty_at_once() -> None:
    story = Told()
    story.see("a", FOUND)
    assert story.lines == []
    story.connect()
    assert Line(f"building [{SHORT}]", "a", image=NAME) in story.lines


def test_a_step_that_changes_many_environments_is_told_in_numbers() -> None:
    story = Told()
    story.connect()
    seen = tuple(sighting(f"e{i}", definition(f"p{i}")) for i in range(60))
    story.tell(Looked((*seen, sighting("broken", BROKEN))))
    assert [line.subject for line in story.lines] == ["broken", ""]
    assert story.lines[-1] == Line("61 environments changed; now 1 invalid, 58 queued, 2 building")


def test_a_build_tells_its_phases_with_how_long_it_took_so_far() -> None:
    story = building()
    solve = ProgressView(phase="solve", step=3, steps=9, estimate=40.0)
    story.tell(Progressed(NAME, solve, 12.0))
    assert story.lines == [Line("step 3 of 9, solve, 12s of about 40s", "a", image=NAME)]
    story.tell(Progressed(NAME, msgspec.structs.replace(solve, step=4), 13.0))
    assert story.lines == []
    story.tell(Progressed(name_of(definition("another")), solve, 1.0))
    assert story.lines == []
    story.tell(Progressed(NAME, ProgressView(phase="pip"), 50.0))
    assert story.lines == [Line("pip, 50s", "a", image=NAME)]


def with_registry() -> Told:
    it = Told()
    it.state = State(Policy(registries=True))
    it.connect()
    return it


def test_a_registry_that_does_not_answer_is_told_of_once() -> None:
    it = with_registry()
    it.see("a", FOUND)
    it.tell(RegistryAnswered(NAME, Answer.UNKNOWN, problem=PASSING))
    assert it.lines == [Line(f"registry: {PASSING}", level=Level.WARNING)]
    it.tell(Tick(), after=6.0)
    it.tell(RegistryAnswered(NAME, Answer.UNKNOWN, problem=PASSING))
    assert it.lines == []
    other = definition("p9")
    it.see("b", other)
    it.tell(RegistryAnswered(name_of(other), Answer.UNKNOWN, problem=PASSING))
    assert it.lines == []


def test_a_build_elsewhere_is_told_of_once() -> None:
    it = with_registry()
    it.see("a", FOUND)
    it.tell(RegistryAnswered(NAME, Answer.PENDING))
    assert it.lines == [Line("another machine builds it: waits for the image", "a")]
    it.tell(Tick(), after=6.0)
    it.tell(RegistryAnswered(NAME, Answer.PENDING))
    assert it.lines == []


def test_a_push_is_told_of_and_not_what_had_come_from_there() -> None:
    it = with_registry()
    it.list(image(NAME, "a:latest"))
    it.see("a", FOUND, push="ready")
    it.tell(PushEnded(NAME, image(NAME).id, registry_image(NAME)))
    assert it.lines == [Line(f"in the registry: {registry_image(NAME).reference}", "a", Level.GOOD)]
    it = with_registry()
    it.see("a", FOUND, push="ready")
    it.tell(RegistryAnswered(NAME, Answer.YES, registry_image(NAME)))
    it.tell(BuildEnded(NAME, Ending.FOUND, image(NAME), pulled=registry_image(NAME)))
    it.tell(PushEnded(NAME, image(NAME).id, registry_image(NAME)))
    assert it.lines == []
