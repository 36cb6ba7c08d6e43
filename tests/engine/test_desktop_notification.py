"""Notifications on a real D-Bus, to a notification server that is a few lines long; and what a real service tells."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from jeepney import HeaderFields, MessageType, new_error, new_method_return
from jeepney.bus_messages import message_bus
from jeepney.io.asyncio import DBusConnection, DBusRouter, Proxy, open_dbus_connection
from programs import provide
from receiving import Receiver, receiving
from running import PATIENCE_S, World, until
from values import SETTINGS

from envkiln.daemon.notices import Notice
from envkiln.daemon.notify import NotifyError
from envkiln.daemon.notify_desktop import Desktop

NAME = "org.freedesktop.Notifications"


@pytest.fixture(scope="session", autouse=True)
def _dbus() -> None:
    provide("dbus-daemon", package="dbus")


def notice(environment: str, kind: str = "ready", reason: str = "built in 2.0 s") -> Notice:
    return Notice(kind, environment, kind, "azureml/azureml_1", reason, None, 1.0, SETTINGS)


@dataclass
class Server:
    """Owns the name of the notification server; `shown` are the arguments of Notify."""

    connection: DBusConnection
    capabilities: list[str]
    shown: list[tuple[Any, ...]] = field(default_factory=list)
    refuse: bool = False

    async def serve(self) -> None:
        while True:
            call = await self.connection.receive()
            if call.header.message_type is not MessageType.method_call:
                continue
            member = call.header.fields[HeaderFields.member]
            if self.refuse:
                answer = new_error(call, f"{NAME}.Error.Refused")
            elif member == "GetCapabilities":
                answer = new_method_return(call, "as", (self.capabilities,))
            else:
                self.shown.append(call.body)
                # As the specification has it: what is replaced keeps its id.
                answer = new_method_return(call, "u", (call.body[1] or len(self.shown),))
            await self.connection.send(answer)


@asynccontextmanager
async def session() -> AsyncIterator[str]:
    """A bus of our own; its address."""
    process = await asyncio.create_subprocess_exec(
        "dbus-daemon", "--session", "--nofork", "--print-address", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def server(address: str, *capabilities: str) -> AsyncIterator[Server]:
    async with await open_dbus_connection(address) as connection:
        async with DBusRouter(connection) as router:
            await Proxy(message_bus, router).RequestName(NAME)
        made = Server(connection, list(capabilities))
        serving = asyncio.create_task(made.serve())
        try:
            yield made
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


@asynccontextmanager
async def desktop_on(address: str) -> AsyncIterator[Desktop]:
    desktop = Desktop({"DBUS_SESSION_BUS_ADDRESS": address})
    try:
        yield desktop
    finally:
        await desktop.close()


def play(scene: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await scene

    asyncio.run(limited())


def test_each_environment_has_one_notification_which_the_next_replaces() -> None:
    async def scene() -> None:
        async with session() as address, server(address) as shower, desktop_on(address) as desktop:
            for made in (notice("a"), notice("b"), notice("a", "failed", "no\nway")):
                await desktop.send(made)
            first, second, third = shower.shown
            assert (first[0], first[1], first[3], first[4]) == ("envkiln", 0, "a: ready", "built in 2.0 s")
            assert second[1] == 0
            assert (third[1], third[2], third[3], third[4]) == (1, "dialog-error", "a: failed", "no way")

    play(scene())


def test_text_from_a_file_is_no_markup_and_any_name_can_be_shown() -> None:
    async def scene() -> None:
        async with session() as address, server(address, "body-markup") as shower, desktop_on(address) as desktop:
            await desktop.send(notice("a\udcff\0", "failed", "<b>bold</b> & more"))
            assert shower.shown[0][4] == "&lt;b&gt;bold&lt;/b&gt; &amp; more"
            assert shower.shown[0][3] == "a\ufffd : failed"

    play(scene())


def test_a_session_without_a_notification_server_is_told_and_one_that_comes_later_is_used() -> None:
    async def scene() -> None:
        async with session() as address, desktop_on(address) as desktop:
            with pytest.raises(NotifyError, match="shows no notifications"):
                await desktop.send(notice("a"))
            async with server(address, "body-markup") as shower:
                await desktop.send(notice("a", reason="<b>"))
                assert [shown[4] for shown in shower.shown] == ["&lt;b&gt;"]
                shower.refuse = True
                with pytest.raises(NotifyError, match="Refused"):
                    await desktop.send(notice("a"))

    play(scene())


def test_a_bus_that_went_away_is_told_and_a_new_one_is_used() -> None:
    async def scene() -> None:
        environ: dict[str, str] = {}
        desktop = Desktop(environ)
        async with session() as address, server(address):
            environ["DBUS_SESSION_BUS_ADDRESS"] = address
            await desktop.send(notice("a"))
        with pytest.raises(NotifyError):
            await desktop.send(notice("a"))
        async with session() as address, server(address) as shower:
            environ["DBUS_SESSION_BUS_ADDRESS"] = address
            await desktop.send(notice("a"))
            assert shower.shown[0][3] == "a: ready"
            await desktop.close()

    play(scene())


def test_a_failure_and_its_end_are_told_on_every_channel_without_a_credential(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    settings = (world.root / "envkiln.toml").read_text()
    world.write("envkiln.toml", f'{settings}\n[[pattern]]\nmatch = "told"\nnotify_on = ["failed", "recovered"]\n')
    heard = world.directory / "heard"
    hook = world.directory / "hook"
    hook.write_text(f'#!/bin/sh\n(echo "$ENVKILN_EVENT $ENVKILN_ENVIRONMENT: $ENVKILN_REASON"; cat; echo) >>{heard}\n')
    hook.chmod(0o755)
    wrong = "RUN echo no way to https://me:hush-hush@index.example/simple; exit 7"

    def use(receiver: Receiver, shower: Server) -> None:
        world.up()
        for id_ in ("silent", "told"):
            world.write(f"{id_}/Dockerfile", world.dockerfile(f"ENV ID={id_}", wrong))
            world.until_state(id_, "failed")
        until(lambda: shower.shown and len(receiver.got) > 1 and heard.exists(), world.output)
        world.write("told/Dockerfile", world.dockerfile())
        world.until_state("told", "ready")
        until(lambda: len(shower.shown) > 1 and len(receiver.got) > 2 and "recovered told" in heard.read_text())

    async def scene() -> None:
        with receiving() as receiver:
            receiver.answers = [503]
            async with session() as address, server(address) as shower:
                world.environ |= {
                    "DBUS_SESSION_BUS_ADDRESS": address,
                    "ENVKILN_NOTIFY_WEBHOOK": receiver.url,
                    "ENVKILN_NOTIFY_WEBHOOK_SECRET": "correct-horse-battery",
                    "ENVKILN_NOTIFY_COMMAND": str(hook),
                }
                await asyncio.to_thread(use, receiver, shower)
            first, again, last = receiver.got
            assert first[1]["envkiln-delivery"] == again[1]["envkiln-delivery"] != last[1]["envkiln-delivery"]
            assert all(headers["envkiln-signature"].startswith("t=") for _, headers, _ in receiver.got)
            bodies = [json.loads(body) for _, _, body in (again, last)]
            told = [("failed", "told"), ("recovered", "told")]
            assert [(body["event"], body["environment"]) for body in bodies] == told
            assert [shown[3] for shown in shower.shown] == ["told: failed", "told: ready again"]
            assert "no way to https://" in shower.shown[0][4]
            assert "silent" not in heard.read_text()
            everything = f"{receiver.got}{shower.shown}{heard.read_text()}{world.output()}"
            assert "hush-hush" not in everything

    async def limited() -> None:
        async with asyncio.timeout(4 * PATIENCE_S):
            await scene()

    asyncio.run(limited())
