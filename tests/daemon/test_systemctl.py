"""What `systemctl` says, and what is said where there is none."""

from collections.abc import Callable
from pathlib import Path

import pytest

from envkiln.daemon.systemctl import SystemdRefused, run_program, states_in

Run = Callable[..., tuple[int, str, str]]

SHOWN = """\
Result=success
NRestarts=2
MainPID=417
StatusText=12 ready, 1 building
Id=envkiln.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
NeedDaemonReload=no

Id=envkiln.socket
LoadState=not-found
ActiveState=inactive
SubState=dead
UnitFileState=
NeedDaemonReload=no
"""


def test_the_states_of_units_are_read() -> None:
    states = states_in(SHOWN)
    service, socket = states["envkiln.service"], states["envkiln.socket"]
    assert (service.loaded, service.active, service.detail, service.enabled) == (True, "active", "running", "enabled")
    assert (service.process, service.restarts, service.status) == (417, 2, "12 ready, 1 building")
    assert (socket.loaded, socket.active, socket.process, socket.result) == (False, "inactive", 0, "")


def test_a_value_may_hold_an_equals_sign() -> None:
    assert states_in("Id=envkiln.service\nStatusText=a=b\n")["envkiln.service"].status == "a=b"


def test_the_first_words_of_a_program_that_fails_are_the_error() -> None:
    with pytest.raises(SystemdRefused) as refused:
        run_program(["sh", "-c", "echo 'no bus' >&2; echo more >&2; exit 3"], "log in")
    assert refused.value.message.endswith(": no bus")
    assert refused.value.hint == "log in"


@pytest.mark.parametrize("action", ["status", "install"])
def test_without_systemd_there_is_another_way(
    run: Run, action: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, out, err = run("service", action)
    assert (code, out) == (4, "")
    assert err == "envkiln: there is no systemctl here\n  use `envkiln up` instead\n"
    assert not (tmp_path / "config").exists(), "nothing is put in place"


def test_nothing_is_taken_out_where_nothing_is(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run("service", "uninstall") == (0, "nothing to do: it is not installed\n", "")
