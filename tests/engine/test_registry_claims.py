"""Services that share a registry tell each other what they build, in a real registry."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from registry_server import Fault, FaultProxy, RegistryServer, docker_config, put_image

from envkiln.cache.names import IMAGE_PREFIX
from envkiln.daemon import registry_claims
from envkiln.daemon.credentials import find_credentials
from envkiln.daemon.registry_address import RegistryAddress
from envkiln.daemon.registry_claim import Claim, claim_of, read_claim, write_claim
from envkiln.daemon.registry_claims import GONE_S, Claims
from envkiln.daemon.registry_client import Document, RegistryClient
from envkiln.daemon.registry_errors import NoAnswer

NAME = IMAGE_PREFIX + "c" * 32
MakeRegistry = Callable[..., RegistryServer]
MakeProxy = Callable[[RegistryServer], FaultProxy]


def client(host: str, config: Path = Path("/nonexistent")) -> RegistryClient:
    return RegistryClient(RegistryAddress.parse(host), lambda: find_credentials(host, config))


def test_one_builds_and_the_other_sees_it_until_it_has_ended(make_registry: MakeRegistry) -> None:
    server = make_registry()

    async def story() -> None:
        one, two = Claims(client(server.host)), Claims(client(server.host))
        assert not await two.elsewhere(NAME)
        assert await one.take(NAME)
        assert await two.elsewhere(NAME)
        assert not await one.elsewhere(NAME), "its own note says nothing new"
        await one.release(NAME)
        assert not await two.elsewhere(NAME)
        assert await two.take(NAME)
        await two.release(NAME)

    asyncio.run(story())
    assert server.tags(NAME) == [], "no note is left"


def test_of_two_that_take_it_at_once_the_last_note_counts(make_registry: MakeRegistry) -> None:
    server = make_registry()

    async def story() -> None:
        one, two = Claims(client(server.host)), Claims(client(server.host))
        # A registry on plain files may not know a tag at the moment at which the other one writes it.
        taken = await asyncio.gather(one.take(NAME), two.take(NAME), return_exceptions=True)
        assert True in taken
        for claims in (one, two):
            await claims.release(NAME)

    asyncio.run(story())


def test_a_note_of_somebody_who_has_gone_counts_for_a_while_only(make_registry: MakeRegistry) -> None:
    server = make_registry()
    now = [1000.0]

    async def story() -> None:
        write_claim(client(server.host), NAME, Claim("gone"))
        claims = Claims(client(server.host), clock=lambda: now[0])
        assert await claims.elsewhere(NAME)
        now[0] += GONE_S - 1
        assert await claims.elsewhere(NAME)
        write_claim(client(server.host), NAME, Claim("gone").next())
        now[0] += GONE_S - 1
        assert await claims.elsewhere(NAME), "it has beaten"
        now[0] += GONE_S + 1
        assert not await claims.elsewhere(NAME)
        assert await claims.take(NAME)
        await claims.release(NAME)

    asyncio.run(story())


def test_a_note_changes_while_its_service_lives(make_registry: MakeRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    server = make_registry()
    monkeypatch.setattr(registry_claims, "BEAT_S", 0.05)

    async def story() -> None:
        claims, asked = Claims(client(server.host)), client(server.host)
        await claims.take(NAME)
        beats: set[str] = set()
        async with asyncio.timeout(60):
            while len(beats) < 3:
                # A registry on plain files may not know a tag at the moment at which it is written.
                with suppress(NoAnswer):
                    note = await asyncio.to_thread(read_claim, asked, NAME)
                    assert note is not None
                    assert note.who == claims.who
                    beats.add(note.beat)
        claims.abandon(NAME)

    asyncio.run(story())


def test_where_nothing_is_deleted_the_note_says_that_it_has_ended(
    make_registry: MakeRegistry, make_proxy: MakeProxy
) -> None:
    server = make_registry()
    proxy = make_proxy(server)
    proxy.fault = Fault(status=405, which=lambda method, _path: method == "DELETE")

    async def story() -> None:
        one, two = Claims(client(proxy.host)), Claims(client(server.host))
        assert await one.take(NAME)
        await one.release(NAME)
        assert not await two.elsewhere(NAME)

    asyncio.run(story())
    assert server.tags(NAME) == ["building"]


def test_a_registry_with_a_log_in_takes_notes(make_registry: MakeRegistry, tmp_path: Path) -> None:
    server = make_registry(locked=True)
    config = docker_config(tmp_path / "docker", server.host)

    async def story() -> None:
        claims = Claims(client(server.host, config))
        assert await claims.take(NAME)
        await claims.release(NAME)
        with pytest.raises(NoAnswer):
            await Claims(client(server.host)).take(NAME)

    asyncio.run(story())


def test_a_note_leaves_the_images_tags_alone(make_registry: MakeRegistry) -> None:
    server = make_registry()
    put_image(server, NAME, labels={"envkiln.name": NAME})
    put_image(server, NAME, labels={"envkiln.name": NAME}, tag="1")

    async def story() -> None:
        claims = Claims(client(server.host))
        assert await claims.take(NAME)
        assert server.tags(NAME) == ["1", "building", "latest"]
        await claims.release(NAME)

    asyncio.run(story())
    assert server.tags(NAME) == ["1", "latest"]


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"annotations": null}', b'{"annotations": {"envkiln.builder": "x"}}']
)
def test_what_is_no_note_is_none(data: bytes) -> None:
    assert claim_of(Document(data, "text/plain")) is None
