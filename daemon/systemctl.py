"""`systemctl` as a program: what it is told to do, and what it says of our units."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.daemon.text import one_line
from envkiln.daemon.unit_files import SERVICE, SOCKET, Whose

_PATIENCE_S = 180.0
"""Above the time that a unit may take to start and to stop."""
_PROPERTIES = (
    *("LoadState", "ActiveState", "SubState", "UnitFileState", "NeedDaemonReload"),
    *("MainPID", "StatusText", "NRestarts", "Result"),
)


class SystemdRefused(EnvkilnError):  # noqa: N818 -- what it is
    """systemd is not there, or does not do what it is told."""

    turn = Turn.SURROUNDINGS


@dataclass(frozen=True, slots=True)
class UnitState:
    """What systemd says of one unit; `active` is active, inactive, failed, activating, deactivating or reloading."""

    unit: str
    loaded: bool
    active: str
    detail: str
    enabled: str
    needs_reload: bool
    process: int
    status: str
    restarts: int
    result: str


class Systemctl:
    """The manager of one user, or of the machine. Every method raises SystemdRefused."""

    def __init__(self, whose: Whose) -> None:
        self._whose = whose

    def run(self, *words: str) -> str:
        """Return what `systemctl` prints with these words."""
        return run_program(["systemctl", f"--{self._whose.value}", "--no-pager", *words], self._hint(words))

    def states(self) -> dict[str, UnitState]:
        """Return the states of the service and the socket, by unit; of one that there is not, too."""
        return states_in(self.run("show", "--property", ",".join(("Id", *_PROPERTIES)), SERVICE, SOCKET))

    def _hint(self, words: tuple[str, ...]) -> str:
        if words[0] == "start":
            return f"see why: journalctl --{self._whose.value} -u {SERVICE} -n 30"
        if self._whose is Whose.USER:
            return (
                "log in as this user (`su` and `sudo` give no session), or: loginctl enable-linger; or --system as root"
            )
        return "only root may do it, and systemd has to be the machine's init"


def run_program(command: list[str], hint: str | None = None) -> str:
    """Return what a program prints; raises SystemdRefused with its last words."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except FileNotFoundError:
        raise SystemdRefused(f"there is no {command[0]} here", hint="use `envkiln up` instead") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SystemdRefused(f"{' '.join(command)}: {error}", hint=hint) from error
    if done.returncode != 0:
        said = [one_line(line) for line in done.stderr.splitlines() if line.strip()]
        raise SystemdRefused(f"{' '.join(command)}: {said[0] if said else f'ended with {done.returncode}'}", hint=hint)
    return done.stdout


def states_in(output: str) -> dict[str, UnitState]:
    """Return what `systemctl show` says of units, by unit."""
    found = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in output.split("\n\n")]
    return {unit["Id"]: _state(unit) for unit in found if "Id" in unit}


def _state(unit: Mapping[str, str]) -> UnitState:
    return UnitState(
        unit["Id"],
        unit.get("LoadState") == "loaded",
        unit.get("ActiveState", "inactive"),
        unit.get("SubState", ""),
        unit.get("UnitFileState", ""),
        unit.get("NeedDaemonReload") == "yes",
        int(unit.get("MainPID") or 0),
        unit.get("StatusText", ""),
        int(unit.get("NRestarts") or 0),
        unit.get("Result", ""),
    )
