"""Registries in the state: asked before a build, waited for, and pushed to."""

from dataclasses import replace

import pytest
from values import BROKEN, PASSING, Story, definition, image, name_of, registry_image

from envkiln.cache.errors import Turn
from envkiln.daemon.events import (
    Answer,
    AskRegistry,
    BuildEnded,
    BuildRequested,
    Effect,
    Ending,
    ImageNeeded,
    Paused,
    Problem,
    PushEnded,
    PushImage,
    PushRequested,
    Registered,
    RegistryAnswered,
    Resumed,
    SetAlias,
    StartBuild,
    Tick,
)
from envkiln.daemon.registry_facts import ASK_WHO_BUILDS_S, FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S
from envkiln.daemon.schedule import next_builds
from envkiln.daemon.state import Phase, Policy, State, is_idle, next_wake
from envkiln.daemon.views import environment_view

TEXT = definition("p1")
NAME = name_of(TEXT)
OTHER = definition("p2")
OTHER_NAME = name_of(OTHER)
FORBIDDEN = Problem("a registry wants a log-in", "docker login", turn=Turn.USER)


def story() -> Story:
    made = Story(State(Policy(registries=True)))
    made.connect()
    return made


def yes(name: str = NAME) -> RegistryAnswered:
    return RegistryAnswered(name, Answer.YES, registry_image(name))


def no(name: str = NAME) -> RegistryAnswered:
    return RegistryAnswered(name, Answer.NO)


def unknown(name: str = NAME, problem: Problem = PASSING, retry_after_s: float | None = None) -> RegistryAnswered:
    return RegistryAnswered(name, Answer.UNKNOWN, problem=problem, retry_after_s=retry_after_s)


def started(effects: tuple[Effect, ...]) -> list[str]:
    return [effect.name for effect in effects if isinstance(effect, StartBuild)]


def test_the_registry_is_asked_once_and_nothing_is_built_before_it_has_answered() -> None:
    it = story()
    assert it.see("a", TEXT) == (AskRegistry(NAME, None),)
    assert it.see("b", TEXT) == ()
    assert environment_view(it.state, "a").reason == "no image of this name; asks the registry"
    assert started(it.tell(no())) == [NAME]


def test_what_the_registry_has_is_pulled_and_its_digest_is_known() -> None:
    it = story()
    it.see("a", TEXT)
    assert started(it.tell(yes())) == [NAME]
    assert it.environment("a").reason == f"pulls from registry.example/{NAME}"
    it.tell(BuildEnded(NAME, Ending.FOUND, image(NAME), pulled=registry_image(NAME)))
    view = environment_view(it.state, "a")
    assert (view.state, view.reason) == ("ready", f"pulled from registry.example/{NAME}")
    assert (view.registry, view.registry_size, view.registry_layers) == (f"registry.example/{NAME}", 5, 1)
    assert view.digest == registry_image(NAME).digest


def test_an_image_in_the_engine_needs_no_registry() -> None:
    it = story()
    it.list(image(NAME))
    assert it.see("a", TEXT) == (SetAlias("a:latest", NAME),)
    assert it.phase("a") is Phase.READY


def test_without_a_list_of_images_nobody_is_asked() -> None:
    it = Story(State(Policy(registries=True)))
    assert it.see("a", TEXT) == ()
    assert it.connect() == (AskRegistry(NAME, None),)


def test_unknown_is_no_no_and_is_asked_again_later_and_later() -> None:
    it = story()
    it.see("a", TEXT)
    waits = []
    for _ in range(10):
        assert it.tell(unknown()) == ()
        view = environment_view(it.state, "a")
        assert view.state == "queued"
        assert f"the registry does not answer: {PASSING} (asks again by itself)" in view.reason
        wake = next_wake(it.state)
        assert wake is not None
        waits.append(wake - it.monotonic)
        assert it.tell(Tick(), after=waits[-1] - 0.1) == ()
        assert it.tell(Tick(), after=0.2) == (AskRegistry(NAME, None),)
        assert next_wake(it.state) is None
    assert waits[:3] == pytest.approx([FIRST_BACK_OFF_S, 2 * FIRST_BACK_OFF_S, 4 * FIRST_BACK_OFF_S])
    assert waits[-1] == pytest.approx(LONGEST_BACK_OFF_S)
    assert started(it.tell(no())) == [NAME]


def test_a_registry_is_left_alone_for_as_long_as_it_asks() -> None:
    it = story()
    it.see("a", TEXT)
    it.tell(unknown(retry_after_s=77.0))
    wake = next_wake(it.state)
    assert wake is not None
    assert wake - it.monotonic == 77.0


