"""A configuration that changes and a service that ends, while builds run."""

import signal
from collections.abc import Callable
from typing import Any

from running import PATIENCE_S, World, image_id, until

from envkiln.daemon.engine import Engine

MakeWorld = Callable[..., World]


def test_a_build_goes_on_over_a_reload(make_world: MakeWorld, engine: Engine, gate: Any) -> None:
    world = make_world()
    world.write("a/Dockerfile", world.dockerfile(gate.step))
    world.up()
    until(lambda: gate.waiting == 1, world.output)
    world.configure(aliases=[f"{world.mark}/renamed-{{id}}:latest"], settle_ms=10)
    assert world.process is not None
    world.process.send_signal(signal.SIGHUP)
    world.until_output("configuration read again")
    assert gate.waiting == 1
    gate.open()
    view = world.until_state("a", "ready")
    assert view["aliases"] == [f"{world.mark}/renamed-a:latest"]
    world.answer("wait", "a")
    assert image_id(engine, f"{world.mark}/renamed-a:latest") == view["image_id"]
    assert len(world.logs()) == 1


def test_a_build_may_end_before_the_service_does_and_none_begins(
    make_world: MakeWorld, engine: Engine, gate: Any
) -> None:
    world = make_world()
    world.write("a/Dockerfile", world.dockerfile(gate.step))
    world.up("--stop-wait-s", "600", "--concurrent-builds", "1")
    until(lambda: gate.waiting == 1, world.output)
    wanted = world.until_state("a", "building")["image"]
    world.write("b/Dockerfile", world.dockerfile("ENV B=1"))
    world.until_state("b", "queued")
    process = world.process
    assert process is not None
    process.send_signal(signal.SIGTERM)
    world.until_output("stopping; what is being built (1) may take 600 s")
    gate.open()
    assert process.wait(PATIENCE_S) == 0
    assert image_id(engine, f"{wanted}:latest") is not None
    assert image_id(engine, world.alias("a")) == image_id(engine, f"{wanted}:latest")
    (log,) = world.logs()
    assert log.read_text().splitlines()[-1].startswith("# ended well, after ")


def test_a_build_that_takes_longer_than_the_service_waits_is_cancelled(
    make_world: MakeWorld, engine: Engine, gate: Any
) -> None:
    world = make_world()
    world.write("a/Dockerfile", world.dockerfile(gate.step))
    world.up("--stop-wait-s", "0.5")
    until(lambda: gate.waiting == 1, world.output)
    wanted = world.until_state("a", "building")["image"]
    assert world.stop() == 0
    assert image_id(engine, f"{wanted}:latest") is None
    (log,) = world.logs()
    assert log.read_text().splitlines()[-1].startswith("# cancelled, after ")
