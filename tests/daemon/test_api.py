"""Questions to a running service, over a real socket."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from values import Story, definition, image, name_of

from envkiln.cache.errors import Turn
from envkiln.daemon.api import make_api
from envkiln.daemon.client import Client, ServiceDown
from envkiln.daemon.state import Phase
from envkiln.daemon.views import EnvironmentView, ServiceView, counts, engine_view, environment_view

FOUND = definition()
IDS = ["a", "team/train", "root:team/train", "a b/ü?x#y%2F", "team/build", "b\udcffd"]


class FakeService:
    """Answers from a story in which "slow" is being built: when it `finishes`, by the third change of the state."""

    def __init__(self) -> None:
        self.story = Story()
        self.story.connect(image(name_of(FOUND)))
        for id_ in IDS:
            self.story.see(id_, FOUND)
        self.story.see("slow", definition("slow"))
        self.requested: list[str] = []
        self.looked: list[str] = []
        self.waited = 0
        self.finishes = False

    def service(self) -> ServiceView:
        state = self.story.state
        views = tuple(environment_view(state, id_) for id_ in sorted(state.environments))
        return ServiceView("1", 2, 3.0, False, engine_view(state), (), (), counts(state), views)

    def environment(self, id_: str) -> EnvironmentView | None:
        state = self.story.state
        return environment_view(state, id_) if id_ in state.environments else None

    def is_settled(self, id_: str) -> bool:
        environment = self.story.state.environments.get(id_)
        return environment is None or environment.phase is Phase.READY

    def request_build(self, id_: str) -> None:
        self.requested.append(id_)

    async def look(self, id_: str) -> None:
        self.looked.append(id_)

    async def changed(self) -> None:
        self.waited += 1
        if self.waited == 3:
            self.story.built(name_of(definition("slow")))
        elif self.waited > 3 or not self.finishes:
            await asyncio.Event().wait()


class _Server(uvicorn.Server):
    """Tells when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield listener


@contextmanager
def serving(path: Path, service: FakeService) -> Iterator[None]:
    config = uvicorn.Config(make_api(service), log_config=None, lifespan="off", access_log=False)
    server = _Server(config)
    with listening(path) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            assert server.ready.wait(10)
            yield
        finally:
            server.should_exit = True
            thread.join(10)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api") / "socket"


@pytest.fixture(scope="module")
def service(path: Path) -> Iterator[FakeService]:
    service = FakeService()
    with serving(path, service):
        yield service


@pytest.fixture
def client(path: Path, service: FakeService) -> Client:
    service.waited = 0
    return Client(path)


def test_the_service_is_told_whole(client: Client) -> None:
    told = client.service()
    assert (told["version"], told["process"], told["engine"]["connected"]) == ("1", 2, True)
    assert told["counts"]["ready"] == len(IDS)
    assert [view["environment"] for view in told["environments"]] == sorted([*IDS, "slow"])


@pytest.mark.parametrize("id_", IDS)
def test_an_environment_is_found_by_its_id_whatever_is_in_it(client: Client, service: FakeService, id_: str) -> None:
    view = client.environment(id_)
    assert view is not None
    assert (view["environment"], view["state"]) == (id_, "ready")
    assert client.build(id_) == view
    assert service.requested[-1] == id_


@pytest.mark.parametrize("id_", ["unknown", "team", "team/train/build", ""])
def test_an_id_that_nobody_has_has_no_view_and_gets_no_build(client: Client, service: FakeService, id_: str) -> None:
    requested = list(service.requested)
    assert client.environment(id_) is None
    assert client.wait(id_, 1.0) is None
    assert client.build(id_) is None
    assert service.requested == requested


def test_whoever_waits_gets_an_answer_at_once_when_it_is_settled(client: Client, service: FakeService) -> None:
    view = client.wait("team/train", 30.0)
    assert view is not None
    assert view["state"] == "ready"
    assert (service.looked[-1], service.waited) == ("team/train", 0)


def test_whoever_waits_too_long_gets_what_is_known(client: Client, service: FakeService) -> None:
    service.finishes = False
    view = client.wait("slow", 0.05)
    assert view is not None
    assert view["state"] == "building"


def test_whoever_waits_gets_the_answer_when_it_settles(client: Client, service: FakeService) -> None:
    service.finishes = True
    view = client.wait("slow", 10.0)
    assert view is not None
    assert view["state"] == "ready"
    assert service.waited == 3, "twice nothing that counts had changed"


@pytest.mark.parametrize("seconds", ["-1", "nan", "-inf"])
def test_an_odd_time_to_wait_is_no_time(path: Path, client: Client, seconds: str) -> None:
    assert client.environment("a") is not None
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(10)
        raw.connect(str(path))
        raw.sendall(f"GET /v1/environments/a?wait={seconds} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 200")


def test_nobody_listening_is_a_service_that_is_down(tmp_path: Path) -> None:
    with pytest.raises(ServiceDown) as down:
        Client(tmp_path / "nothing").service()
    assert down.value.message.startswith(f"no envkiln service answers on {tmp_path / 'nothing'}")
    assert down.value.hint == "start it with: envkiln up"
    assert down.value.turn is Turn.SURROUNDINGS


def test_a_socket_that_a_killed_service_left_behind_is_a_service_that_is_down(tmp_path: Path) -> None:
    with listening(tmp_path / "stale"):
        pass
    with pytest.raises(ServiceDown, match="Connection refused"):
        Client(tmp_path / "stale").environment("a")


QUESTIONS: list[Callable[[Client], Any]] = [
    lambda client: client.service(),
    lambda client: client.environment("a"),
    lambda client: client.build("a"),
]


@pytest.mark.parametrize("ask", QUESTIONS, ids=["service", "environment", "build"])
@pytest.mark.parametrize(
    "answer",
    [b"", b"\xff\x00garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n<html>", b"HTTP/1.1 500 Oops\r\n\r\nInternal error"],
    ids=["nothing", "garbage", "no JSON", "error"],
)
def test_another_program_on_the_socket_is_a_service_that_is_down(
    tmp_path: Path, answer: bytes, ask: Callable[[Client], Any]
) -> None:
    with listening(tmp_path / "other") as listener:

        def answer_once() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=answer_once)
        thread.start()
        with pytest.raises(ServiceDown):
            ask(Client(tmp_path / "other"))
        thread.join(10)


def test_a_service_that_says_nothing_is_down_after_a_while(tmp_path: Path) -> None:
    with listening(tmp_path / "silent"), pytest.raises(ServiceDown, match="timed out"):
        Client(tmp_path / "silent", timeout_s=0.05).service()
