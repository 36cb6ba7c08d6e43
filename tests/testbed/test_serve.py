"""The channel server: one channel under many names, unknown projects sent elsewhere."""

import http.client
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from serve import Handler, Server


class QuietHandler(Handler):
    public_index = "https://pypi.example/simple"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "channel/noarch").mkdir(parents=True)
    (tmp_path / "channel/noarch/repodata.json").write_text("{}")
    (tmp_path / "simple/six").mkdir(parents=True)
    (tmp_path / "simple/six/index.html").write_text("six")
    with Server(("127.0.0.1", 0), partial(QuietHandler, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def get(port: int, path: str) -> tuple[int, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        reply = connection.getresponse()
        reply.read()
        return reply.status, reply.getheader("Location")
    finally:
        connection.close()


@pytest.mark.parametrize("name", ["channel", "conda-forge", "pytorch"])
def test_well_known_channels_are_the_one_channel(port: int, name: str) -> None:
    assert get(port, f"/{name}/noarch/repodata.json") == (200, None)


def test_any_other_channel_is_missing(port: int) -> None:
    assert get(port, "/no-such-channel/noarch/repodata.json")[0] == 404


def test_a_known_project_is_served(port: int) -> None:
    assert get(port, "/simple/six/") == (200, None)


def test_an_unknown_project_is_looked_up_at_the_public_index(port: int) -> None:
    assert get(port, "/simple/flask/") == (302, "https://pypi.example/simple/flask/")


def test_a_name_of_our_own_is_never_looked_up_elsewhere(port: int) -> None:
    assert get(port, "/simple/envkiln-no-such-project/")[0] == 404
