"""What environments share: images, aliases, base images, and the places for running builds."""

from dataclasses import replace

import pytest
from values import (
    BROKEN,
    DIGEST,
    MOVING,
    MOVING_SETTINGS,
    OTHER_DIGEST,
    PASSING,
    SETTINGS,
    Story,
    definition,
    image,
    name_of,
    sighting,
)

from envkiln.daemon.events import (
    AliasSet,
    BaseResolved,
    BaseUnresolved,
    BuildRequested,
    CancelBuild,
    EngineConnected,
    EngineLost,
    Looked,
    Problem,
    ResolveBase,
    SetAlias,
    StartBuild,
    Tick,
)
from envkiln.daemon.state import Base, Phase, Policy, State, next_wake
from envkiln.daemon.step import ASK_AGAIN_S

FOUND = definition()
A = name_of(FOUND)
B = name_of(definition("python=3.12"))
PINNED_NAME = name_of(FOUND, MOVING.with_digest(DIGEST))
MOVED_NAME = name_of(FOUND, MOVING.with_digest(OTHER_DIGEST))
BASE = str(MOVING)
SAME_ALIAS = replace(SETTINGS, aliases=("shared:latest",))


def on_moving_base(**state: object) -> Story:
    story = Story(replace(State(), **state))  # type: ignore[arg-type]
    story.connect()
    return story


def look(story: Story) -> object:
    return story.tell(Looked((sighting("a", FOUND, MOVING_SETTINGS),)))


def test_environments_of_one_content_share_one_build_and_each_gets_its_alias() -> None:
    story = Story()
    story.connect()
    seen = tuple(sighting(f"e{i:02}", definition(f"python=3.{min(i, 5)}")) for i in range(20))
    started = list(story.tell(Looked(seen)))
    tagged = []
    while builds := [effect for effect in started if isinstance(effect, StartBuild)]:
        started = [effect for build in builds for effect in story.built(build.name)]
        tagged += [effect.alias for effect in started if isinstance(effect, SetAlias)]
    assert len(story.state.images) == 6
    assert sorted(tagged) == [f"e{i:02}:latest" for i in range(20)]
    assert {environment.phase for environment in story.state.environments.values()} == {Phase.READY}


def test_no_more_builds_run_than_the_limit_says_and_the_next_one_is_shown_as_building() -> None:
    story = Story(State(Policy(concurrent_builds=2)))
    story.connect()
    names = [name_of(definition(f"p{i}")) for i in range(3)]
    for i in range(3):
        story.see(f"e{i}", definition(f"p{i}"))
    assert story.state.builds.keys() == set(names[:2])
    assert StartBuild(names[2], "e2", forced=False) in story.built(names[0])
    assert story.phase("e2") is Phase.BUILDING
    assert story.state.changed == {"e0", "e2"}


def test_a_cancelled_build_counts_until_it_has_stopped() -> None:
    story = Story(State(Policy(concurrent_builds=1)))
    story.connect()
    story.see("a", FOUND)
    assert story.see("a", definition("python=3.12")) == (CancelBuild(A),)
    assert story.cancelled(A) == (StartBuild(B, "a", forced=False),)


def test_a_build_goes_on_while_another_environment_waits_for_it() -> None:
    story = Story()
    story.connect()
    story.tell(Looked((sighting("a", FOUND), sighting("b", FOUND))))
    assert story.environment("b").reason == "together with a"
    assert story.tell(Looked((), frozenset({"a"}))) == ()
    assert story.built(A) == (SetAlias("b:latest", A),)


def test_an_environment_that_is_not_built_is_ready_when_another_one_was() -> None:
    story = Story()
    story.connect()
    story.see("quiet", FOUND, build=False)
    assert story.see("a", FOUND) == (StartBuild(A, "a", forced=False),)
    story.built(A)
    assert story.phase("quiet") is Phase.READY
    story.tell(EngineLost(Problem("refused")))
    story.tell(BuildRequested("a"))
    assert story.phase("a") is Phase.QUEUED
    assert story.phase("quiet") is Phase.READY


