"""`kill -9` at the worst moment: no wrong tag, nothing left running, and the next start carries on."""

import json
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from running import World, container_commands, image_id, processes_with, until

from envkiln.daemon.engine import Engine

MakeWorld = Callable[..., World]


@pytest.mark.parametrize("builder", ["classic", "buildx"])
def test_killed_in_the_middle_of_a_build(make_world: MakeWorld, engine: Engine, gate: Any, builder: str) -> None:
    world = make_world(builder=builder)
    world.write("a/Dockerfile", world.dockerfile())
    world.up()
    first = world.until_state("a", "ready")
    world.answer("wait", "a")
    world.write("a/Dockerfile", world.dockerfile(gate.step))
    until(lambda: gate.waiting == 1, world.output)
    wanted = world.until_state("a", "building")["image"]

    world.kill()
    until(lambda: gate.waiting == 0, "the step ends")
    until(lambda: not processes_with(wanted), lambda: processes_with(wanted))
    until(lambda: not any("urllib" in line for line in container_commands(engine)), "its container is gone")
    assert engine.inspect(f"{wanted}:latest") is None
    assert image_id(engine, world.alias("a")) == first["image_id"]
    assert world.paths.socket.exists(), "the killed service left its socket"
    asked = world.command("status", "a")
    assert asked.returncode == 0
    assert "the service is not running" in asked.stderr

    gate.open()
    world.up()
    second = world.until_state("a", "ready")
    assert second["image"] == wanted
    world.answer("wait", "a")
    assert image_id(engine, world.alias("a")) == image_id(engine, f"{wanted}:latest") == second["image_id"]


@pytest.mark.parametrize("builder", ["classic", "buildx"])
def test_asked_to_stop_in_the_middle_of_a_build(make_world: MakeWorld, engine: Engine, gate: Any, builder: str) -> None:
    world = make_world(builder=builder)
    world.write("a/Dockerfile", world.dockerfile(gate.step))
    world.up()
    until(lambda: gate.waiting == 1, world.output)
    wanted = world.until_state("a", "building")["image"]
    assert world.stop() == 0
    assert gate.waiting == 0, "the service waited for the end of its builds"
    assert not world.paths.socket.exists()
    assert image_id(engine, f"{wanted}:latest") is None
    (log,) = world.logs()
    assert log.read_text().splitlines()[-1].startswith("# cancelled, after ")
    assert json.loads(world.answer("status", "a", "--json"))["state"] != "ready"


def test_killed_between_the_image_and_its_alias(make_world: MakeWorld, engine: Engine) -> None:
    world = make_world()
    world.write("a/Dockerfile", world.dockerfile())
    world.up()
    view = world.until_state("a", "ready")
    world.answer("wait", "a")
    world.kill()
    # As it would be had the kill come a moment earlier.
    engine.remove(world.alias("a"))
    world.up()
    until(lambda: image_id(engine, world.alias("a")) == view["image_id"], world.output)
    assert len(world.logs()) == 1


def test_the_state_directory_is_lost(make_world: MakeWorld) -> None:
    """The index comes back from the labels of the images: nothing is built again."""
    world = make_world(base_image_digest="pin")
    world.write("a/Dockerfile", world.dockerfile())
    world.write("b/Dockerfile", world.dockerfile("ENV B=1"))
    world.up()
    before = {id_: world.until_state(id_, "ready") for id_ in ("a", "b")}
    world.kill()
    assert len(world.logs()) == 2
    shutil.rmtree(world.paths.state)

    world.up()
    for id_, view in before.items():
        after = world.until_state(id_, "ready")
        assert (after["image"], after["image_id"]) == (view["image"], view["image_id"])
        assert after["reason"] == "an image of this content exists"
    assert world.logs() == []
