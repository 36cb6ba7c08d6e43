"""Credentials of a definition reach the build, and nothing that is kept: images, logs, state, answers, pages."""

import asyncio
import json
import secrets
import signal
import tarfile
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pytest
import yaml
from private_index import PrivateIndex
from running import PATIENCE_S, World
from unix_http import ask

from envkiln.cache.credentials import Carrier
from envkiln.cache.definition import ImageReference
from envkiln.cache.formats import read_definition
from envkiln.cache.identity import identify
from envkiln.cache.source import MemoryTree
from envkiln.daemon.builder import BuildOptions, BuildRequest
from envkiln.daemon.buildx import BuildxBuilder
from envkiln.daemon.engine import Engine
from envkiln.daemon.labels import labels_for


@dataclass(frozen=True, slots=True)
class Canaries:
    """Secrets that no other text on this machine has."""

    token: str
    password: str
    variable: str
    index: PrivateIndex

    def values(self) -> list[bytes]:
        return [self.token.encode(), self.password.encode(), self.variable.encode()]

    def found_in(self, data: bytes) -> list[bytes]:
        return [value for value in self.values() if value in data]

    def files(self, *, pip: str = "idna") -> dict[str, str]:
        """A definition that cannot be built without its credentials; a file of it has one too."""
        specification = {
            "channels": [self.index.channel],
            "dependencies": ["python", "pip", "six", {"pip": ["-r more.txt"]}],
            "variables": {"SERVICE_TOKEN": self.variable, "MODE": "fast"},
        }
        return {"env.yml": yaml.safe_dump(specification), "more.txt": f"--index-url {self.index.index}\n{pip}\n"}


@pytest.fixture
def canaries(testbed: Any) -> Iterator[Canaries]:
    token, password, variable = (f"canary{number}{secrets.token_hex(12)}" for number in range(3))
    with PrivateIndex(testbed.channel, token=token, user="reader", password=password) as index:
        yield Canaries(token, password, variable, index)


def _request(files: dict[str, str], base: str) -> BuildRequest:
    tree = MemoryTree({path: text.encode() for path, text in files.items()})
    definition = read_definition(tree, "env.yml")
    identity = identify(definition, ImageReference.parse(base))
    labels = {**labels_for(definition, identity, resolved=False), "envkiln.test": "1"}
    return BuildRequest(definition, identity, tree, labels, BuildOptions(network="host"))


@pytest.fixture
def saved(engine: Engine, tmp_path: Path) -> Iterator[Callable[[str, str], Iterator[bytes]]]:
    """Yields every file of every layer of an image that its base does not have, and all that is said about it."""
    client: Any = engine.new_client(timeout_s=300)

    def read(image: str, base: str) -> Iterator[bytes]:
        yield json.dumps([client.inspect_image(image), client.history(image)]).encode()
        below = len(client.inspect_image(base)["RootFS"]["Layers"])
        file = tmp_path / "image.tar"
        with file.open("wb") as target:
            for chunk in client.get_image(image):
                target.write(chunk)
        with tarfile.open(file) as archive:
            manifest = json.load(cast("IO[bytes]", archive.extractfile("manifest.json")))
            for layer in manifest[0]["Layers"][below:]:
                with tarfile.open(fileobj=archive.extractfile(layer)) as inner:
                    for member in inner:
                        yield member.name.encode()
                        if member.isfile():
                            yield cast("IO[bytes]", inner.extractfile(member)).read()

    yield read
    client.close()


def test_with_buildx_no_layer_and_no_note_has_a_credential(
    testbed: Any,
    requests: Any,
    canaries: Canaries,
    saved: Callable[[str, str], Iterator[bytes]],
    shell: Callable[[str, str], str],
) -> None:
    request = _request(canaries.files(), testbed.base_image)
    carriers = {found.carrier for found in request.definition.credentials}
    assert carriers == {Carrier.SPECIFICATION, Carrier.VARIABLE}
    requests.tags.append(request.tag)
    asyncio.run(BuildxBuilder(testbed.url, docker_config=testbed.docker_config).build(request, lambda _: None))
    pieces = list(saved(request.tag, testbed.base_image))
    assert len(pieces) > 1000
    assert [canaries.found_in(piece) for piece in pieces if canaries.found_in(piece)] == []
    said = shell(request.tag, "python -c 'import idna, six; print(idna.__name__)'; cat azureml-environment-setup/*.yml")
    assert said.startswith("idna\n")
    assert "/t/***/channel" in said
    assert "MODE: fast" in said
    assert "SERVICE_TOKEN" not in said


@pytest.mark.parametrize("builder", ["buildx", "classic"])
def test_nothing_that_the_service_keeps_or_says_has_a_credential(
    make_world: Callable[..., World], canaries: Canaries, builder: str
) -> None:
    """One build that ends well and one that fails, and then every byte of it."""
    world = make_world(builder=builder)
    failing = canaries.files(pip="envkiln-no-such-package")
    broken = canaries.files()["env.yml"] + f"- {canaries.index.index}: [\n"
    for path, text in (("ready", canaries.files()), ("failed", failing), ("invalid", {"env.yml": broken})):
        for name, content in text.items():
            marked = content.replace("MODE: fast", f"MODE: {world.mark}-{path}")
            world.write(f"{path}/{name}", marked)
    world.up()
    follower = world.start("events")
    for state in ("ready", "failed", "invalid"):
        world.until_state(state, state)
    ready = world.until_alias("ready")
    told = "not put into the image" if builder == "buildx" else "becomes part of the image, as the classic builder"
    assert all(told in warning for warning in ready["warnings"])
    assert len(ready["warnings"]) == (1 if builder == "buildx" else 3)
    said = {}
    for state in ("ready", "failed", "invalid"):
        for target in (f"/v1/environments/{state}", f"/v1/builds?environment={state}"):
            said[target] = ask(world.paths.socket, "GET", target).body
        for words in (("status", state), ("status", state, "--json"), ("logs", state), ("history", state, "--json")):
            done = world.command(*words)
            said[" ".join(words)] = f"{done.stdout}{done.stderr}".encode()
        done = world.command("name", world.root / state, "--json")
        said[f"name {state}"] = f"{done.stdout}{done.stderr}".encode()
    for target in ("/v1/environments", "/v1/images", "/v1/builds"):
        said[target] = ask(world.paths.socket, "GET", target).body
    link = world.answer("web").strip()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    for target in ("/", "/stats", "/environments/ready", "/environments/failed", "/environments/invalid"):
        address = link.replace("/?", f"{target}?")
        with browser.open(address, timeout=PATIENCE_S) as answer:
            said[f"page {target}"] = answer.read()
    assert b"MODE" in said["page /environments/ready"]
    follower.send_signal(signal.SIGINT)
    said["events"] = "".join(follower.communicate(timeout=PATIENCE_S)).encode()
    assert b'"failed"' in said["events"]
    assert world.stop() == 0
    said["output"] = world.output().encode()
    files = [path for path in world.directory.rglob("*") if path.is_file() and world.root not in path.parents]
    assert {"output", "cache.db"} <= {path.name for path in files}
    assert any(path.suffix == ".log" for path in files)
    said |= {str(path): path.read_bytes() for path in files}
    assert [where for where, data in said.items() if canaries.found_in(data)] == []
    assert b"***" in said["logs failed"]
