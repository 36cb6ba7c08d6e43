"""An engine that is there and does not work: what one sees, what goes on meanwhile, and that it heals by itself."""

from collections.abc import Callable
from typing import Any

import pytest
from engine_door import BROKEN_JSON, ERROR_500, EngineDoor
from running import View, World, until

MakeWorld = Callable[..., World]
LONGER_S = 180.0
"""A hanging engine is given up after ten seconds a call, one call after another."""


@pytest.mark.parametrize(
    ("break_", "problem"),
    [
        (lambda door: door.reply(ERROR_500), "answered 500: layer does not exist"),
        (lambda door: door.reply(BROKEN_JSON), "cannot be read"),
        (lambda door: door.reply(b""), "closed the connection"),
        (lambda door: door.hang(), "did not answer in time"),
    ],
    ids=["500", "broken JSON", "cut", "hanging"],
)
def test_an_engine_that_does_not_work(
    make_world: MakeWorld, door: EngineDoor, break_: Callable[[EngineDoor], Any], problem: str
) -> None:
    door.open()
    world = make_world(engine_url=door.url)
    world.write("a/Dockerfile", world.dockerfile())
    world.write("b/Dockerfile", world.dockerfile("ENV OTHER=1"))
    world.up()
    before = world.until_alias("a")
    known = world.until_alias("b")

    break_(door)
    world.write("a/Dockerfile", world.dockerfile("ENV NEWER=1"))
    until(lambda: problem in str(_engine(world)["problem"]), lambda: (_engine(world), world.output()), LONGER_S)
    assert _engine(world)["connected"] is False
    # What is in the files is known at once, and what was ready stays so.
    world.write("c/env.yml", "dependencies: [\n")
    world.until_state("c", "invalid")
    assert world.view("b") == known
    assert world.view("a")["image"] != before["image"]
    waiting = until(lambda: _one_of(world, "queued", "failed"), lambda: world.view("a"))
    assert waiting["turn"] in (None, "surroundings")

    door.heal()
    world.until_state("a", "ready", limit_s=LONGER_S)
    assert _engine(world)["problem"] is None


@pytest.mark.parametrize("builder", ["classic", "buildx"])
def test_a_slow_engine_only_takes_longer(make_world: MakeWorld, door: EngineDoor, builder: str) -> None:
    door.open()
    door.slow(0.05)
    world = make_world(engine_url=door.url, builder=builder)
    world.write("a/Dockerfile", world.dockerfile())
    world.up()
    world.until_state("a", "ready", limit_s=LONGER_S)
    assert len(world.logs()) == 1


def _one_of(world: World, *states: str) -> View | None:
    view = world.view("a")
    return view if view["state"] in states else None


def _engine(world: World) -> dict[str, Any]:
    found = world.service()
    assert found is not None
    engine: dict[str, Any] = found["engine"]
    return engine
