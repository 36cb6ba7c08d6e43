"""The doctor with a real service, engine and registry."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from registry_server import RegistryServer
from running import World

MakeWorld = Callable[..., World]


def examined(world: World) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Return the exit code of `doctor`, and its findings by check."""
    done = world.command("doctor", "--json")
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(done.stdout)["findings"]:
        found.setdefault(finding["check"], []).append(finding)
    return done.returncode, found


def verdicts(found: dict[str, list[dict[str, Any]]], *checks: str) -> set[str]:
    return {finding["verdict"] for check in checks for finding in found[check]}


def test_all_is_well_and_then_the_service_hangs(make_world: MakeWorld) -> None:
    world = make_world()
    world.write("a/Dockerfile", world.dockerfile())
    world.up()
    world.until_state("a", "ready")
    code, found = examined(world)
    assert code == 0
    healthy = ("configuration", "service", "versions", "engine", "api", "clock", "permissions", "builds", "registry")
    assert verdicts(found, *healthy) == {"ok"}
    assert world.process is not None
    world.process.send_signal(signal.SIGSTOP)
    try:
        code, found = examined(world)
    finally:
        world.process.send_signal(signal.SIGCONT)
    assert code == 4
    assert verdicts(found, "service") == {"error"}
    assert "does not answer" in found["service"][0]["text"]
    assert verdicts(found, "builds") == {"unknown"}


def test_a_registry_that_wants_a_log_in(make_world: MakeWorld, make_registry: Callable[..., RegistryServer]) -> None:
    registry = make_registry(locked=True)
    world = make_world()
    world.environ["DOCKER_CONFIG"] = str(world.directory)
    config = Path(world.environ["XDG_CONFIG_HOME"]) / "envkiln" / "envkiln.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'registries = ["{registry.host}"]\n')
    code, found = examined(world)
    assert code == 1
    (refused,) = found["registry"]
    assert refused["verdict"] == "error"
    assert refused["fix"].startswith(f"docker login {registry.host}")
