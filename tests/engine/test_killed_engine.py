"""The engine is killed in the middle of a build, as a power cut would: nothing of the build is left when it is back."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from running import World, container_commands, until
from second_host import SecondHost

MakeWorld = Callable[..., World]


@pytest.fixture
def world(make_world: MakeWorld, second: SecondHost) -> Iterator[World]:
    """On the second engine, which is ours to kill."""
    assert second.engine.url
    made = make_world(engine_url=second.engine.url, builder="classic")
    yield made
    made.close(second.engine)


@pytest.mark.parametrize("service", ["goes on", "is killed too"])
def test_a_killed_engine_leaves_no_container(world: World, second: SecondHost, gate: Any, service: str) -> None:
    world.write("a/Dockerfile", world.dockerfile(f"{gate.step} # {world.mark}"))
    world.up()
    until(lambda: gate.waiting == 1, world.output)
    assert _containers(world, second)

    if service == "is killed too":
        world.kill()
    _kill(second)
    gate.open()
    second.main("start-second")
    if service == "is killed too":
        # A service that goes on may have removed it by now.
        assert _containers(world, second), "the engine knows nothing of the build that was"
        world.up()
    world.until_state("a", "ready")
    until(lambda: not _containers(world, second), lambda: _containers(world, second))
    assert not list((world.paths.state / "steps").iterdir())


def _kill(second: SecondHost) -> None:
    process = int(_socket(second).with_name("dockerd.pid").read_text(encoding="ascii"))
    os.kill(process, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{process}").exists(), "the engine is killed")


def _socket(second: SecondHost) -> Path:
    return Path(str(second.engine.url).removeprefix("unix://"))


def _containers(world: World, second: SecondHost) -> list[str]:
    return [command for command in container_commands(second.engine) if world.mark in command]
