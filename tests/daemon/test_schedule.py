"""What is built next, and what is said about the rest."""

from dataclasses import replace

import pytest
from values import MOVING_SETTINGS, SETTINGS, Story, definition, image, name_of, sighting

from envkiln.daemon.config import EnvironmentSettings
from envkiln.daemon.events import BuildRequested, EngineConnected, EngineLost, Looked, Problem, StartBuild
from envkiln.daemon.schedule import next_builds, why_waiting
from envkiln.daemon.state import Policy, State, is_idle

FOUND = [definition(f"p{i}") for i in range(4)]
NAMES = [name_of(found) for found in FOUND]


def saved(*contents: int, limit: int = 1) -> Story:
    """Environments saved one after the other, before the engine answers."""
    story = Story(State(Policy(concurrent_builds=limit)))
    for content in contents:
        story.monotonic += 1
        story.see(f"e{content}", FOUND[content])
    return story


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_what_was_saved_last_is_built_first(order: tuple[int, ...]) -> None:
    started = saved(*order).connect()
    assert started == (StartBuild(NAMES[order[-1]], f"e{order[-1]}", forced=False),)


def test_what_was_saved_together_is_built_by_name() -> None:
    story = Story(State(Policy(concurrent_builds=3)))
    story.tell(Looked(tuple(sighting(f"e{i}", found) for i, found in enumerate(FOUND))))
    assert [effect.name for effect in story.connect() if isinstance(effect, StartBuild)] == sorted(NAMES)[:3]


def test_what_somebody_asks_for_goes_before_everything_else() -> None:
    story = saved(0, 1, 2)
    story.tell(BuildRequested("e0"))
    assert story.connect() == (StartBuild(NAMES[0], "e0", forced=True),)


def test_a_comment_does_not_move_an_environment_to_the_front() -> None:
    story = saved(0, 1)
    story.monotonic += 1
    story.see("e0", definition("p0", comment="words"))
    assert story.connect() == (StartBuild(NAMES[1], "e1", forced=False),)


def test_it_is_said_why_each_one_waits() -> None:
    story = saved(0, 1)
    assert why_waiting(story.state, NAMES[0]) == "waits for the engine: not asked yet"
    story.tell(EngineLost(Problem("refused")))
    assert why_waiting(story.state, NAMES[0]) == "waits for the engine: refused"
    story.tell(EngineConnected("engine"))
    assert why_waiting(story.state, NAMES[0]) == "waits for the engine's list of images"
    story.list()
    assert why_waiting(story.state, NAMES[0]) == "waits for one of 1 running builds to end"
    story.see("e1", FOUND[2])
    story.see("e1", FOUND[1])
    assert why_waiting(story.state, NAMES[1]) == "waits for the build before it to stop"
    story.tell(Looked((sighting("m", FOUND[3], MOVING_SETTINGS),)))
    wanted = story.environment("m").wanted
    assert wanted is not None
    assert why_waiting(story.state, wanted) == "asks for the digest of base:1"


def test_what_has_to_wait_does_not_hold_up_the_rest() -> None:
    story = saved(0)
    story.monotonic += 1
    story.tell(Looked((sighting("m", FOUND[3], MOVING_SETTINGS),)))
    assert story.connect() == (StartBuild(NAMES[0], "e0", forced=False),)


def test_everything_at_rest_is_idle() -> None:
    story = saved()
    story.connect(image(NAMES[0], "e0:latest"))
    story.see("e0", FOUND[0])
    assert is_idle(story.state)
    story.see("e0", FOUND[1])
    assert not is_idle(story.state)
    assert next_builds(replace(story.state, builds={})) == []


def limited(concurrency: int, line: str) -> EnvironmentSettings:
    """Settings as a root's file or a pattern gives them, with the place of that line."""
    return replace(SETTINGS, concurrency=concurrency, sources={"concurrency": line})


def test_a_limit_counts_the_builds_of_the_environments_it_holds_for() -> None:
    story = Story(State(Policy(concurrent_builds=4)))
    gpu = limited(1, "envkiln.toml:7")
    story.tell(
        Looked(
            (
                *(sighting(f"gpu/{i}", FOUND[i], gpu) for i in range(2)),
                *(sighting(f"e{i}", FOUND[i]) for i in range(2, 4)),
            )
        )
    )
    started = [effect.id for effect in story.connect() if isinstance(effect, StartBuild)]
    assert {"e2", "e3"} <= set(started)
    assert len(started) == 3
    (waiting,) = story.state.queue
    assert why_waiting(story.state, waiting) == "waits for its turn: 1 at a time (envkiln.toml:7)"
    (running,) = story.state.builds.keys() & set(NAMES[:2])
    assert [effect.name for effect in story.built(running) if isinstance(effect, StartBuild)] == [waiting]


def test_two_limits_count_apart() -> None:
    story = Story(State(Policy(concurrent_builds=4)))
    seen = [sighting(f"{i % 2}/{i}", FOUND[i], limited(1, f"envkiln.toml:{i % 2}")) for i in range(4)]
    story.tell(Looked(tuple(seen)))
    started = [effect.id[0] for effect in story.connect() if isinstance(effect, StartBuild)]
    assert sorted(started) == ["0", "1"]