def test_an_alias_that_two_environments_claim_belongs_to_the_first_by_id() -> None:
    story = Story()
    story.connect(image(A), image(B))
    second = sighting("b", definition("python=3.12"), SAME_ALIAS)
    assert story.tell(Looked((second,))) == (SetAlias("shared:latest", B),)
    story.tell(AliasSet("shared:latest", B))
    assert story.tell(Looked((sighting("a", FOUND, SAME_ALIAS),))) == (SetAlias("shared:latest", A),)
    assert story.tell(AliasSet("shared:latest", A)) == ()
    for event in (Looked((second,)), Tick(), EngineConnected("again")):
        assert story.tell(event, after=100) == ()
    assert story.list(image(A, "shared:latest"), image(B)) == ()
    assert story.tell(Looked((), frozenset({"a"}))) == (SetAlias("shared:latest", B),)


def test_an_alias_waits_for_its_owner_to_be_ready() -> None:
    story = Story()
    story.connect(image(B))
    story.tell(Looked((sighting("a", FOUND, SAME_ALIAS), sighting("b", definition("python=3.12"), SAME_ALIAS))))
    assert story.state.setting == {}
    assert story.built(A) == (SetAlias("shared:latest", A),)


def test_an_alias_that_was_moved_by_hand_is_put_back() -> None:
    story = Story()
    story.connect(image(A, "a:latest"))
    story.see("a", FOUND)
    story.monotonic += 1
    assert story.list(image(A)) == (SetAlias("a:latest", A),)


def test_an_alias_follows_the_last_of_several_quick_edits() -> None:
    story = Story()
    story.connect(image(A), image(B))
    assert story.see("a", FOUND) == (SetAlias("a:latest", A),)
    assert story.see("a", definition("python=3.12")) == (SetAlias("a:latest", B),)
    assert story.tell(AliasSet("a:latest", A)) == ()
    assert story.tell(AliasSet("a:latest", B)) == ()
    assert "a:latest" in story.state.images[B].references
    assert "a:latest" not in story.state.images[A].references


def test_an_alias_that_was_refused_is_asked_for_again_later_and_does_not_undo_the_image() -> None:
    story = Story()
    story.connect(image(A))
    story.see("a", FOUND)
    assert story.tell(AliasSet("a:latest", A, Problem("the tag belongs to another"))) == ()
    assert story.phase("a") is Phase.READY
    assert next_wake(story.state) == story.monotonic + ASK_AGAIN_S
    assert story.tell(Tick(), after=ASK_AGAIN_S - 1) == ()
    assert story.tell(Tick(), after=1) == (SetAlias("a:latest", A),)
    story.tell(AliasSet("a:latest", A))
    assert next_wake(story.state) is None


def test_an_alias_that_could_not_be_set_for_want_of_the_engine_is_set_when_it_is_back() -> None:
    story = Story()
    story.connect(image(A))
    story.see("a", FOUND)
    story.tell(AliasSet("a:latest", A, PASSING))
    story.tell(EngineLost(Problem("refused")))
    assert story.connect(image(A)) == (SetAlias("a:latest", A),)


def test_a_definition_that_breaks_keeps_its_aliases_from_others() -> None:
    story = Story()
    story.see("a", FOUND)
    story.see("a", BROKEN)
    assert story.state.claims == {"a:latest": {"a"}}


def test_a_definition_that_was_never_valid_claims_no_alias() -> None:
    story = Story()
    story.see("a", BROKEN)
    assert story.state.claims == {}


def test_a_base_image_is_asked_for_once_and_nothing_is_built_before_the_answer() -> None:
    story = on_moving_base()
    assert look(story) == (ResolveBase(BASE),)
    assert story.tell(Looked((sighting("b", definition("other"), MOVING_SETTINGS),))) == ()
    assert story.phase("a") is Phase.QUEUED
    assert StartBuild(PINNED_NAME, "a", forced=False) in story.tell(BaseResolved(BASE, DIGEST))
    assert look(story) == ()