def test_one_answer_brings_those_who_wait_long_back_soon() -> None:
    it = story()
    it.see("a", TEXT)
    for _ in range(6):
        it.tell(unknown())
        it.tell(Tick(), after=LONGEST_BACK_OFF_S)
    it.tell(unknown())
    it.see("b", OTHER)
    it.tell(yes(OTHER_NAME))
    assert AskRegistry(NAME, None) in it.tell(Tick(), after=FIRST_BACK_OFF_S)


def test_who_lacks_a_log_in_is_not_asked_again_for_the_answers_of_others() -> None:
    it = story()
    it.see("a", TEXT)
    it.tell(unknown(problem=FORBIDDEN, retry_after_s=100.0))
    assert environment_view(it.state, "a").turn == "user"
    assert environment_view(it.state, "a").hint == "docker login"
    it.see("b", OTHER)
    it.tell(yes(OTHER_NAME))
    assert AskRegistry(NAME, None) not in it.tell(Tick(), after=FIRST_BACK_OFF_S)


def test_a_registry_that_falls_silent_right_before_the_build_is_waited_for() -> None:
    it = story()
    it.see("a", TEXT)
    it.tell(no())
    it.tell(BuildEnded(NAME, Ending.UNANSWERED, problem=PASSING))
    assert it.phase("a") is Phase.QUEUED
    assert "does not answer" in environment_view(it.state, "a").reason
    assert it.tell(Tick(), after=FIRST_BACK_OFF_S) == (AskRegistry(NAME, None),)


def test_what_somebody_else_is_building_is_waited_for() -> None:
    it = story()
    it.see("a", TEXT)
    for _ in range(20):
        assert it.tell(RegistryAnswered(NAME, Answer.PENDING)) == ()
        assert environment_view(it.state, "a").reason.endswith("another machine builds it (asks again by itself)")
        assert it.tell(Tick(), after=ASK_WHO_BUILDS_S + 0.1) == (AskRegistry(NAME, None),), "as soon as before"
    assert started(it.tell(yes())) == [NAME]
    it.tell(BuildEnded(NAME, Ending.UNANSWERED, said=RegistryAnswered(NAME, Answer.PENDING)))
    assert it.phase("a") is Phase.QUEUED


def test_a_forced_build_asks_nobody() -> None:
    it = story()
    it.see("a", TEXT)
    it.tell(unknown())
    assert started(it.tell(BuildRequested("a"))) == [NAME]
    assert next_wake(it.state) is None


def test_never_pulling_is_never_asking() -> None:
    it = story()
    assert started(it.see("a", TEXT, pull="never")) == [NAME]


def test_an_answer_that_nobody_asks_for_any_more_holds_nothing_up() -> None:
    it = story()
    it.see("a", TEXT)
    assert started(it.see("a", TEXT, pull="never")) == [NAME]
    it = story()
    it.see("a", TEXT)
    it.tell(unknown())
    assert started(it.see("a", TEXT, pull="never")) == [NAME]
    it = story()
    it.tell(Paused(None))
    it.see("a", TEXT)
    it.see("a", TEXT, pull="never")
    it.tell(unknown())
    assert started(it.tell(Resumed(None))) == [NAME]


def test_a_question_about_a_text_that_is_gone_changes_nothing() -> None:
    it = story()
    it.see("a", TEXT)
    it.tell(unknown())
    it.see("a", BROKEN)
    assert it.tell(yes()) == ()
    assert not it.state.remote
    assert next_wake(it.state) is None


def test_when_needed_is_ready_by_the_registrys_word_and_moves_no_alias() -> None:
    it = story()
    it.see("a", TEXT, pull="when-needed")
    assert it.tell(yes()) == ()
    view = environment_view(it.state, "a")
    assert (view.state, view.image_id) == ("ready", None)
    assert view.reason == f"registry.example/{NAME} has it: pulled when it is needed"
    assert view.last_good is None, "what is not here cannot be run"
    assert is_idle(it.state)


def test_whoever_needs_it_gets_it_pulled_once() -> None:
    it = story()
    it.see("a", TEXT, pull="when-needed")
    it.tell(yes())
    assert started(it.tell(ImageNeeded("a"))) == [NAME]
    assert started(it.tell(ImageNeeded("a"))) == []
    effects = it.tell(BuildEnded(NAME, Ending.FOUND, image(NAME), pulled=registry_image(NAME)))
    assert SetAlias("a:latest", NAME) in effects
    assert environment_view(it.state, "a").image_id is not None
    assert not it.state.needed


def test_a_pull_that_failed_is_tried_again() -> None:
    it = story()
    it.see("a", TEXT, pull="when-needed")
    it.tell(yes())
    it.tell(ImageNeeded("a"))
    it.failed(NAME, passing=True)
    assert it.phase("a") is Phase.FAILED
    assert started(it.tell(Tick(), after=FIRST_BACK_OFF_S)) == [NAME]


