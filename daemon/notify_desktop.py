"""Desktop notifications: org.freedesktop.Notifications on the session's D-Bus."""

import asyncio
import html
import os
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jeepney import DBusAddress, DBusErrorResponse, new_method_call
from jeepney.io.asyncio import DBusConnection, DBusRouter, open_dbus_connection
from jeepney.wrappers import unwrap_msg

from envkiln.daemon.notices import FAILED, Notice
from envkiln.daemon.notify import NotifyError
from envkiln.daemon.text import one_line

_SERVER = DBusAddress(
    "/org/freedesktop/Notifications",
    bus_name="org.freedesktop.Notifications",
    interface="org.freedesktop.Notifications",
)
_LIMIT_S = 5.0
_REMEMBERED = 1000
_HINT = "start the service in the desktop session, or set notify_desktop = false"


class Desktop:
    """One notification per environment: a new one takes the place of the last."""

    name = "the desktop"

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._connection: DBusConnection | None = None
        self._router: DBusRouter | None = None
        self._shown: OrderedDict[str, int] = OrderedDict()

    async def send(self, notice: Notice) -> None:
        address = bus_address(self._environ)
        if address is None:
            raise NotifyError("there is no D-Bus session; no notification is shown", hint=_HINT)
        try:
            async with asyncio.timeout(_LIMIT_S):
                await self._show(address, notice)
        except DBusErrorResponse as error:
            # Such as ServiceUnknown: a session without a notification server.
            raise NotifyError(f"it shows no notifications ({one_line(error.name)})", hint=_HINT) from None
        except TimeoutError:
            await self.close()
            raise NotifyError("it does not answer") from None
        except Exception as error:  # noqa: BLE001
            # A bus that is gone, or speaks otherwise, is told by errors of many kinds.
            await self.close()
            raise NotifyError(f"its D-Bus cannot be used ({type(error).__name__})", hint=_HINT) from None

    async def close(self) -> None:
        connection, router = self._connection, self._router
        self._connection = self._router = None
        # What was wrong with it is known already.
        if router is not None:
            with suppress(Exception):
                await router.__aexit__(None, None, None)
        if connection is not None:
            with suppress(Exception):
                await connection.close()

    async def _show(self, address: str, notice: Notice) -> None:
        if self._router is not None and self._router._rcv_task.done():  # noqa: SLF001 -- the bus hung up
            await self.close()
        if self._router is None:
            self._connection = await open_dbus_connection(address)
            self._router = DBusRouter(self._connection)
        # Each time: another server may have taken over.
        (capabilities,) = await self._call("GetCapabilities", "", ())
        body = _text(notice.body)
        icon = "dialog-error" if notice.kind == FAILED else "dialog-information"
        arguments: tuple[Any, ...] = (
            "envkiln",
            self._shown.pop(notice.environment, 0),
            icon,
            _text(notice.title),
            html.escape(body, quote=False) if "body-markup" in capabilities else body,
            [],
            {"urgency": ("y", 1)},
            -1,
        )
        (self._shown[notice.environment],) = await self._call("Notify", "susssasa{sv}i", arguments)
        if len(self._shown) > _REMEMBERED:
            self._shown.popitem(last=False)

    async def _call(self, method: str, signature: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        assert self._router is not None  # noqa: S101 -- opened by the caller
        reply = await self._router.send_and_get_reply(new_method_call(_SERVER, method, signature or None, arguments))
        answer: tuple[Any, ...] = unwrap_msg(reply)
        return answer


def bus_address(environ: Mapping[str, str]) -> str | None:
    """Return the address of the session's bus: what is set, else where systemd puts it; None when there is none."""
    given = environ.get("DBUS_SESSION_BUS_ADDRESS")
    if given:
        return given
    runtime = environ.get("XDG_RUNTIME_DIR")
    usual = Path(runtime) / "bus" if runtime else None
    return f"unix:path={usual}" if usual is not None and usual.is_socket() else None


def _text(text: str) -> str:
    """Return `text` as D-Bus takes it: UTF-8, one line."""
    return one_line(text.encode(errors="surrogateescape").decode(errors="replace"))