def test_a_base_image_without_a_digest_is_built_on_by_its_tag() -> None:
    story = on_moving_base()
    look(story)
    assert story.tell(BaseResolved(BASE, None)) == (StartBuild(name_of(FOUND, MOVING), "a", forced=False),)


def test_a_recorded_digest_needs_no_question() -> None:
    story = on_moving_base(bases={BASE: Base(DIGEST, answered=True, due=1e6)})
    assert look(story) == (StartBuild(PINNED_NAME, "a", forced=False),)


def test_a_base_image_that_moved_gives_a_new_name_and_a_new_build() -> None:
    story = on_moving_base(bases={BASE: Base(DIGEST, answered=True, due=2000.0)})
    look(story)
    story.built(PINNED_NAME)
    assert story.tell(Tick(), after=1999.0 - story.monotonic) == ()
    assert next_wake(story.state) == 2000.0
    assert story.tell(Tick(), after=1.0) == (ResolveBase(BASE),)
    assert story.phase("a") is Phase.READY
    assert story.tell(BaseResolved(BASE, OTHER_DIGEST)) == (StartBuild(MOVED_NAME, "a", forced=False),)
    assert next_wake(story.state) == story.monotonic + story.state.policy.digest_refresh_s


@pytest.mark.parametrize("answer", [BaseResolved(BASE, None), BaseUnresolved(BASE, Problem("no network"))], ids=repr)
def test_a_known_digest_is_kept_when_nobody_can_say_it(answer: BaseResolved | BaseUnresolved) -> None:
    story = on_moving_base(bases={BASE: Base(DIGEST, answered=True, due=1500.0)})
    look(story)
    story.tell(Tick(), after=500)
    assert story.tell(answer) == ()
    assert story.environment("a").wanted == PINNED_NAME


def test_an_unknown_digest_is_taken_from_the_record_or_left_out_and_asked_for_again() -> None:
    story = on_moving_base()
    look(story)
    started = story.tell(BaseUnresolved(BASE, Problem("no network"), recorded=DIGEST))
    assert started == (StartBuild(PINNED_NAME, "a", forced=False),)
    assert story.tell(Tick(), after=ASK_AGAIN_S) == (ResolveBase(BASE),)


def test_a_base_without_a_digest_is_asked_for_again_before_a_build_when_the_engine_comes_back() -> None:
    story = on_moving_base()
    look(story)
    story.tell(BaseUnresolved(BASE, Problem("no network")))
    story.cancelled(name_of(FOUND, MOVING))
    assert story.tell(EngineConnected("again")) == (ResolveBase(BASE),)
    assert story.phase("a") is Phase.BUILDING


def test_a_base_without_a_digest_that_nobody_uses_is_forgotten() -> None:
    story = on_moving_base()
    look(story)
    story.tell(BaseResolved(BASE, None))
    story.tell(Looked((), frozenset({"a"})))
    story.cancelled(name_of(FOUND, MOVING))
    assert story.tell(Tick(), after=story.state.policy.digest_refresh_s) == ()
    assert story.state.bases == {}
    assert next_wake(story.state) is None


def test_a_digest_that_nobody_used_for_long_still_names_and_is_asked_for_before_a_build() -> None:
    story = on_moving_base(bases={BASE: Base(DIGEST, answered=True, due=1500.0)})
    assert story.tell(Tick(), after=500) == ()
    assert look(story) == (ResolveBase(BASE),)
    assert (story.environment("a").wanted, story.phase("a")) == (PINNED_NAME, Phase.QUEUED)
    assert story.tell(BaseResolved(BASE, OTHER_DIGEST)) == (StartBuild(MOVED_NAME, "a", forced=False),)


def test_a_pinned_or_ignored_digest_is_not_asked_for() -> None:
    story = on_moving_base()
    assert ResolveBase(BASE) not in story.see("a", FOUND)
    ignoring = replace(MOVING_SETTINGS, base_image_digest="ignore")
    assert ResolveBase(BASE) not in story.tell(Looked((sighting("b", FOUND, ignoring),)))
