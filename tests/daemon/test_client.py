"""What a client makes of a service: of another version, going away, coming again."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import pytest
from fake_service import FakeService, serving, unix_listener
from running import until

from envkiln.cache.errors import Turn
from envkiln.daemon.api import make_api
from envkiln.daemon.client import Client, OtherApi, ServiceDown, ServiceRefused
from envkiln.daemon.messages import API_VERSION
from envkiln.daemon.metrics import Metrics
from envkiln.daemon.version import API, VERSION

Run = Callable[..., tuple[int, str, str]]


@contextmanager
def saying(path: Path, *answers: bytes) -> Iterator[list[str]]:
    """One connection for each answer; yields the heads of the requests."""
    heads: list[str] = []

    def serve(listener: socket.socket) -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                heads.append(connection.recv(1 << 16).decode())
                connection.sendall(answer)

    with unix_listener(path) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield heads
        thread.join(10)


def _answer(body: bytes = b"{}", *, api: str = f"{API}", version: str = VERSION, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nEnvkiln-Api: {api}\r\nEnvkiln-Version: {version}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


def test_the_version_is_that_of_the_package() -> None:
    assert version("envkiln") == VERSION
    assert API == API_VERSION


def test_a_service_of_another_api_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with (
        saying(tmp_path / "s", _answer(api="2")) as heads,
        pytest.raises(OtherApi, match="speaks API 2") as raised,
    ):
        Client(tmp_path / "s").service()
    assert raised.value.turn is Turn.SURROUNDINGS
    assert "envkiln up" in (raised.value.hint or "")
    assert f"Envkiln-Version: {VERSION}" in heads[0]


def test_a_service_before_the_handshake_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    old = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}"
    with saying(tmp_path / "s", old), pytest.raises(OtherApi, match="an older envkiln"):
        Client(tmp_path / "s").service()


def test_a_service_of_another_version_is_named_once(tmp_path: Path) -> None:
    warnings: list[str] = []
    client = Client(tmp_path / "s", warn=warnings.append)
    with saying(tmp_path / "s", _answer(version="0.0.9"), _answer(version="0.0.9")):
        client.service()
        client.service()
    (warning,) = warnings
    assert "0.0.9" in warning
    assert "envkiln up" in warning


def test_what_the_service_refuses_is_told_with_its_hint(tmp_path: Path) -> None:
    body = b'{"error": "`limit` is not a whole number", "hint": "from 1"}'
    with (
        saying(tmp_path / "s", _answer(body, status="400 Bad Request")),
        pytest.raises(ServiceRefused, match="`limit` is not") as raised,
    ):
        Client(tmp_path / "s").service()
    assert (raised.value.hint, raised.value.turn) == ("from 1", Turn.USER)
    with (
        saying(tmp_path / "t", _answer(b"oh", status="503 Busy")),
        pytest.raises(ServiceRefused, match="answered 503") as raised,
    ):
        Client(tmp_path / "t").service()
    assert raised.value.turn is Turn.SURROUNDINGS


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", _answer(b"<html>")])
def test_whatever_else_listens_is_no_service(tmp_path: Path, answer: bytes) -> None:
    with saying(tmp_path / "s", answer), pytest.raises(ServiceDown, match="no envkiln service answers"):
        Client(tmp_path / "s").service()


def test_the_events_begin_with_a_snapshot_and_go_on_with_what_happens(fake: FakeService, socket_path: Path) -> None:
    stream = Client(socket_path).events()
    id_, kind, data = next(stream)
    assert (kind, len(data["environments"]), data["more"]) == ("snapshot", 8, False)
    assert id_
    assert [build["environment"] for build in data["builds"]] == ["speech"]
    fake.save_same("training")
    assert next(stream)[1:] == ("saved", {"environment": "training"})


def test_a_client_that_reconnects_misses_nothing(fake: FakeService, socket_path: Path) -> None:
    last_id = next(Client(socket_path).events())[0]
    fake.save_same("training")
    fake.save_same("vision")
    heard = list(islice(Client(socket_path).events(last_id), 2))
    assert [data["environment"] for _, _, data in heard] == ["training", "vision"]


def test_a_stream_whose_service_is_started_again_goes_on_with_a_snapshot(tmp_path: Path) -> None:
    """The new service knows nothing of the ids of the one before."""
    path = tmp_path / "socket"
    lost: list[ServiceDown] = []

    def serve(fake: FakeService, done: threading.Event) -> None:
        with unix_listener(path) as listener, serving(fake, make_api(fake, metrics=Metrics()), listener):
            done.wait(30)
        path.unlink()

    stream = Client(path).events(lost=lost.append)
    for directory in ("one", "two"):
        done = threading.Event()
        thread = threading.Thread(target=serve, args=(FakeService(tmp_path / directory, more=[directory]), done))
        thread.start()
        try:
            until(lambda: _answers(path), "a service")
            assert directory in [it["environment"] for it in next(stream)[2]["environments"]]
        finally:
            done.set()
            thread.join(30)
    assert lost
    assert "no envkiln service answers" in lost[0].message


def _answers(path: Path) -> bool:
    with suppress(ServiceDown):
        return bool(Client(path).service())
    return False


def test_a_stream_that_ends_without_anybody_to_tell_is_an_error(tmp_path: Path) -> None:
    part = b'event: saved\nid: 1-1\ndata: {"environment": "a"}\n\nevent: saved\ndata: {"envi'
    with saying(tmp_path / "s", _answer(part)):
        stream = Client(tmp_path / "s").events()
        assert next(stream) == ("1-1", "saved", {"environment": "a"})
        with pytest.raises(ServiceDown):
            next(stream)


def test_a_log_is_whole_or_its_end_or_followed(fake: FakeService, socket_path: Path) -> None:
    client = Client(socket_path)
    build = str(fake.all["speech"].build)
    whole = fake.log_of("speech").read_bytes()
    assert client.log(build) == whole
    assert client.log(build, 2) == b"".join(whole.splitlines(keepends=True)[-2:])
    assert client.log("0" * 32 + "-20260101T000000.000Z") is None
    stream = client.follow_log(build, 1)
    assert next(stream) == ("lines", {"lines": [whole.decode().splitlines()[-1]]})
    fake.append_log_line("speech", "#9 done")
    assert next(stream) == ("lines", {"lines": ["#9 done"]})
    fake.finish("speech")
    kind, data = next(stream)
    assert (kind, data["state"]) == ("end", "built")
    assert list(stream) == []


def test_what_is_not_there_is_none(fake: FakeService, socket_path: Path) -> None:  # noqa: ARG001
    client = Client(socket_path)
    assert client.environment("nowhere") is None
    assert client.environment("") is None
    assert client.wait("nowhere", 0.0) is None
    assert client.build("nowhere") is None
    assert client.build_view("nowhere") is None


def test_a_command_that_meets_another_api_ends_with_the_surroundings(run: Run, socket_path: Path) -> None:
    socket_path.parent.mkdir(parents=True)
    with saying(socket_path, _answer(api="7")):
        code, out, err = run("status")
    assert (code, out) == (4, "")
    assert re.search(r"API 7.*\n  restart the service", err)
