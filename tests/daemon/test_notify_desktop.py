"""Desktop notifications where there is no desktop. `tests/engine/test_desktop_notification.py` has a real bus."""

import asyncio
import socket
from pathlib import Path

import pytest
from values import SETTINGS

from envkiln.daemon.notices import Notice
from envkiln.daemon.notify import NotifyError
from envkiln.daemon.notify_desktop import Desktop, bus_address

NOTICE = Notice("ready", "a", "ready", "azureml/azureml_1", "built", None, 1.0, SETTINGS)


async def send(desktop: Desktop) -> None:
    try:
        await desktop.send(NOTICE)
    finally:
        await desktop.close()


def test_without_a_session_it_says_so() -> None:
    with pytest.raises(NotifyError, match="no D-Bus session") as caught:
        asyncio.run(send(Desktop({})))
    assert caught.value.hint is not None
    assert "notify_desktop = false" in caught.value.hint


@pytest.mark.parametrize("address", ["unix:path=/nowhere/bus", "autolaunch:", "tcp:host=h,port=1", "unix:path", "x"])
def test_a_bus_that_cannot_be_used_is_told(address: str) -> None:
    with pytest.raises(NotifyError, match="cannot be used"):
        asyncio.run(send(Desktop({"DBUS_SESSION_BUS_ADDRESS": address})))


def test_the_bus_of_systemd_is_found_without_a_variable(tmp_path: Path) -> None:
    assert bus_address({"XDG_RUNTIME_DIR": str(tmp_path)}) is None
    with socket.socket(socket.AF_UNIX) as bus:
        bus.bind(str(tmp_path / "bus"))
        assert bus_address({"XDG_RUNTIME_DIR": str(tmp_path)}) == f"unix:path={tmp_path}/bus"
    assert bus_address({"XDG_RUNTIME_DIR": str(tmp_path), "DBUS_SESSION_BUS_ADDRESS": "unix:path=/x"}) == (
        "unix:path=/x"
    )
