"""How much a registry is asked: docs/scale.md has these numbers, and plans with them."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from registry_server import RegistryServer
from running import World, until
from sharing import pushed, shared, write_tiny

from envkiln.daemon.engine import Engine

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"
COUNT = 10


@pytest.fixture
def registry(make_registry: Callable[..., RegistryServer]) -> RegistryServer:
    return make_registry()


def documented(what: str) -> float:
    """Return the requests per environment that the page has for a row of its table."""
    (found,) = re.findall(rf"^\| {re.escape(what)} \| ([\d.]+) \|", PAGE.read_text(), re.MULTILINE)
    return float(found)


def all_pushed(world: World) -> None:
    for number in range(COUNT):
        pushed(world, f"tool-{number}")


def write_all(world: World) -> None:
    for number in range(COUNT):
        write_tiny(world, f"tool-{number}")


def test_requests_per_environment(make_world: Callable[..., World], registry: RegistryServer, engine: Engine) -> None:
    first = shared(make_world, registry.host, push="ready")
    write_all(first)
    first.up()
    all_pushed(first)
    counts = {"new content, built and pushed": registry.requests()}

    assert first.stop() == 0
    before = registry.requests()
    first.up()
    all_pushed(first)
    counts['start, image here, `push = "ready"`'] = registry.requests() - before

    assert first.stop() == 0
    before = registry.requests()
    first.configure_user(registries=[registry.host], push="never")
    first.up()
    first.until_state("tool-9", "ready")
    until(lambda: len(first.client.environments()) == COUNT, first.output)
    counts['start, image here, `push = "never"`'] = registry.requests() - before
    assert first.stop() == 0

    second = shared(make_world, registry.host, first.mark)
    write_all(second)
    for log in first.logs():
        engine.remove(f"azureml/azureml_{log.parent.name}:latest")
        for number in range(COUNT):
            engine.remove(first.alias(f"tool-{number}"))
    before = registry.requests()
    second.up()
    for number in range(COUNT):
        second.until_state(f"tool-{number}", "ready")
    assert second.logs() == []
    counts["new content, pulled"] = registry.requests() - before

    for what, count in counts.items():
        assert count / COUNT <= documented(what), counts
