"""The service is killed at any instant, and the next start is as if nothing had happened."""

import ast
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from registry_server import RegistryServer
from running import World, until
from workload import Workload, broken_promises, built_names, left_tags, nothing_runs

from envkiln.daemon.engine import Engine
from envkiln.daemon.fault_point import VARIABLE

MakeWorld = Callable[..., World]

KILLS = int(os.environ.get("KILLS") or 10)
"""`make soak` does hundreds."""
SEED = int(os.environ.get("SEED") or 5)
DAEMON = Path(__file__).resolve().parents[2] / "daemon"


def fault_points() -> list[str]:
    """Return the name of every fault point in the product's code."""
    calls = [
        node
        for path in sorted(DAEMON.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "reach"
    ]
    return sorted({str(ast.literal_eval(call.args[0])) for call in calls})


@pytest.mark.timeout(120 + 60 * KILLS)
def test_killed_at_random_instants(make_world: MakeWorld, engine: Engine) -> None:
    world = make_world()
    work = Workload(world, engine, SEED)
    for kill in range(KILLS):
        world.configure(builder=("classic", "buildx")[kill % 2])
        if kill % 4 == 3:
            # In the middle of a start.
            world.spawn()
            time.sleep(work.moment(0.8))
        else:
            world.up()
            work.edits()
            time.sleep(work.moment(2.0))
        world.kill()
        if kill % 3 == 0:
            work.edits()
        _goes_on(world, engine, work)


@pytest.mark.timeout(120 + 60 * KILLS)
def test_killed_while_images_are_pushed_and_cleaned_up(
    make_world: MakeWorld, engine: Engine, make_registry: Callable[..., RegistryServer]
) -> None:
    host = make_registry().host
    world = make_world()
    world.configure_user(registries=[host], push="ready", keep_last=0, keep_days=0)
    work = Workload(world, engine, SEED, registry=host)
    for _ in range(max(2, KILLS // 10)):
        world.up()
        work.edits()
        cleaning = world.start("gc")
        time.sleep(work.moment(1.5))
        world.kill()
        cleaning.communicate()
        _goes_on(world, engine, work)


def where_to_kill() -> list[tuple[str, str]]:
    """Return every fault point with a builder: both where the builder itself has it."""
    return [(point, "classic") for point in fault_points()] + [("context-packed", "buildx"), ("image-built", "buildx")]


@pytest.mark.parametrize(("point", "builder"), where_to_kill())
def test_killed_at_a_fault_point(
    make_world: MakeWorld, engine: Engine, make_registry: Callable[..., RegistryServer], point: str, builder: str
) -> None:
    world = make_world(builder=builder)
    registry = make_registry().host if point.startswith("push") else None
    if registry:
        world.configure_user(registries=[registry], push="ready")
    work = Workload(world, engine, SEED, registry=registry)
    world.up()
    views = work.settled()
    world.stop()
    if point.startswith("lost-image"):
        engine.remove(f"{views['b']['image']}:latest")

    if point == "tag-removed":
        world.environ |= {"ENVKILN_KEEP_DAYS": "0", "ENVKILN_KEEP_LAST": "0"}

    world.spawn(environ={VARIABLE: point})
    work.save("a", 100)
    if point.startswith("token"):
        until(world.service, world.output)
        world.command("web")
    if point == "tag-removed":
        until(world.service, world.output)
        world.until_state("a", "ready", image_is_not=views["a"]["image"])
        world.command("gc")
    assert world.ended() == -signal.SIGKILL, world.output()
    _goes_on(world, engine, work)


def _goes_on(world: World, engine: Engine, work: Workload) -> None:
    """Start the service anew: nothing is lost, wrong or left, and nothing is built that is there."""
    assert world.command("status").returncode == 0
    there = built_names(engine, world)
    before = set(world.logs())
    world.up()
    views = work.settled()
    again = {f"azureml/azureml_{log.parent.name}" for log in set(world.logs()) - before}
    assert not again & there, "built although it was there"
    nothing_runs(world, engine)
    assert list(broken_promises(world, engine, views)) == []
    if work.registry:
        assert left_tags(engine, work.registry) == []
    assert world.stop() == 0
