"""What the engine is asked and told, on the real one."""

import asyncio
import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from envkiln.daemon.builder import EngineUnavailable
from envkiln.daemon.classic import ClassicBuilder
from envkiln.daemon.engine import Engine
from envkiln.daemon.engine_errors import EngineRefused, RegistryUnreachable
from envkiln.daemon.engine_values import EngineEvent

MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": 2,
            "digest": f"sha256:{sha256(b'{}').hexdigest()}",
        },
        "layers": [],
    }
).encode()
DIGEST = f"sha256:{sha256(MANIFEST).hexdigest()}"


class _Registry(BaseHTTPRequestHandler):
    """A registry whose repositories are named for what it answers."""

    def do_GET(self) -> None:
        name = self.path.split("/")[2]
        if name == "there":
            self._answer(200, b"{}" if "/blobs/" in self.path else MANIFEST)
        elif name == "unauthorized":
            self._answer(401, _errors("UNAUTHORIZED", "authentication required"))
        elif name == "broken":
            self._answer(503, b"busy")
        elif name:
            self._answer(404, _errors("MANIFEST_UNKNOWN", "manifest unknown"))
        else:
            self._answer(200, b"{}")

    do_HEAD = do_GET  # noqa: N815 -- http.server's name for it

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")
        self.send_header("Docker-Content-Digest", DIGEST)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def _errors(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Registry) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def reference(engine: Engine) -> Iterator[str]:
    """A name of our kind that nothing has; removed afterwards."""
    name = f"azureml/azureml_{uuid.uuid4().hex}:latest"
    yield name
    engine.remove(name)


def test_ping_tells_version_and_platform(engine: Engine) -> None:
    info = engine.ping()
    assert info.platform.startswith("linux/")
    assert info.storage_driver
    assert info.has_buildkit


def test_a_tag_makes_an_image_ours_and_its_removal_leaves_the_base(
    engine: Engine, testbed: Any, reference: str
) -> None:
    assert engine.inspect(reference) is None
    engine.tag(testbed.base_image, reference)
    alias = "envkiln-test-alias:1"
    engine.tag(reference, alias)
    image = next(image for image in engine.images() if reference in image.references)
    assert alias in image.references, "aliases are listed with the name"
    inspected = engine.inspect(reference)
    assert inspected is not None
    assert (inspected.id, inspected.size, inspected.labels) == (image.id, image.size, image.labels)
    assert abs(inspected.created - image.created) < 1
    assert "PATH" in inspected.environment
    assert inspected.platform.startswith("linux/")
    assert engine.remove(alias)
    assert engine.remove(reference)
    assert not engine.remove(reference)
    assert engine.inspect(testbed.base_image) is not None


def test_an_image_in_use_is_not_removed(engine: Engine, testbed: Any, requests: Any) -> None:
    request = requests.context("WORKDIR /x")
    asyncio.run(ClassicBuilder(testbed.url).build(request, lambda _: None))
    client = engine.new_client()
    container = client.create_container(request.tag, "true", labels={"envkiln.test": "1"})
    try:
        with pytest.raises(EngineRefused) as raised:
            engine.remove(request.tag)
        assert raised.value.status == 409
    finally:
        client.remove_container(container["Id"], force=True)
        client.close()


def test_a_tag_of_nothing_is_refused(engine: Engine, reference: str) -> None:
    with pytest.raises(EngineRefused) as raised:
        engine.tag(reference, "envkiln-test-alias:2")
    assert raised.value.status == 404


def test_restore_puts_a_reference_back(engine: Engine, testbed: Any, reference: str) -> None:
    engine.tag(testbed.base_image, reference)
    base = engine.inspect(testbed.base_image)
    assert base is not None
    engine.restore(reference, base.id)
    assert engine.inspect(reference) is not None
    engine.restore(reference, None)
    assert engine.inspect(reference) is None


def test_a_registrys_digest(engine: Engine, registry: str) -> None:
    assert engine.resolve_digest(f"{registry}/there/x:1") == DIGEST


def test_an_image_that_the_registry_does_not_have_is_none(engine: Engine, registry: str) -> None:
    assert engine.resolve_digest(f"{registry}/absent/x:1") is None


@pytest.mark.parametrize("answer", ["unauthorized", "broken"])
def test_a_registry_that_does_not_say_is_unknown(engine: Engine, registry: str, answer: str) -> None:
    with pytest.raises(RegistryUnreachable) as raised:
        engine.resolve_digest(f"{registry}/{answer}/x:1")
    assert raised.value.hint


def test_a_registry_that_is_not_there_is_unknown(engine: Engine) -> None:
    with pytest.raises(RegistryUnreachable):
        engine.resolve_digest("127.0.0.1:1/x/y:1")


def test_a_local_image_has_no_registry_digest(engine: Engine, testbed: Any) -> None:
    assert engine.local_digest(testbed.base_image) is None
    assert engine.local_digest("no-such-image:1") is None


def test_events_come_as_they_happen_and_end_with_stop(engine: Engine, testbed: Any, reference: str) -> None:
    stop = threading.Event()
    tagged = threading.Event()
    events: list[EngineEvent] = []

    def listen() -> None:
        for event in engine.events(time.time() - 1, stop):
            events.append(event)
            if (event.action, event.reference_or_id) == ("tag", reference):
                tagged.set()

    listener = threading.Thread(target=listen)
    listener.start()
    engine.tag(testbed.base_image, reference)
    assert tagged.wait(60)
    stop.set()
    listener.join(60)
    assert not listener.is_alive()
    assert all(abs(event.time - time.time()) < 60 for event in events)


def test_events_from_an_engine_that_goes_away_say_so() -> None:
    with _HalfEngine() as url, pytest.raises(EngineUnavailable):
        list(Engine(url).events(None, threading.Event()))


@pytest.mark.parametrize(
    ("url", "message", "hint"),
    [
        ("unix:///no/such/docker.sock", "is not there", "is Docker running"),
        ("tcp://127.0.0.1:1", "refuses connections", "is Docker running"),
    ],
)
def test_an_engine_out_of_reach_is_said_quickly_with_a_hint(url: str, message: str, hint: str) -> None:
    started = time.monotonic()
    with pytest.raises(EngineUnavailable, match=message) as raised:
        Engine(url).ping()
    assert hint in (raised.value.hint or "")
    assert time.monotonic() - started < 30


def test_a_socket_that_answers_nothing_is_given_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        with pytest.raises(EngineUnavailable, match="did not answer in time"):
            Engine(f"unix://{tmp_path}/s", timeout_s=0.2).ping()


@pytest.mark.parametrize("body", [b"not json", b"[]", b"{}"])
def test_an_answer_that_is_no_answer_is_an_unavailable_engine(body: bytes) -> None:
    with _HalfEngine(body) as url, pytest.raises(EngineUnavailable, match="cannot be read"):
        Engine(url).ping()


def test_an_engine_with_an_error_of_its_own_is_unavailable() -> None:
    body = b'{"message": "overloaded"}'
    with _HalfEngine(body, status=503) as url, pytest.raises(EngineUnavailable, match=r"503.*overloaded"):
        Engine(url).images()


class _HalfEngine:
    """A server that answers like an engine, up to a point: versions well, all else with one body, and then it ends."""

    def __init__(self, body: bytes = b"", *, status: int = 200) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/version":
                    content, code = b'{"ApiVersion": "1.41", "Version": "1", "Os": "linux", "Arch": "x"}', 200
                else:
                    content, code = body, status
                self.send_response(code)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> str:
        self._thread.start()
        return f"tcp://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
