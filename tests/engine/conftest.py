"""The real engine: these tests run when asked for (`-m engine`), and then a missing engine is a failure."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from engine_door import EngineDoor
from registry_server import FaultProxy, RegistryServer
from running import Gate, World
from second_host import SecondHost, start_second_host

from envkiln.cache.canonical import canonical_text
from envkiln.cache.definition import (
    BuildContext,
    CondaSpecification,
    EnvironmentDefinition,
    Format,
    ImageReference,
    SourceFile,
)
from envkiln.cache.identity import identify
from envkiln.cache.source import EntryKind, MemoryTree
from envkiln.daemon.builder import BuildOptions, BuildRequest
from envkiln.daemon.engine import Engine

ROOT = Path(__file__).resolve().parents[2]
FACTS = Path(os.environ.get("TESTBED_FACTS") or ROOT / "build" / "testbed" / "testbed.json")
"""What `testbed/main.py up` wrote; $TESTBED_FACTS names that of another test bed."""
LABEL = "envkiln.test"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.engine)


@dataclass(frozen=True, slots=True)
class Testbed:
    """Where the real parts are."""

    __test__ = False

    url: str
    docker_config: Path | None
    base_image: str
    channel: str
    old_base_image: str
    pip_index: str
    python: str
    private: bool
    """Whether the engine is ours to stop and start."""
    registry: str | None
    """Debian's docker-registry, a program."""
    systemd_image: str | None
    """An image whose init is systemd."""

    def main(self, command: str) -> None:
        """Run a command of `testbed/main.py`, such as `stop-engine`."""
        script = str(ROOT / "testbed" / "main.py")
        subprocess.run([sys.executable, script, "--work", str(FACTS.parent), command], check=True)


@pytest.fixture(scope="session")
def testbed() -> Iterator[Testbed]:
    """The engine, with DOCKER_HOST, DOCKER_CONFIG and PATH set for it."""
    facts = _facts()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", facts["docker_host"])
        if facts["docker_config"]:
            patch.setenv("DOCKER_CONFIG", facts["docker_config"])
        if facts["docker_cli"]:
            patch.setenv("PATH", f"{Path(facts['docker_cli']).parent}:{os.environ['PATH']}")
        config = facts["docker_config"]
        yield Testbed(
            facts["docker_host"],
            Path(config) if config else None,
            facts["base_image"],
            facts["channel"],
            facts["old_base_image"],
            facts["pip_index"],
            facts["python"],
            facts["private"],
            facts["registry"],
            facts.get("systemd_image"),
        )


def _facts() -> dict[str, Any]:
    if not FACTS.exists():
        subprocess.run([sys.executable, str(ROOT / "testbed" / "main.py"), "up"], check=True)
    facts: dict[str, Any] = json.loads(FACTS.read_text(encoding="utf-8"))
    Engine(facts["docker_host"]).ping()
    return facts


@pytest.fixture(scope="session")
def engine(testbed: Testbed) -> Engine:
    return Engine(testbed.url)


