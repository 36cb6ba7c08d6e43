"""A workspace: the registered versions of a team's environments, in a directory that can live in git.

`envkiln-workspace.json` marks it; `versions/<name>/<version>.yml` is one version (`version_file`); `files/<sha256>`
has the bytes that do not fit into a readable text. A directory without the mark is not an empty workspace: it may be
a disk that is not mounted or a clone that is not made.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from envkiln.cache.errors import DefinitionError
from envkiln.cache.registered_version import RegisteredVersion, StoredFile, checked_name
from envkiln.cache.registration import Change, Registration, latest, register_as
from envkiln.cache.source import SourceTree
from envkiln.cache.stored_definition import Candidate, Naming, Restless, candidate_of
from envkiln.cache.version_file import decode_version, encode_version
from envkiln.cache.yaml_text import MAX_BYTES
from envkiln.daemon.config import Config
from envkiln.daemon.disk_tree import Fingerprint, fingerprint
from envkiln.daemon.errors import UnknownEnvironment
from envkiln.daemon.whole_file import TEMPORARY, write_whole
from envkiln.daemon.workspace_files import WorkspaceError, WorkspaceFiles, remove_left, trouble

MARK = "envkiln-workspace.json"
_VERSIONS = "versions"
_LAYOUT = {"envkiln_workspace": 1}


class UnknownVersion(UnknownEnvironment):
    """No version of that name and number is registered."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a workspace: the versions, sorted by name and number, and what is wrong with files of it."""

    versions: tuple[RegisteredVersion, ...]
    problems: tuple[DefinitionError, ...] = ()


