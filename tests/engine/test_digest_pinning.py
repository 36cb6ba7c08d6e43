"""A base image's tag is resolved once, recorded, and kept while the registry is away: with a real registry."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from running import World, until

from envkiln.daemon.engine import Engine


class Registry:
    """Debian's docker-registry on 127.0.0.1, started and stopped at will."""

    def __init__(self, program: str, directory: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self._command = [program, "serve", str(directory / "config.yml")]
        (directory / "config.yml").write_text(
            f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {directory / 'store'}}}}}\n"
            f"http: {{addr: {self.address}}}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._answers, "the registry answers")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        host, _, port = self.address.partition(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0


@pytest.fixture
def registry(testbed: Any, tmp_path: Path) -> Iterator[Registry]:
    if testbed.registry is None:
        if os.environ.get("CI"):
            pytest.fail("the test bed has no registry")
        pytest.skip("the test bed has no registry: Debian's docker-registry could not be had")
    made = Registry(testbed.registry, tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def push(testbed: Any, engine: Engine, registry: Registry, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Pushes an image that `marker` makes different, as `base:1` of the registry, and returns its digest."""
    reference = f"{registry.address}/base:1"
    client = engine.new_client(timeout_s=60)

    def make(marker: str) -> str:
        context = tmp_path / "base" / "Dockerfile"
        context.parent.mkdir(exist_ok=True)
        context.write_text(f"FROM {testbed.base_image}\nENV BASE={marker}\n")
        list(client.build(path=str(context.parent), tag=reference, decode=True))
        lines = list(client.push(reference, stream=True, decode=True))
        (digest,) = [line["aux"]["Digest"] for line in lines if "aux" in line]
        return str(digest)

    yield make
    for image in client.images(reference.rpartition(":")[0], all=True):
        client.remove_image(image["Id"], force=True)
    client.close()


def test_a_tag_is_pinned_once_and_its_digest_outlives_the_registry_and_the_index(
    make_world: Callable[..., World], registry: Registry, push: Callable[[str], str], engine: Engine, testbed: Any
) -> None:
    digest = push("one")
    reference = f"{registry.address}/base:1"
    world = make_world(base_image=reference, base_image_digest="pin")
    world.write("a/env.yml", world.conda(testbed.channel, "python"))
    world.up()
    first = world.until_state("a", "ready")
    assert first["base_image"] == f"{reference}@{digest}"
    built = engine.inspect(f"{first['image']}:latest")
    assert built is not None
    assert built.labels["org.opencontainers.image.base.digest"] == digest
    assert built.environment["BASE"] == "one"
    world.stop()
    # `name` needs no registry: the digest is recorded.
    named = json.loads(world.answer("name", world.root / "a", "--root", world.root, "--json"))
    assert (named["image"], named["base_image"]) == (first["image"], first["base_image"])

    # The registry is away: the names stay, and nothing is built.
    registry.stop()
    world.up()
    assert world.until_state("a", "ready")["image"] == first["image"]
    world.stop()

    # The tag has moved, but its digest was asked for less than `digest_refresh_s` ago.
    registry.start()
    moved = push("two")
    world.up()
    assert world.until_state("a", "ready")["image"] == first["image"]
    world.stop()

    # Registry and index are gone: the digest comes back from the image's label.
    registry.stop()
    shutil.rmtree(world.directory / "state" / "index-v1")
    world.up()
    assert world.until_state("a", "ready")["image"] == first["image"]
    world.stop()
    assert len(world.logs()) == 1

    # Such a digest is asked for again as soon as the registry is back: a new name, and a build.
    registry.start()
    world.up()
    second = world.until_state("a", "ready", image_is_not=first["image"])
    assert second["base_image"] == f"{reference}@{moved}"
    world.stop()