@dataclass(frozen=True, slots=True)
class Requests:
    """Makes requests that no other test has made, so that nothing comes from a cache."""

    testbed: Testbed
    engine: Engine
    tags: list[str]

    def context(
        self,
        steps: str,
        files: dict[str, bytes] | None = None,
        *,
        executable: tuple[str, ...] = (),
        links: dict[str, str] | None = None,
        labels: dict[str, str] | None = None,
        **options: Any,
    ) -> BuildRequest:
        """A build context: `FROM` the base image, then `steps`."""
        unique = uuid.uuid4().hex
        dockerfile = f"FROM {self.testbed.base_image}\nENV UNIQUE={unique}\n{steps}\n"
        held = {"Dockerfile": dockerfile.encode(), **(files or {})}
        sources = [
            SourceFile(path, path, EntryKind.FILE, sha256(data).hexdigest(), executable=path in executable)
            for path, data in held.items()
        ]
        sources += [SourceFile(path, path, EntryKind.SYMLINK, target) for path, target in (links or {}).items()]
        context = BuildContext("", "Dockerfile", tuple(sorted(sources, key=lambda source: source.path)))
        definition = EnvironmentDefinition(Format.DOCKERFILE, "Dockerfile", "", context=context)
        return self._request(definition, MemoryTree(held), labels, options)

    def conda(self, *dependencies: Any, labels: dict[str, str] | None = None, **options: Any) -> BuildRequest:
        """A conda definition on the local channel."""
        text = canonical_text({"channels": [self.testbed.channel], "dependencies": list(dependencies)})
        definition = EnvironmentDefinition(Format.CONDA, "env.yml", "", conda=CondaSpecification(text))
        return self._request(definition, MemoryTree({}), labels, options)

    def _request(
        self,
        definition: EnvironmentDefinition,
        tree: MemoryTree,
        labels: dict[str, str] | None,
        options: dict[str, Any],
    ) -> BuildRequest:
        identity = identify(definition, ImageReference.parse(self.testbed.base_image))
        # The host's network: the channel is on 127.0.0.1, and not every machine has a bridge.
        asked = BuildOptions(**{"network": "host", **options})
        request = BuildRequest(definition, identity, tree, {LABEL: "1", **(labels or {})}, asked)
        self.tags.append(request.tag)
        return request


@pytest.fixture
def requests(testbed: Testbed, engine: Engine) -> Iterator[Requests]:
    made = Requests(testbed, engine, [])
    yield made
    for tag in set(made.tags):
        engine.remove(tag)


@pytest.fixture
def shell(engine: Engine) -> Iterator[Callable[[str, str], str]]:
    """Runs a shell command in a container of an image and returns what it printed."""
    client = engine.new_client(timeout_s=60)
    containers: list[str] = []

    def run(image: str, command: str) -> str:
        host = client.create_host_config(network_mode="host")
        container = client.create_container(image, ["sh", "-c", command], host_config=host, labels={LABEL: "1"})
        containers.append(container["Id"])
        client.start(container["Id"])
        client.wait(container["Id"])
        return client.logs(container["Id"]).decode()

    yield run
    for container in containers:
        client.remove_container(container, force=True)
    client.close()


@pytest.fixture(scope="session")
def second(testbed: Testbed) -> Iterator[SecondHost]:
    """The second engine; it is stopped at the end."""
    assert testbed.url
    host = start_second_host(FACTS.parent)
    yield host
    host.main("stop-second")


@pytest.fixture
def make_world(testbed: Testbed, engine: Engine, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes worlds on the test bed's base image; `engine_url` is another way to its engine, the rest settings."""
    worlds: list[World] = []

    def make(*, engine_url: str = testbed.url, **settings: Any) -> World:
        settings = {"base_image": testbed.base_image, **settings}
        worlds.append(World(tmp_path / f"world-{len(worlds)}", engine_url, **settings))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close(engine)


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.close()


@pytest.fixture
def door(testbed: Testbed, tmp_path: Path) -> Iterator[EngineDoor]:
    """A door to the engine, shut at first."""
    made = EngineDoor(testbed.url, tmp_path / "engine.sock")
    yield made
    made.shut()


@pytest.fixture
def make_registry(testbed: Testbed, tmp_path: Path) -> Iterator[Callable[..., RegistryServer]]:
    """Starts registries of their own; `locked` ones want a log-in."""
    assert testbed.registry is not None, "the test bed has no docker-registry"
    program = Path(testbed.registry)
    servers: list[RegistryServer] = []

    def make(*, locked: bool = False, certificate: Path | None = None) -> RegistryServer:
        directory = tmp_path / f"registry-{len(servers)}"
        servers.append(RegistryServer(program, directory, locked=locked, certificate=certificate))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def make_proxy() -> Iterator[Callable[[RegistryServer], FaultProxy]]:
    """Puts a proxy before a registry that can go wrong."""
    proxies: list[FaultProxy] = []

    def make(server: RegistryServer) -> FaultProxy:
        proxies.append(FaultProxy(server.port))
        return proxies[-1]

    yield make
    for proxy in proxies:
        proxy.close()
