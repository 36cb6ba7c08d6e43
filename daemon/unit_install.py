"""Puts the service into systemd's hands and takes it out again; doing either twice changes nothing."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.daemon.client import Client, ServiceDown
from envkiln.daemon.config import load_config, read_file
from envkiln.daemon.paths import SYSTEM, Paths, paths_from
from envkiln.daemon.systemctl import Systemctl, run_program
from envkiln.daemon.text import one_line
from envkiln.daemon.unit_files import SERVICE, SOCKET, UnitFile, Whose, is_ours, rendered, unit_files

Say = Callable[[str], None]


class NotInstalled(EnvkilnError):  # noqa: N818 -- what it is
    """The service cannot be installed or taken out as things are; somebody has to do something first."""

    turn = Turn.USER


def program_words(executable: str = sys.executable) -> tuple[str, ...]:
    """Return the words that start this very envkiln: the script beside its interpreter, or the module."""
    script = Path(executable).parent / "envkiln"
    return (str(script),) if os.access(script, os.X_OK) else (executable, "-m", "envkiln.daemon")


def wanted_texts(whose: Whose, environ: Mapping[str, str], program: Sequence[str]) -> dict[UnitFile, str]:
    """Return what each file of the service has to say."""
    folder = files("envkiln.systemd")
    return {
        file: rendered((folder / file.source).read_text(encoding="utf-8"), whose, program, environ)
        for file in unit_files(whose, environ)
    }


def install(whose: Whose, environ: Mapping[str, str], say: Say) -> None:
    """Write the units, enable and start them; `say` gets a line for everything that was done.

    Raises ConfigError where the service could not start for one, NotInstalled when a file of somebody else or a service
    without systemd is in the way, SystemdRefused when systemd does not do its part.
    """
    paths = paths_from({**environ, **SYSTEM} if whose is Whose.SYSTEM else environ)
    _check_configuration(paths, environ)
    systemctl = Systemctl(whose)
    texts = wanted_texts(whose, environ, program_words())
    changed = [file for file, text in texts.items() if _current(file) != text]
    _refuse_what_is_in_the_way(paths, systemctl, changed)
    for file in changed:
        _write(file.path, texts[file])
        say(f"written: {file.path}")
    if whose is Whose.SYSTEM:
        for file, tool in zip(texts, (["systemd-sysusers"], ["systemd-tmpfiles", "--create"]), strict=False):
            run_program([*tool, str(file.path)])
    states = systemctl.states()
    if changed or any(state.needs_reload for state in states.values()):
        systemctl.run("daemon-reload")
    if any(state.enabled != "enabled" for state in states.values()):
        systemctl.run("enable", SERVICE, SOCKET)
        say("enabled: it starts with the machine" if whose is Whose.SYSTEM else "enabled: it starts when you log in")
    runs = {unit for unit, state in states.items() if state.active in ("active", "reloading")}
    # The socket cannot be put under a service that runs.
    if SERVICE in runs and (SOCKET not in runs or any(file.is_unit for file in changed)):
        systemctl.run("stop", SERVICE, SOCKET)
        runs.clear()
    if runs != {SERVICE, SOCKET}:
        systemctl.run("reset-failed", SERVICE, SOCKET)
        systemctl.run("start", SOCKET, SERVICE)
        say("started")
    elif not changed:
        say("nothing to do: it is installed and runs")
    for problem in Client(paths.socket, warn=lambda _: None).service()["problems"]:
        say(one_line(problem))


def uninstall(whose: Whose, environ: Mapping[str, str], say: Say) -> None:
    """Stop and disable the units and remove their files; state, configuration and images stay.

    Raises NotInstalled when a file is somebody else's, SystemdRefused when systemd does not do its part.
    """
    there = [file for file in unit_files(whose, environ) if file.path.exists()]
    if not there:
        say("nothing to do: it is not installed")
        return
    for file in there:
        _refuse_foreign(file)
    systemctl = Systemctl(whose)
    states = systemctl.states()
    units = [unit for unit, state in states.items() if state.loaded]
    if units:
        systemctl.run("disable", "--now", *units)
        say("stopped and disabled")
    for file in there:
        file.path.unlink(missing_ok=True)
        say(f"removed: {file.path}")
    systemctl.run("daemon-reload")
    # Where a unit had failed, systemd would keep its name until the next boot.
    if any(state.active == "failed" for state in states.values()):
        systemctl.run("reset-failed")


def outdated(whose: Whose, environ: Mapping[str, str]) -> list[str]:
    """Return the files of an installed service that say something else than `install` would write."""
    texts = wanted_texts(whose, environ, program_words())
    return [str(file.path) for file, text in texts.items() if _current(file) not in (None, text)]


def _check_configuration(paths: Paths, environ: Mapping[str, str]) -> None:
    # The variables of a shell do not reach the service: only its files count.
    seen = {"HOME": environ["HOME"]} if "HOME" in environ else {}
    load_config(roots_from_flags=(), flags={}, environ=seen, user_file=paths.config_file, read=read_file)


def _refuse_what_is_in_the_way(paths: Paths, systemctl: Systemctl, changed: Sequence[UnitFile]) -> None:
    for file in changed:
        _refuse_foreign(file)
    main = systemctl.states()[SERVICE].process
    if main:
        return
    try:
        process = Client(paths.socket, warn=lambda _: None).service()["process"]
    except ServiceDown:
        return
    if systemctl.states()[SERVICE].process != process:
        raise NotInstalled(
            f"an envkiln that systemd did not start (process {process}) serves {paths.socket}",
            hint="stop it first (Ctrl-C where `envkiln up` runs), then install again",
        )


def _refuse_foreign(file: UnitFile) -> None:
    text = _current(file)
    if text is not None and not is_ours(text):
        raise NotInstalled(
            f"{file.path} was not written by `envkiln service install`", hint="move it away, then try again"
        )


def _current(file: UnitFile) -> str | None:
    """Return what a file says now, None when there is none."""
    try:
        return file.path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotInstalled(f"{file.path} cannot be read: {error.strerror}", hint="check its permissions") from error


def _write(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        new.chmod(0o644)
        new.replace(path)
    except OSError as error:
        raise NotInstalled(
            f"{path} cannot be written: {error.strerror}",
            hint="the machine's service is installed by root: sudo envkiln service install --system",
        ) from error
