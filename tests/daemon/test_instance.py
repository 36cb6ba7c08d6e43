"""One service for one state directory, and its socket."""

import os
import socket
import stat
from pathlib import Path

import pytest

from envkiln.daemon.instance import AlreadyRunning, single_instance
from envkiln.daemon.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path / "state", tmp_path / "run" / "envkiln.sock", tmp_path / "envkiln.toml")
    paths.ensure()
    return paths


def connect(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_the_socket_listens_and_is_private_and_goes_with_the_service(paths: Paths) -> None:
    before = os.umask(0)
    try:
        with single_instance(paths):
            assert stat.S_IMODE(paths.socket.stat().st_mode) == 0o600
            assert os.umask(0) == 0, "the mask is what it was"
            connect(paths.socket)
    finally:
        os.umask(before)
    assert not paths.socket.exists()


def test_a_second_service_is_refused_and_the_first_one_goes_on(paths: Paths) -> None:
    with single_instance(paths):
        with pytest.raises(AlreadyRunning) as refused, single_instance(paths):
            pass
        assert refused.value.message == f"another envkiln service (process {os.getpid()}) uses {paths.state}"
        assert refused.value.hint
        connect(paths.socket)


def test_a_socket_that_a_killed_service_left_behind_is_replaced(paths: Paths) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(paths.socket))
    (paths.state / "service.lock").write_text("999999999999\n")
    with pytest.raises(ConnectionRefusedError):
        connect(paths.socket)
    with single_instance(paths):
        connect(paths.socket)
        assert (paths.state / "service.lock").read_text() == f"{os.getpid()}\n"


def test_the_next_service_starts_when_the_first_one_failed(paths: Paths) -> None:
    with pytest.raises(ValueError), single_instance(paths):  # noqa: PT011
        raise ValueError
    with single_instance(paths):
        connect(paths.socket)


def test_services_of_two_state_directories_do_not_disturb_each_other(paths: Paths, tmp_path: Path) -> None:
    others = Paths(tmp_path / "other", tmp_path / "other" / "envkiln.sock", tmp_path / "envkiln.toml")
    others.ensure()
    with single_instance(paths), single_instance(others):
        connect(paths.socket)
        connect(others.socket)
