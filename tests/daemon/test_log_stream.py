"""The log of a build, over a real socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_service import FakeService, serving, unix_listener
from running import until
from unix_http import Stream, ask, following

from envkiln.daemon.api import make_api
from envkiln.daemon.log_stream import _PIECE
from envkiln.daemon.metrics import Metrics


@pytest.fixture
def service(tmp_path: Path) -> FakeService:
    return FakeService(tmp_path)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def socket(tmp_path: Path, service: FakeService, metrics: Metrics) -> Iterator[Path]:
    path = tmp_path / "socket"
    with unix_listener(path) as listener, serving(service, make_api(service, metrics=metrics), listener):
        yield path


def log(service: FakeService, id_: str = "speech") -> str:
    return f"/v1/builds/{service.builds(environment=id_).items[0].build}/log"


def lines_until_end(stream: Stream) -> list[str]:
    return [line for event in stream.until("end")[:-1] for line in event.data["lines"]]


def test_a_log_comes_whole_however_long_it_is(socket: Path, service: FakeService) -> None:
    path = service.log_of("speech")
    content = b"".join(b"%d: \xff%s\n" % (number, b"x" * 100) for number in range(20_000))
    path.write_bytes(content)
    answer = ask(socket, "GET", log(service))
    assert answer.body == content
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("content", "tail", "expected"),
    [
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc", 2, b"b\nc"),
        (b"a\nb\nc", 1, b"c"),
        (b"a\nb\n", 0, b""),
        (b"a\nb", 0, b""),
        (b"a\nb\n", 10_000, b"a\nb\n"),
        (b"\n\n\n", 2, b"\n\n"),
        (b"", 3, b""),
        (b"x\n" + b"y" * (3 * _PIECE) + b"\nz\n", 2, b"y" * (3 * _PIECE) + b"\nz\n"),
        (b"x" * (_PIECE - 1) + b"\n" + b"y" * (_PIECE - 1) + b"\n", 1, b"y" * (_PIECE - 1) + b"\n"),
    ],
)
def test_the_tail_is_the_last_lines(
    socket: Path, service: FakeService, content: bytes, tail: int, expected: bytes
) -> None:
    service.log_of("speech").write_bytes(content)
    assert ask(socket, "GET", f"{log(service)}?tail={tail}").body == expected


def test_a_follower_reads_along_until_the_build_ends(socket: Path, service: FakeService, metrics: Metrics) -> None:
    with following(socket, f"{log(service)}?follow=true") as stream:
        begun = stream.event()
        assert (begun.kind, begun.data["lines"][-1]) == ("lines", "#7 21.0 Downloading and Extracting Packages")
        assert metrics.followers == 1
        service.append_log_line("speech", "#8 exporting \u00fc")
        assert stream.event().data == {"lines": ["#8 exporting \u00fc"]}
        with service.log_of("speech").open("ab") as file:
            file.write(b"#9 no line end")
        service.finish("speech")
        *lines, end = stream.until("end")
        assert [event.data["lines"] for event in lines] == [["#9 no line end"]]
        assert (end.data["state"], end.data["environment"]) == ("built", "speech")
        assert int(end.id or "") == service.log_of("speech").stat().st_size
        assert stream.frame() == [], "the stream ends"
    assert until(lambda: metrics.followers == 0)


def test_a_line_is_told_when_it_is_whole(socket: Path, service: FakeService) -> None:
    with following(socket, f"{log(service)}?follow=true&tail=0") as stream, service.log_of("speech").open("ab") as file:
        file.write(b"half ")
        file.flush()
        service.append_log_line("training", "elsewhere")
        file.write(b"and half\n")
        file.flush()
        assert stream.event().data == {"lines": ["half and half"]}


def test_a_follower_that_comes_back_goes_on_where_it_was(socket: Path, service: FakeService) -> None:
    target = f"{log(service)}?follow=true"
    with following(socket, target) as stream:
        last = stream.event().id
    service.append_log_line("speech", "meanwhile")
    service.finish("speech")
    with following(socket, target, last) as stream:
        assert lines_until_end(stream) == ["meanwhile"]
    with following(socket, f"{target}&last_event_id={last}") as stream:
        assert lines_until_end(stream) == ["meanwhile"]


@pytest.mark.parametrize("last", ["-1", "x", "99999999", "9" * 5000])
def test_an_offset_that_is_none_begins_with_the_tail(socket: Path, service: FakeService, last: str) -> None:
    service.log_of("training").write_bytes(b"a\nb\n")
    with following(socket, f"{log(service, 'training')}?follow=true&tail=1", last) as stream:
        assert lines_until_end(stream) == ["b"]


def test_lines_longer_than_a_piece_come_in_several(socket: Path, service: FakeService) -> None:
    service.log_of("training").write_bytes(b"x" * (2 * _PIECE + 10) + b"\ny\n")
    with following(socket, f"{log(service, 'training')}?follow=true") as stream:
        lines = lines_until_end(stream)
    assert (list(map(len, lines)), lines[-1]) == ([_PIECE, _PIECE, 10, 1], "y")


@pytest.mark.parametrize("build", ["x", "0" * 32 + "-20260101T000000.000Z", "..%2F..%2Fx", "0" * 32 + "-../../x"])
@pytest.mark.parametrize("query", ["", "?follow=true"])
def test_what_is_not_the_log_of_a_build_is_not_there(socket: Path, build: str, query: str) -> None:
    assert ask(socket, "GET", f"/v1/builds/{build}/log{query}").status == 404


def test_a_log_that_was_removed_is_not_there(socket: Path, service: FakeService) -> None:
    service.log_of("speech").unlink()
    answer = ask(socket, "GET", log(service))
    assert (answer.status, answer.json["error"]) == (404, "the log of this build is not there")
