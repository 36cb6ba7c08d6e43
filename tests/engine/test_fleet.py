"""Two machines, one registry, and nobody who tells them what to do (docs/scale.md)."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import pytest
from registry_server import RegistryServer
from running import World, until
from second_host import SecondHost, over_tls
from sharing import shared, write_tiny

from envkiln.daemon.engine import Engine

ENVIRONMENTS = [f"tool-{number:02}" for number in range(50)]
MOST_BUILDS = 60
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
LIMIT_S = 240.0
"""The work takes about 20 s where nothing else runs."""

Fleet = tuple[World, World]


@pytest.fixture
def registry(make_registry: Callable[..., RegistryServer]) -> RegistryServer:
    return make_registry()


@pytest.fixture
def fleet(make_world: Callable[..., World], registry: RegistryServer, second: SecondHost) -> Iterator[Fleet]:
    """Two machines with the same environments, that push what they have; the second's engine is the second one."""
    here = shared(make_world, registry.host, push="ready")
    there = over_tls(shared(make_world, registry.host, here.mark, push="ready"), second)
    yield here, there
    there.close(second.engine)


def at_once(fleet: Fleet) -> None:
    """Both services run, and then all files come to both."""
    for world in fleet:
        world.up()
    for id_ in ENVIRONMENTS:
        for world in fleet:
            write_tiny(world, id_)


def finished(world: World) -> dict[str, dict[str, Any]]:
    """Wait until all environments are ready and stand in the registry; their views by id."""

    def views() -> dict[str, dict[str, Any]] | None:
        found = {view["environment"]: view for view in world.client.environments()}
        done = [id_ for id_, view in found.items() if view["state"] == "ready" and view["registry"]]
        return found if sorted(done) == ENVIRONMENTS and not any(view["pushing"] for view in found.values()) else None

    return until(views, world.output, LIMIT_S)


def assert_each_image_is_right(world: World, engine: Engine, registry: RegistryServer) -> None:
    for id_, view in finished(world).items():
        image = engine.inspect(f"{view['image']}:latest")
        assert image is not None
        assert image.labels["envkiln.name"] == view["image"]
        assert image.environment["ID"] == id_
        status, manifest = registry.call("GET", f"/v2/{view['image']}/manifests/latest", Accept=MANIFEST)
        assert status == 200
        assert view["digest"] == f"sha256:{sha256(manifest).hexdigest()}"


def test_fifty_environments_on_two_machines_take_at_most_sixty_builds(
    fleet: Fleet, registry: RegistryServer, engine: Engine, second: SecondHost
) -> None:
    at_once(fleet)
    for world, where in zip(fleet, (engine, second.engine), strict=True):
        assert_each_image_is_right(world, where, registry)
    counts = [len(world.logs()) for world in fleet]
    assert 50 <= sum(counts) <= MOST_BUILDS, counts
    assert min(counts) > 0, "one machine did all of the work"
    digests = [{id_: view["digest"] for id_, view in finished(world).items()} for world in fleet]
    assert digests[0] == digests[1]


def test_when_one_machine_dies_the_other_finishes(
    fleet: Fleet, registry: RegistryServer, engine: Engine, second: SecondHost
) -> None:
    here, there = fleet
    at_once(fleet)
    until(lambda: len(here.logs()) >= 5, here.output, LIMIT_S)
    here.kill()
    assert_each_image_is_right(there, second.engine, registry)

    # It comes back, and builds nothing but what it was about when it died.
    here.up()
    assert_each_image_is_right(here, engine, registry)
    counts = [len(world.logs()) for world in fleet]
    assert 50 <= sum(counts) <= MOST_BUILDS, counts
