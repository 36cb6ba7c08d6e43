"""Where the service keeps its things: the state, the socket, the logs, the user's configuration file."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from envkiln.cache.errors import EnvkilnError, Turn

STATE_VARIABLE = "ENVKILN_STATE_DIR"
FILE_NAME = "envkiln.toml"
"""What a configuration file is called, the user's and a root's."""

SYSTEM = {"ENVKILN_STATE_DIR": "/var/lib/envkiln", "XDG_RUNTIME_DIR": "/run", "XDG_CONFIG_HOME": "/etc"}
"""Where the machine's service keeps its things, in the variables of `paths_from`; its unit sets the same."""

# sockaddr_un.sun_path has 108 bytes on Linux, with the final NUL.
_SOCKET_BYTES = 107


class PathsError(EnvkilnError):
    """A directory that the service needs cannot be made, or cannot be trusted."""

    turn = Turn.SURROUNDINGS


@dataclass(frozen=True, slots=True)
class Paths:
    """Absolute paths; having the value says nothing about what exists."""

    state: Path
    socket: Path
    config_file: Path

    @property
    def runtime(self) -> Path:
        """The directory of the socket."""
        return self.socket.parent

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def pins(self) -> Path:
        """The file of what `envkiln pin` has pinned."""
        return self.state / "pins"

    @property
    def crashes(self) -> Path:
        """The directory of the reports of errors of envkiln."""
        return self.state / "crashes"

    @property
    def locks(self) -> Path:
        """The directory of the locks of image names."""
        return self.state / "locks"

    @property
    def index(self) -> Path:
        """The directory of the index: its name has the version of its layout."""
        return self.state / "index-v1"

    def ensure(self, *, runtime: bool = True) -> None:
        """Make the state, runtime, log and index directories, with mode 0700; doing it again changes nothing.

        Without `runtime`, the socket's directory is somebody else's work. Raises PathsError when one cannot be made,
        is not a directory of this user, or may be written by others.
        """
        # The state directory may be one that somebody chose and uses for more, so its mode is only judged. The
        # others carry names of ours; they are tightened.
        _private(self.state, ours=False)
        for directory in (*((self.runtime,) if runtime else ()), self.logs, self.index):
            _private(directory, ours=True)


def paths_from(environ: Mapping[str, str], *, uid: int | None = None) -> Paths:
    """Return the paths that `environ` asks for; the file system is not touched.

    As the XDG base directory specification has it, an XDG variable with a relative path counts as not set.
    Raises PathsError for a relative $ENVKILN_STATE_DIR: the service and its clients start in different places.
    """
    state = _state(environ)
    runtime = _absolute(environ.get("XDG_RUNTIME_DIR"))
    socket = (runtime / "envkiln" if runtime else state / "run") / "envkiln.sock"
    if len(os.fsencode(socket)) > _SOCKET_BYTES:
        socket = _short_socket(socket, environ, os.getuid() if uid is None else uid)
    config = _absolute(environ.get("XDG_CONFIG_HOME")) or _home(environ, ".config")
    if config is None:
        from platformdirs import user_config_path  # noqa: PLC0415 -- only without $HOME, costs 10 ms

        config = user_config_path()
    return Paths(state, socket, config / "envkiln" / FILE_NAME)


def asks_the_machines(environ: Mapping[str, str]) -> bool:
    """Whether `environ` leads to the machine's service, as `envkiln --system` does."""
    return all(environ.get(name) == value for name, value in SYSTEM.items())


def _state(environ: Mapping[str, str]) -> Path:
    chosen = environ.get(STATE_VARIABLE)
    if chosen:
        path = _absolute(chosen)
        if path is None:
            hint = f"set {STATE_VARIABLE} to a path that starts with /"
            raise PathsError(f"{STATE_VARIABLE} is {chosen!r}, which is not an absolute path", hint=hint)
        return path
    base = _absolute(environ.get("XDG_STATE_HOME")) or _home(environ, ".local/state")
    if base is not None:
        return base / "envkiln"
    from platformdirs import user_state_path  # noqa: PLC0415 -- only without $HOME: asks the password database

    return user_state_path("envkiln")


def _absolute(text: str | None) -> Path | None:
    path = Path(os.path.normpath(text)) if text else None
    return path if path and path.is_absolute() else None


def _home(environ: Mapping[str, str], below: str) -> Path | None:
    home = _absolute(environ.get("HOME"))
    return home / below if home else None


def _short_socket(socket: Path, environ: Mapping[str, str], uid: int) -> Path:
    import hashlib  # noqa: PLC0415 -- rarely needed, and every query starts here

    # The digest keeps services with different state directories apart.
    name = f"{hashlib.sha256(os.fsencode(socket)).hexdigest()[:12]}.sock"
    short = (_absolute(environ.get("TMPDIR")) or Path("/tmp")) / f"envkiln-{uid}" / name  # noqa: S108 -- see _private
    if len(os.fsencode(short)) <= _SOCKET_BYTES:
        return short
    return Path("/tmp") / f"envkiln-{uid}" / name  # noqa: S108 -- see _private


def _private(directory: Path, *, ours: bool) -> None:
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        try:
            directory.mkdir(mode=0o700)
        except FileExistsError:
            _judge(directory, ours=ours)
    except OSError as error:
        raise PathsError(
            f"the directory {directory} cannot be made: {error.strerror or error}",
            hint=f"make it yourself with mode 0700, or set {STATE_VARIABLE} to another place",
        ) from error


def _judge(directory: Path, *, ours: bool) -> None:
    # In /tmp somebody else may have been there first: whoever owns the directory owns the socket in it. A link is
    # followed only at the state directory, which the user may have moved to a larger disk.
    status = directory.lstat() if ours else directory.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise PathsError(f"{directory} is not a directory", hint="move it out of the way")
    if status.st_uid != os.geteuid():
        hint = f"remove it, or set {STATE_VARIABLE} to a directory of your own"
        raise PathsError(f"the directory {directory} belongs to user {status.st_uid}, not to you", hint=hint)
    if ours and stat.S_IMODE(status.st_mode) != 0o700:
        directory.chmod(0o700)
    elif not ours and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        hint = f"run: chmod 700 {directory}"
        raise PathsError(f"the state directory {directory} may be written by other users", hint=hint)
