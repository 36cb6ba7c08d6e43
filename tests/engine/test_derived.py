"""What somebody makes from an image of ours is theirs, on the real engine and with both builders."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from running import World, image_id, until

from envkiln.daemon.builder import Builder, BuildRequest
from envkiln.daemon.buildx import BuildxBuilder
from envkiln.daemon.classic import ClassicBuilder
from envkiln.daemon.engine import Engine
from envkiln.daemon.known_images import is_derived

MakeWorld = Callable[..., World]
Derive = Callable[[str, str], str]


@pytest.fixture(params=["classic", "buildx"])
def builder(request: pytest.FixtureRequest, testbed: Any) -> Builder:
    if request.param == "classic":
        return ClassicBuilder(testbed.url)
    return BuildxBuilder(testbed.url, docker_config=testbed.docker_config)


@pytest.fixture
def derive(engine: Engine) -> Iterator[Derive]:
    """Builds `FROM` an image, with one more instruction, under a tag of the user's."""
    client = engine.new_client(timeout_s=60)
    made: list[str] = []

    def build(reference: str, tag: str) -> str:
        container = client.create_container(reference, ["true"])
        repository, _, version = tag.rpartition(":")
        client.commit(container["Id"], repository, version, changes="ENV MINE=1")
        client.remove_container(container["Id"])
        made.append(tag)
        return tag

    yield build
    client.close()
    for tag in made:
        engine.remove(tag)


@pytest.mark.parametrize(
    ("ending", "links"),
    [
        ("WORKDIR /x", {}),
        ("RUN echo a \\", {}),
        ("WORKDIR /x", {"Other": "Dockerfile"}),
    ],
)
def test_an_image_is_ours_and_what_is_made_from_it_is_not(
    builder: Builder, requests: Any, engine: Engine, derive: Derive, ending: str, links: dict[str, str]
) -> None:
    request: BuildRequest = requests.context(ending, links=links)
    name = request.identity.image
    request.labels["envkiln.name"] = name  # type: ignore[index]
    asyncio.run(builder.build(request, lambda _: None))
    built = engine.inspect(request.tag)
    assert built is not None
    assert not is_derived(engine, built)
    derived = engine.inspect(derive(request.tag, f"somebodys-{name[-8:]}:1"))
    assert derived is not None
    assert derived.labels["envkiln.name"] == name, "it has inherited the label"
    assert is_derived(engine, derived)


def test_somebodys_image_under_our_name_is_not_believed(make_world: MakeWorld, engine: Engine, derive: Derive) -> None:
    world = make_world()
    world.write("a/Dockerfile", world.dockerfile())
    world.up()
    first = world.until_state("a", "ready")
    mine = derive(f"{first['image']}:latest", f"{world.mark}-mine:1")
    engine.tag(mine, f"{first['image']}:latest")
    until(lambda: image_id(engine, f"{first['image']}:latest") == first["image_id"], world.output)
    until(lambda: world.view("a")["state"] == "ready", world.output)
    assert image_id(engine, mine) not in (None, first["image_id"]), "it is left to its owner"
