"""Desktop notifications on a real D-Bus, to a notification server that is a few lines long."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from jeepney import HeaderFields, MessageType, new_error, new_method_return
from jeepney.bus_messages import message_bus
from jeepney.io.asyncio import DBusConnection, DBusRouter, Proxy, open_dbus_connection
from values import SETTINGS

from envkiln.daemon.notices import Notice
from envkiln.daemon.notify import NotifyError
from envkiln.daemon.notify_desktop import Desktop

NAME = "org.freedesktop.Notifications"


@pytest.fixture(scope="session", autouse=True)
def _dbus() -> None:
    if shutil.which("dbus-daemon") is None:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "--no-install-recommends", "dbus"]
        for command in (["apt-get", "update"], install):
            subprocess.run(command, env=environment, check=True)


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
