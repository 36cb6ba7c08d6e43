"""A workspace: the registered versions of a team's environments, in a directory that can live in git.

`envkiln-workspace.json` marks it; `versions/<name>/<version>.yml` is one version (`version_file`); `files/<sha256>`
has the bytes that do not fit into a readable text. A directory without the mark is not an empty workspace: it may be
a disk that is not mounted or a clone that is not made.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from envkiln.cache.errors import DefinitionError, EnvkilnError, Turn
from envkiln.cache.registered_version import RegisteredVersion
from envkiln.cache.version_file import decode_version, encode_version
from envkiln.cache.yaml_text import MAX_BYTES
from envkiln.daemon.config import Config

MARK = "envkiln-workspace.json"
_VERSIONS = "versions"
_FILES = "files"
_LAYOUT = {"envkiln_workspace": 1}


class WorkspaceError(EnvkilnError):
    """A workspace that cannot be read or written at the moment, or is not there."""

    turn = Turn.SURROUNDINGS


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a workspace: the versions, sorted by name and number, and what is wrong with files of it."""

    versions: tuple[RegisteredVersion, ...]
    problems: tuple[DefinitionError, ...] = ()


class Workspace:
    """The workspace in the directory `path`. Every call reads or writes the disk; nothing is remembered.

    Writes hold a lock and replace whole files, so a reader sees a version as a whole or not at all, and a process
    that is killed leaves nothing behind that counts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path) -> "Workspace":
        """Return the workspace in `path`, made if there is none; raises WorkspaceError."""
        try:
            path.mkdir(parents=True, exist_ok=True)
            if not (path / MARK).exists():
                write_whole(path / MARK, (json.dumps(_LAYOUT) + "\n").encode())
        except OSError as error:
            raise _trouble(path, error) from error
        return cls(path)

    def read(self) -> Contents:
        """Return everything in it; raises WorkspaceError when it is not there or cannot be read.

        A damaged version is among the problems, with its place, and everything else among the versions.
        """
        self._judge_mark()
        versions: list[RegisteredVersion] = []
        problems: list[DefinitionError] = []
        try:
            for file in self._version_files():
                try:
                    versions.append(self._decoded(file))
                except DefinitionError as error:
                    problems.append(error)
        except OSError as error:
            raise _trouble(self.path, error) from error
        return Contents(tuple(sorted(versions)), tuple(problems))

    def versions(self) -> tuple[RegisteredVersion, ...]:
        """Return all readable versions, archived ones too, by name and number; raises WorkspaceError."""
        return self.read().versions

    def open_file(self, sha256: str) -> BinaryIO:
        """Return the open file whose bytes have this SHA-256 (hex); raises WorkspaceError when it is not there."""
        try:
            return (self.path / _FILES / sha256).open("rb")
        except OSError as error:
            raise _trouble(self.path / _FILES / sha256, error) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of all writers, waiting for it. The kernel drops it with the process."""
        self._judge_mark()
        try:
            descriptor = os.open(self.path / MARK, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise _trouble(self.path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def write(self, version: RegisteredVersion) -> None:
        """Write the file of `version`, replacing that of the same name and number; for who holds the lock."""
        data = encode_version(version)
        path = self.path / _VERSIONS / version.name / f"{version.version}.yml"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, data)
        except OSError as error:
            raise _trouble(path, error) from error

    def _judge_mark(self) -> None:
        try:
            layout = json.loads((self.path / MARK).read_bytes())
        except FileNotFoundError:
            raise WorkspaceError(
                f"there is no workspace at {self.path}: {MARK} is missing",
                hint="mount or check out the directory, or make one with `envkiln register --create`",
            ) from None
        except OSError as error:
            raise _trouble(self.path, error) from error
        except ValueError:
            layout = None
        if layout != _LAYOUT:
            raise WorkspaceError(
                f"{self.path / MARK} is not that of a workspace which this envkiln can read",
                hint="take the file back from git, or use an envkiln that is as new as the one that wrote it",
            )

    def _version_files(self) -> Iterator[str]:
        """Yield the paths of version files, relative to the workspace."""
        top = self.path / _VERSIONS
        if not top.is_dir():
            return
        for directory in sorted(top.iterdir()):
            if not directory.name.startswith(".") and directory.is_dir():
                for file in sorted(directory.iterdir()):
                    if file.suffix == ".yml" and not file.name.startswith("."):
                        yield f"{_VERSIONS}/{directory.name}/{file.name}"

    def _decoded(self, file: str) -> RegisteredVersion:
        with (self.path / file).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        version = decode_version(data, file)
        if file != f"{_VERSIONS}/{version.name}/{version.version}.yml":
            raise DefinitionError(
                f"the file says that it is {version.reference}",
                file=file,
                hint="take it back from git: a version is not renamed or copied by hand",
            )
        return version


def registered_images(config: Config) -> frozenset[str] | None:
    """Return the names of the images (`azureml/azureml_<hash>`) of all versions that are not archived.

    None means that a workspace is configured and what it holds is not known now: it is not there, or a file of it
    cannot be read. Whoever removes images then takes any of them for registered. Without a workspace there are none.
    """
    if config.workspace is None:
        return frozenset()
    try:
        contents = Workspace(config.workspace).read()
    except WorkspaceError:
        return None
    return None if contents.problems else frozenset(each.image for each in contents.versions if not each.archived)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there as a whole or, after any interruption, not at all; raises OSError."""
    temporary = path.with_name(f".envkiln-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        # A workspace belongs to a team: its files have the mode of any other file of the user.
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _trouble(path: Path, error: OSError) -> WorkspaceError:
    return WorkspaceError(
        f"the workspace cannot be used at {path}: {error.strerror or error}",
        hint="is the directory mounted, complete and yours to use?",
    )