class Workspace:
    """The workspace in the directory `path`. Every call looks at the disk; what has not changed is not read again.

    Writes hold a lock and replace whole files, so a reader sees a version as a whole or not at all, and a process
    that is killed leaves nothing behind that counts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = WorkspaceFiles(path / "files")
        self._known: dict[str, tuple[Fingerprint, RegisteredVersion]] = {}

    @classmethod
    def create(cls, path: Path) -> "Workspace":
        """Return the workspace in `path`, made if there is none; raises WorkspaceError."""
        try:
            path.mkdir(parents=True, exist_ok=True)
            if not (path / MARK).exists():
                if not (path / ".gitignore").exists():
                    write_whole(path / ".gitignore", f"{TEMPORARY}*\n".encode())
                write_whole(path / MARK, (json.dumps(_LAYOUT) + "\n").encode())
        except OSError as error:
            raise trouble(path, error) from error
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
            raise trouble(self.path, error) from error
        return Contents(tuple(sorted(versions)), tuple(problems))

    def versions(self) -> tuple[RegisteredVersion, ...]:
        """Return all readable versions, archived ones too, by name and number; raises WorkspaceError."""
        return self.read().versions

    def find(self, name: str, number: int | None = None) -> RegisteredVersion:
        """Return a version of `name`; None is the latest: the highest that is not archived.

        Raises UnknownVersion where there is none, DefinitionError where a file of that name is damaged.
        """
        known = self._of_name(checked_name(name))
        found = latest(known) if number is None else next((it for it in known if it.version == number), None)
        if found is None:
            raise _unknown(name, number, known)
        return found

    def register(
        self,
        tree: SourceTree,
        file: str,
        naming: Naming,
        *,
        name: str | None = None,
        number: int | None = None,
        description: str = "",
    ) -> Registration:
        """Register the definition whose main file is `file` in `tree`, and return its version and what was done.

        It is called `name`, else what the definition calls itself. A definition that has not changed since the latest
        version keeps that version; another one gets the next number, or `number`. Any number of processes may
        register at the same time. Raises DefinitionError for a definition that is wrong or holds a credential,
        VersionError for a name or number that cannot be, WorkspaceError.
        """
        self._judge_mark()
        candidate = candidate_of(tree, file, naming, name=name, description=description)
        with self.locked():
            known = self._of_name(candidate.version.name)
            registration = register_as(candidate.version, known, number=number)
            if registration.change is Change.REGISTERED:
                self._store(tree, candidate)
            if registration.version not in known:
                self._write(registration.version)
        return registration

    def archive(self, name: str, number: int | None = None, *, archived: bool = True) -> RegisteredVersion:
        """Archive a version (None: the latest), or take it back out of the archive; return it as it is then."""
        with self.locked():
            before = self.find(name, number)
            after = replace(before, archived=archived)
            if after != before:
                self._write(after)
        return after

    def open_file(self, sha256: str) -> BinaryIO:
        """Return the open file whose bytes have this SHA-256 (hex); raises WorkspaceError where it has others."""
        return self._files.open(sha256)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of all writers, waiting for it. The kernel drops it with the process."""
        self._judge_mark()
        try:
            descriptor = os.open(self.path / MARK, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise trouble(self.path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _write(self, version: RegisteredVersion) -> None:
        data = encode_version(version)
        path = self.path / _VERSIONS / version.name / f"{version.version}.yml"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_left(path.parent)
            write_whole(path, data)
        except OSError as error:
            raise trouble(path, error) from error

    def _store(self, tree: SourceTree, candidate: Candidate) -> None:
        """Copy the bytes that do not fit into the version's text; bytes that nobody refers to do no harm."""
        for stored in candidate.version.files:
            if stored.sha256 is not None:
                with self._source(tree, candidate, stored) as stream:
                    self._files.store(stored, stream)

    def _source(self, tree: SourceTree, candidate: Candidate, stored: StoredFile) -> BinaryIO:
        try:
            return tree.open(candidate.collected.source_of(stored))
        except OSError:
            raise Restless(f"{stored.path} changed while it was read", hint="register it again") from None

    def _of_name(self, name: str) -> list[RegisteredVersion]:
        """Return the versions of a name, sorted; raises DefinitionError for a damaged one."""
        self._judge_mark()
        try:
            files = list(_files_in(self.path / _VERSIONS / name, f"{_VERSIONS}/{name}"))
            return sorted(map(self._decoded, files))
        except OSError as error:
            raise trouble(self.path, error) from error

    def _judge_mark(self) -> None:
        try:
            layout = json.loads((self.path / MARK).read_bytes())
        except FileNotFoundError:
            raise WorkspaceError(
                f"there is no workspace at {self.path}: {MARK} is missing",
                hint="mount or check out the directory, or make one with `envkiln register --create`",
            ) from None
        except OSError as error:
            raise trouble(self.path, error) from error
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
        names = sorted(top.iterdir()) if top.is_dir() else []
        for directory in names:
            if not directory.name.startswith("."):
                yield from _files_in(directory, f"{_VERSIONS}/{directory.name}")

    def _decoded(self, file: str) -> RegisteredVersion:
        now = time.time_ns()
        found = fingerprint(f"{self.path}/{file}")
        if file in self._known and self._known[file][0] == found:
            return self._known[file][1]
        with (self.path / file).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        version = decode_version(data, file)
        if file != f"{_VERSIONS}/{version.name}/{version.version}.yml":
            raise DefinitionError(
                f"the file says that it is {version.reference}",
                file=file,
                hint="take it back from git: a version is not renamed or copied by hand",
            )
        if found is not None:
            self._known[file] = (found.as_of(now), version)
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


def _files_in(directory: Path, shown: str) -> Iterator[str]:
    # As texts: a service does this all the time.
    try:
        names = sorted(os.listdir(directory))  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        if name.endswith(".yml") and not name.startswith(TEMPORARY):
            yield f"{shown}/{name}"


def _unknown(name: str, number: int | None, known: Sequence[RegisteredVersion]) -> UnknownVersion:
    if not known:
        return UnknownVersion(f"no environment {name!r} is registered", hint="`envkiln versions` lists them")
    numbers = ", ".join(str(it.version) for it in known[-5:])
    if number is None:
        return UnknownVersion(f"every version of {name} is archived", hint=f"name one: {name}:{known[-1].version}")
    return UnknownVersion(f"{name} has no version {number}", hint=f"there are (the last ones): {numbers}")