def test_an_image_that_is_removed_here_is_asked_for_again() -> None:
    it = story()
    it.see("a", TEXT, pull="when-needed")
    it.tell(yes())
    it.tell(ImageNeeded("a"))
    it.tell(BuildEnded(NAME, Ending.FOUND, image(NAME), pulled=registry_image(NAME)), after=1.0)
    it.monotonic += 1.0
    assert AskRegistry(NAME, None) in it.list()
    it.tell(yes())
    assert it.phase("a") is Phase.READY


def test_an_image_that_is_not_believed_is_built_and_the_doubt_is_shown() -> None:
    it = story()
    it.see("a", TEXT)
    doubt = Problem("registry.example has another image there", "remove it")
    assert started(it.tell(RegistryAnswered(NAME, Answer.NO, problem=doubt))) == [NAME]
    assert environment_view(it.state, "a").warnings == ("registry.example has another image there (remove it)",)


def push_of(effects: tuple[Effect, ...]) -> list[PushImage]:
    return [effect for effect in effects if isinstance(effect, PushImage)]


def test_what_is_ready_is_pushed_once() -> None:
    it = story()
    it.list(image(NAME, "a:latest"))
    (push,) = push_of(it.see("a", TEXT, push="ready"))
    assert push == PushImage(NAME, image(NAME).id, None)
    assert environment_view(it.state, "a").pushing
    assert not is_idle(it.state)
    assert it.tell(PushEnded(NAME, push.image_id, registry_image(NAME))) == ()
    view = environment_view(it.state, "a")
    assert (view.pushing, view.registry) == (False, f"registry.example/{NAME}")
    assert push_of(it.list(image(NAME, "a:latest", "b:latest"))) == []
    assert is_idle(it.state)


def test_a_push_that_failed_is_done_again_and_the_environment_stays_ready() -> None:
    it = story()
    it.list(image(NAME, "a:latest"))
    it.see("a", TEXT, push="ready")
    it.tell(PushEnded(NAME, image(NAME).id, problem=PASSING))
    view = environment_view(it.state, "a")
    assert (view.state, view.warnings) == ("ready", (f"not pushed: {PASSING}",))
    assert push_of(it.tell(Tick(), after=FIRST_BACK_OFF_S - 0.1)) == []
    assert len(push_of(it.tell(Tick(), after=0.2))) == 1
    it.tell(PushEnded(NAME, image(NAME).id, problem=PASSING))
    assert push_of(it.tell(Tick(), after=FIRST_BACK_OFF_S + 1)) == []
    assert len(push_of(it.tell(Tick(), after=FIRST_BACK_OFF_S))) == 1


def test_another_image_of_the_name_is_looked_at_anew() -> None:
    it = story()
    it.list(image(NAME, "a:latest"))
    it.see("a", TEXT, push="ready")
    it.tell(PushEnded(NAME, image(NAME).id, registry_image(NAME)), after=1.0)
    it.monotonic += 1.0
    (push,) = push_of(it.list(image(NAME, "a:latest", id_="sha256:new")))
    assert push.image_id == "sha256:new"


def test_only_registered_versions_are_pushed_where_the_setting_says_so() -> None:
    it = story()
    it.list(image(NAME, "a:latest"))
    assert push_of(it.see("a", TEXT, push="registered")) == []
    assert push_of(it.tell(Registered({"x:1": OTHER_NAME}))) == []
    assert len(push_of(it.tell(Registered({"x:2": NAME})))) == 1


def test_a_push_can_be_asked_for_whatever_the_setting_is() -> None:
    it = story()
    it.list(image(NAME, "a:latest"))
    it.see("a", TEXT)
    assert len(push_of(it.tell(PushRequested("a")))) == 1
    assert push_of(it.tell(PushRequested("a"))) == [], "it runs"
    it.tell(PushEnded(NAME, image(NAME).id, problem=PASSING))
    assert len(push_of(it.tell(PushRequested("a")))) == 1, "at once"


def test_without_registries_nothing_is_pushed() -> None:
    it = Story()
    it.connect(image(NAME, "a:latest"))
    assert it.see("a", TEXT, push="ready") == ()
    assert it.tell(PushRequested("a")) == ()
    assert is_idle(it.state)


def test_machines_begin_with_different_names_and_each_keeps_its_order() -> None:
    def order(host: str) -> list[str]:
        it = Story(State(Policy(concurrent_builds=64)))
        for number in range(20):
            it.see(f"e{number}", definition(f"p{number}"))
        it.connect()
        # What would be started next, had nothing been started.
        queue = dict.fromkeys(it.state.builds, 0.0)
        return next_builds(replace(it.state, builds={}, queue=queue, policy=Policy(64, host=host)))

    one, two = order("one"), order("two")
    assert one == order("one")
    assert sorted(one) == sorted(two)
    assert one[:5] != two[:5]
    assert order("") == sorted(one)
