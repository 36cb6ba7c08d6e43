"""An edit while its old text is being built: the old build is stopped and leaves nothing behind."""

from collections.abc import Callable
from typing import Any

import pytest
from running import World, container_commands, image_id, processes_with, until

from envkiln.daemon.engine import Engine


@pytest.mark.parametrize("builder", ["classic", "buildx"])
def test_an_edit_stops_the_build_of_what_was_there(
    make_world: Callable[..., World], engine: Engine, gate: Any, builder: str
) -> None:
    world = make_world(builder=builder)
    world.write("a/Dockerfile", world.dockerfile(gate.step))
    world.up()
    until(lambda: gate.waiting == 1, world.output)
    old = world.until_state("a", "building")

    world.write("a/Dockerfile", world.dockerfile("ENV NEWER=1"))
    new = world.until_state("a", "ready")
    assert new["image"] != old["image"]
    # The gate is still shut: whoever waits no more was stopped.
    until(lambda: gate.waiting == 0, "the step of the old build ends")
    until(lambda: not processes_with(old["image"]), lambda: processes_with(old["image"]))
    until(lambda: not any(_is_ours(line, gate) for line in container_commands(engine)), "its container is gone")
    assert engine.inspect(f"{old['image']}:latest") is None
    world.answer("wait", "a")
    assert image_id(engine, world.alias("a")) == new["image_id"]
    endings = {log.parent.name[-32:]: log.read_text().splitlines()[-1] for log in world.logs()}
    assert endings.keys() == {old["image"][-32:], new["image"][-32:]}
    assert endings[old["image"][-32:]].startswith("# cancelled, after ")
    assert endings[new["image"][-32:]].startswith("# ended well, after ")


@pytest.mark.parametrize("builder", ["classic", "buildx"])
def test_back_and_forth_while_it_is_being_stopped(
    make_world: Callable[..., World], engine: Engine, gate: Any, builder: str
) -> None:
    """The text that was given up comes back at once: it is built in the end, by a build of its own."""
    world = make_world(builder=builder)
    text = world.dockerfile(gate.step)
    world.write("a/Dockerfile", text)
    world.up()
    until(lambda: gate.waiting == 1, world.output)
    wanted = world.until_state("a", "building")["image"]
    world.write("a/Dockerfile", world.dockerfile("ENV OTHER=1"))
    until(lambda: world.view("a")["image"] not in (None, wanted), world.output)
    world.write("a/Dockerfile", text)
    gate.open()
    view = until(lambda: _ready(world, wanted), world.output)
    world.answer("wait", "a")
    assert image_id(engine, world.alias("a")) == view["image_id"]


def _ready(world: World, image: str) -> dict[str, Any] | None:
    view = world.until_state("a", "ready")
    return view if view["image"] == image else None


def _is_ours(command: str, gate: Any) -> bool:
    return gate.step.removeprefix("RUN ")[:30] in command
