"""What happens to the engine and its images while the service runs is noticed and made good."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from engine_door import EngineDoor
from running import World, image_id, until

from envkiln.daemon.engine import Engine

MakeWorld = Callable[..., World]


def test_removed_tags_come_back(make_world: MakeWorld, engine: Engine) -> None:
    world = make_world()
    world.write("a/Dockerfile", world.dockerfile())
    world.up()
    view = world.until_state("a", "ready")
    name, alias = f"{view['image']}:latest", world.alias("a")
    until(lambda: engine.inspect(alias), world.output)

    engine.remove(alias)
    until(lambda: engine.inspect(alias), world.output)
    # While the image is there under another name, it gets its name back: nothing is built.
    engine.remove(name)
    until(lambda: engine.inspect(name), world.output)
    assert image_id(engine, name) == view["image_id"]
    assert len(world.logs()) == 1
    world.until_state("a", "ready")
    # All names in one call: an image that loses one of them only gets it back.
    client = engine.new_client()
    client.remove_image(view["image_id"], force=True)
    client.close()
    _until_built_again(world, 2)
    until(lambda: engine.inspect(alias), world.output)
    assert image_id(engine, name) == image_id(engine, alias) == world.view("a")["image_id"]


def test_an_alias_that_was_moved_comes_back(make_world: MakeWorld, engine: Engine) -> None:
    world = make_world()
    world.write("a/Dockerfile", world.dockerfile())
    world.write("b/Dockerfile", world.dockerfile("ENV OTHER=1"))
    world.up()
    first, second = world.until_state("a", "ready"), world.until_state("b", "ready")
    until(lambda: engine.inspect(world.alias("a")), world.output)
    engine.tag(f"{second['image']}:latest", world.alias("a"))

    until(lambda: image_id(engine, world.alias("a")) == first["image_id"], world.output)


def test_an_image_of_somebody_else_keeps_its_tag(make_world: MakeWorld, engine: Engine, testbed: Any) -> None:
    world = make_world()
    alias = world.alias("a")
    engine.tag(testbed.base_image, alias)
    try:
        world.write("a/Dockerfile", world.dockerfile())
        world.up()
        world.until_state("a", "ready")
        warnings = until(lambda: world.view("a")["warnings"], world.output)
        assert f"the tag {alias} belongs to an image that envkiln did not make" in warnings[0]
        assert image_id(engine, alias) == image_id(engine, testbed.base_image)
    finally:
        engine.remove(alias)


def test_an_engine_that_goes_and_comes_back(make_world: MakeWorld, door: EngineDoor, engine: Engine) -> None:
    door.open()
    world = make_world(engine_url=door.url)
    world.write("a/Dockerfile", world.dockerfile())
    world.up()
    first = world.until_alias("a")

    door.shut()
    _until_away(world)
    known = world.view("a")
    assert (known["state"], known["image_id"], known["tags"]) == ("ready", first["image_id"], first["tags"])
    world.write("a/Dockerfile", world.dockerfile("ENV NEWER=1"))
    waiting = world.until_state("a", "queued")
    assert "waits for the engine" in waiting["reason"]
    status = world.command("status")
    assert status.returncode == 0
    assert "the engine does not answer" in status.stderr

    door.open()
    second = world.until_state("a", "ready")
    assert second["image"] != first["image"]
    until(lambda: image_id(engine, world.alias("a")) == second["image_id"], world.output)
    assert len(world.logs()) == 2


@pytest.mark.parametrize("builder", ["classic", "buildx"])
def test_an_engine_that_goes_in_the_middle_of_a_build(
    make_world: MakeWorld, door: EngineDoor, gate: Any, builder: str
) -> None:
    """Nobody but the engine is to blame: the build starts again by itself when the engine is back."""
    door.open()
    world = make_world(engine_url=door.url, builder=builder)
    world.write("a/Dockerfile", world.dockerfile(gate.step))
    world.up()
    until(lambda: gate.waiting == 1, world.output)
    door.shut()
    _until_away(world)
    until(lambda: world.view("a")["state"] in ("queued", "failed"), world.output)
    assert world.view("a")["turn"] in (None, "surroundings")
    gate.open()
    door.open()
    world.until_state("a", "ready")


def test_a_start_without_the_engine(make_world: MakeWorld, door: EngineDoor) -> None:
    world = make_world(engine_url=door.url)
    world.write("a/Dockerfile", world.dockerfile())
    world.write("b/env.yml", "dependencies: [\n")
    world.up()
    world.until_state("b", "invalid")
    world.until_state("a", "queued")
    _until_away(world)
    door.open()
    world.until_state("a", "ready")


def test_the_real_engine_stopped_and_started(make_world: MakeWorld, testbed: Any, engine: Engine) -> None:
    if not testbed.private:
        pytest.skip("the engine is not ours to stop: the tests with a door are for this one")
    world = make_world()
    world.write("a/Dockerfile", world.dockerfile())
    world.up()
    first = world.until_state("a", "ready")
    testbed.main("stop-engine")
    try:
        _until_away(world)
        world.write("a/Dockerfile", world.dockerfile("ENV NEWER=1"))
        world.until_state("a", "queued")
    finally:
        testbed.main("start-engine")
    second = world.until_state("a", "ready")
    assert second["image"] != first["image"]
    until(lambda: image_id(engine, world.alias("a")) == second["image_id"], world.output)


def _until_built_again(world: World, times: int) -> None:
    """Its builds are over, too: a tag that goes while one is being verified costs a back-off."""
    until(lambda: len(world.logs()) == times and world.view("a")["state"] == "ready", world.output)


def _until_away(world: World) -> None:
    until(lambda: not json.loads(world.answer("status", "--json"))["service"]["engine"]["connected"], world.output)
    engine = json.loads(world.answer("status", "--json"))["service"]["engine"]
    assert engine["problem"]
    assert engine["hint"]
