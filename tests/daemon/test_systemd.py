"""sd_notify, the watchdog's variables and socket activation, as systemd defines them."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import run

import pytest
from notify_socket import NotifySocket

from envkiln.daemon.systemd import Manager, manager_from

ACTIVATED = """
import os, sys
from pathlib import Path
from envkiln.daemon.systemd import inherited_listener
for number, given in enumerate(sys.argv[2:]):
    os.dup2(int(given), 3 + number)
environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(sys.argv) - 2), "LISTEN_FDNAMES": "a:b"}
try:
    listener = inherited_listener(environ, os.getpid(), Path(sys.argv[1]))
except Exception as error:
    print(type(error).__name__, error, error.hint)
else:
    print(listener.getsockname(), listener.getsockopt(1, 30), os.get_inheritable(listener.fileno()), environ)
"""


@pytest.fixture
def manager_end(tmp_path: Path) -> Iterator[NotifySocket]:
    made = NotifySocket(tmp_path / "notify")
    yield made
    made.close()


def test_the_manager_gets_all_assignments_of_one_call_together(manager_end: NotifySocket) -> None:
    Manager(manager_end.address).tell("READY=1", "STATUS=2 ready")
    manager_end.until("STATUS=2 ready")
    assert manager_end.told == ["READY=1", "STATUS=2 ready"]


def test_an_abstract_address_is_understood() -> None:
    name = f"envkiln-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(f"\0{name}")
        end.settimeout(60)
        Manager(f"@{name}").tell("READY=1")
        assert end.recv(100) == b"READY=1"


def test_nobody_or_a_manager_that_has_gone_is_no_error(tmp_path: Path) -> None:
    Manager().tell("READY=1")
    Manager(str(tmp_path / "gone")).tell("READY=1")


def test_the_variables_are_read_once_and_taken_out() -> None:
    environ = {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7", "HOME": "/root"}
    assert manager_from(environ, 7) == Manager("/run/n", 30.0)
    assert environ == {"HOME": "/root"}
    assert manager_from(environ, 7) == Manager()


@pytest.mark.parametrize(
    "environ",
    [
        {"NOTIFY_SOCKET": "/run/n"},
        {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"},
        {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "soon"},
        {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "0"},
    ],
)
def test_a_watchdog_of_somebody_else_or_none_is_not_patted(environ: dict[str, str]) -> None:
    assert manager_from(environ, 7) == Manager("/run/n")


def test_an_address_of_another_kind_is_no_manager() -> None:
    assert manager_from({"NOTIFY_SOCKET": "vsock:2:1"}, 7) == Manager()


def activated(wanted: Path, *listening: socket.socket) -> str:
    """Return what a process says that is given these sockets as systemd gives them."""
    numbers = [str(each.fileno()) for each in listening]
    command = [sys.executable, "-P", "-c", ACTIVATED, str(wanted), *numbers]
    done = run(command, capture_output=True, text=True, check=True, timeout=60, pass_fds=[int(it) for it in numbers])
    return done.stdout.strip()


def test_the_socket_of_the_unit_is_taken_and_not_passed_on(tmp_path: Path) -> None:
    path = tmp_path / "envkiln.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket() as other:
        listener.bind(str(path))
        listener.listen()
        assert activated(path, other, listener) == f"{path} 1 False {{}}"


def test_a_socket_at_another_place_is_refused_with_the_line_to_correct(tmp_path: Path) -> None:
    wanted, there = tmp_path / "envkiln.sock", tmp_path / "other.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(there))
        listener.listen()
        assert activated(wanted, listener) == (
            f"WrongSocket systemd listens on {there}, and clients come to {wanted} "
            f"correct the socket unit: ListenStream={wanted}"
        )
