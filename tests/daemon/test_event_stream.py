"""Events as followers get them, over a real socket and, where time or a slow reader counts, from the generator."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_service import FakeService, serving, unix_listener
from running import until
from unix_http import ask, following

from envkiln.daemon.api import make_api
from envkiln.daemon.event_stream import EventStream
from envkiln.daemon.journal import Journal
from envkiln.daemon.metrics import Metrics
from envkiln.daemon.sse import HEARTBEAT, RETRY

EVENTS = "/v1/events"
MANY = [f"many/{number:03d}" for number in range(250)]


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


def test_a_follower_gets_what_is_and_then_what_happens(socket: Path, service: FakeService) -> None:
    with following(socket, EVENTS) as stream:
        first = stream.event()
        assert (stream.headers["content-type"], stream.headers["cache-control"]) == (
            "text/event-stream; charset=utf-8",
            "no-store",
        )
        assert [view["environment"] for view in first.data["environments"]] == sorted(service.all)
        assert [build["environment"] for build in first.data["builds"]] == ["speech"]
        assert (first.kind, first.data["service"]["process"], first.data["more"]) == ("snapshot", 2, False)
        service.progress("speech", 4, "pip", "[4/5] RUN pip install")
        assert stream.event().data["progress"]["phase"] == "pip"
        service.finish("speech")
        build, view = stream.event(), stream.event()
        assert (build.kind, build.data["state"], view.kind, view.data["state"]) == (
            *("build", "built"),
            *("environment", "ready"),
        )
        service.save_same("training")
        service.remove("scratch")
        saved, gone = stream.event(), stream.event()
        assert (saved.kind, saved.data) == ("saved", {"environment": "training"})
        assert (gone.kind, gone.data) == ("gone", {"environment": "scratch"})
        service.disconnect_engine()
        assert stream.event().data["engine"]["connected"] is False


@pytest.mark.parametrize("by", ["header", "parameter"])
def test_a_client_that_reconnects_misses_nothing_and_gets_nothing_twice(
    socket: Path, service: FakeService, by: str
) -> None:
    with following(socket, EVENTS) as stream:
        stream.event()
        service.save_same("training")
        last = stream.event().id
    service.save_same("vision")
    service.save("web-client")
    target, header = (EVENTS, last) if by == "header" else (f"{EVENTS}?last_event_id={last}", None)
    with following(socket, target, header) as stream:
        events = stream.until("build")
        assert [(event.kind, event.data["environment"]) for event in events] == [
            *(("saved", "vision"), ("environment", "web-client"), ("build", "web-client")),
        ]
        service.finish("web-client")
        assert [event.data["state"] for event in stream.until("build")] == ["building", "built"]


@pytest.mark.parametrize(
    "last", ["", "nonsense", "1", "deadbeef-1", "{epoch}-999999", "{epoch}-", "{epoch}-" + "9" * 5000]
)
def test_an_id_of_elsewhere_gets_a_snapshot(socket: Path, service: FakeService, last: str) -> None:
    epoch = service.journal.id_of(0).partition("-")[0]
    with following(socket, EVENTS, last.format(epoch=epoch)) as stream:
        assert stream.event().kind == "snapshot"


def test_a_large_snapshot_comes_in_parts_and_only_the_last_has_an_id(socket: Path, service: FakeService) -> None:
    def add_many() -> None:
        for id_ in MANY:
            service._add(id_, "ready", "there")

    service.on_loop(add_many)
    with following(socket, EVENTS) as stream:
        parts = [stream.event()]
        while parts[-1].data["more"]:
            parts.append(stream.event())
    assert [part.id is None for part in parts] == [True, True, False]
    assert [part.data["service"] is None for part in parts] == [True, True, False]
    ids = [view["environment"] for part in parts for view in part.data["environments"]]
    assert ids == sorted(service.all)


def test_a_client_that_is_gone_is_let_go_of(socket: Path, metrics: Metrics) -> None:
    with following(socket, EVENTS) as one, following(socket, EVENTS) as other:
        one.event()
        other.event()
        assert metrics.followers == 2
    assert until(lambda: metrics.followers == 0)
    assert ask(socket, "GET", "/v1/service").status == 200


def test_clients_that_do_not_read_hold_nothing_up(socket: Path, service: FakeService, metrics: Metrics) -> None:
    with following(socket, EVENTS), following(socket, EVENTS) as reader:
        reader.event()
        assert until(lambda: metrics.followers == 2)

        def tell_much() -> None:
            for _ in range(20_000):
                service.journal.add("saved", b'{"environment":"x"}')

        service.on_loop(tell_much)
        assert ask(socket, "GET", "/v1/service").status == 200
        assert reader.until("snapshot"), "it fell out of the journal, and begins anew"
        service.save_same("vision")
        assert reader.event().data == {"environment": "vision"}


async def first(frames: AsyncGenerator[bytes, None], count: int) -> list[bytes]:
    return [await anext(frames) for _ in range(count)]


def test_what_changes_while_a_snapshot_is_made_is_told_after_it(service: FakeService) -> None:
    for id_ in MANY:
        service._add(id_, "ready", "there")

    async def follow() -> list[bytes]:
        frames = EventStream(service).frames()
        begun = await first(frames, 2)
        assert begun[1].startswith(b"event: snapshot\ndata: ")
        service.break_("broken")
        return await first(frames, 3)

    *parts, told = asyncio.run(follow())
    assert all(b"event: snapshot" in part for part in parts)
    assert told.startswith(b"event: environment\n")
    assert b"broken/env.yml:3:1" in told


def test_a_follower_that_falls_out_of_the_journal_begins_anew(service: FakeService) -> None:
    service.journal = Journal(kept=10)

    async def follow() -> list[bytes]:
        frames = EventStream(service).frames()
        await first(frames, 2)
        for _ in range(11):
            service.save_same("training")
        begun_anew = await first(frames, 1)
        service.journal.reset()
        return begun_anew + await first(frames, 1)

    assert all(frame.startswith(b"event: snapshot\nid: ") for frame in asyncio.run(follow()))


def test_what_happens_in_one_moment_comes_in_one_piece(service: FakeService) -> None:
    async def follow() -> bytes:
        frames = EventStream(service).frames()
        await first(frames, 2)
        service.save("training")
        return await anext(frames)

    assert asyncio.run(follow()).count(b"event: ") == 3


def test_while_nothing_happens_there_is_a_heartbeat(service: FakeService) -> None:
    async def follow() -> list[bytes]:
        return await first(EventStream(service, heartbeat_s=0.01).frames(), 4)

    retry, snapshot, *beats = asyncio.run(follow())
    assert (retry, snapshot[:16], beats) == (RETRY, b"event: snapshot\n", [HEARTBEAT, HEARTBEAT])


def test_ids_that_are_not_utf_8_are_told(socket: Path, service: FakeService) -> None:
    odd: Any = "b\udcffd"
    with following(socket, EVENTS) as stream:
        stream.event()
        service.save(odd)
        assert {event.data["environment"] for event in stream.until("build")} == {odd}
