"""The files of a service of systemd: which there are, where they go, and what they say for one installation. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

SERVICE = "envkiln.service"
SOCKET = "envkiln.socket"
MARK = "# Written by `envkiln service install`, which writes it anew; changes belong into a drop-in: systemctl edit"
_COMMAND = "ExecStart=envkiln "
# What a shell has of these, the commands of its user go by: the service has to agree with them.
_SHARED = ("ENVKILN_STATE_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT")


class Whose(Enum):
    """Whose service it is; the value is what the option of `systemctl` is called."""

    USER = "user"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class UnitFile:
    """One file: `source` is its name in the package `envkiln.systemd`."""

    source: str
    path: Path

    @property
    def is_unit(self) -> bool:
        return self.path.suffix in (".service", ".socket")


def unit_files(whose: Whose, environ: Mapping[str, str]) -> tuple[UnitFile, ...]:
    """Return the files of a service; those of a user go where $XDG_CONFIG_HOME or $HOME says."""
    if whose is Whose.USER:
        config = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "/")) / ".config")
        directory = config / "systemd" / "user"
        return (
            UnitFile("envkiln-user.service", directory / SERVICE),
            UnitFile("envkiln-user.socket", directory / SOCKET),
        )
    directory = Path("/etc/systemd/system")
    return (
        UnitFile("sysusers.conf", Path("/etc/sysusers.d/envkiln.conf")),
        UnitFile("tmpfiles.conf", Path("/etc/tmpfiles.d/envkiln.conf")),
        UnitFile("envkiln-system.service", directory / SERVICE),
        UnitFile("envkiln-system.socket", directory / SOCKET),
    )


def rendered(text: str, whose: Whose, program: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the file `text` for an installation whose `envkiln` is started by the words `program`.

    A user's service gets those variables of `environ` that say where its things and its engine are; none of them
    may hold a secret. The machine's service has its own.
    """
    command = " ".join(map(quoted, program))
    lines = [MARK]
    for line in text.splitlines():
        if not line.startswith(_COMMAND):
            lines.append(line)
            continue
        shared = [f"{name}={environ[name]}" for name in _SHARED if environ.get(name)] if whose is Whose.USER else []
        lines += [f"Environment={quoted(pair, in_command=False)}" for pair in shared]
        lines.append(f"ExecStart={command} {line.removeprefix(_COMMAND)}")
    return "\n".join(lines) + "\n"


def is_ours(text: str) -> bool:
    """Whether a file was written by `rendered`."""
    return text.startswith(MARK)


def quoted(word: str, *, in_command: bool = True) -> str:
    """Return one word as systemd.syntax(7) reads it back; raises ValueError for one that no unit can hold."""
    if not word.isprintable():
        raise ValueError(f"{word!r} cannot stand in a unit")
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    if in_command:
        text = text.replace("$", "$$")
    return f'"{text}"' if text != word or not word or any(character in word for character in " '") else word
