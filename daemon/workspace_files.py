"""The bytes of registered versions that are no readable text: one file for each content, called by its SHA-256."""

import hashlib
from pathlib import Path
from typing import BinaryIO

from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.cache.registered_version import StoredFile, VersionError
from envkiln.cache.stored_definition import Restless
from envkiln.daemon.whole_file import TEMPORARY, replacing

LARGEST_FILE = 50_000_000
"""Bytes of one file of a version: what git hosts take without complaint."""
_CHUNK = 1 << 20


class WorkspaceError(EnvkilnError):
    """A workspace that cannot be read or written at the moment, or is not there."""

    turn = Turn.SURROUNDINGS


class WorkspaceFiles:
    """The files in `directory`, which need not exist."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def open(self, sha256: str) -> BinaryIO:
        """Return the open file whose bytes have this SHA-256 (hex); raises WorkspaceError where it has others."""
        path = self._directory / sha256
        try:
            if _sha256(path) == sha256:
                return path.open("rb")
        except OSError as error:
            raise trouble(path, error) from error
        raise WorkspaceError(f"{path} is damaged", hint="take it back from git, or fetch it: is it in Git LFS?")

    def store(self, stored: StoredFile, source: BinaryIO) -> None:
        """Keep the bytes of `source`, which are those of `stored`; for who holds the workspace's lock.

        Raises Restless where they are others, VersionError where they are too many.
        """
        digest, size = hashlib.sha256(), 0
        path = self._directory / str(stored.sha256)
        try:
            if path.is_file() and _sha256(path) == stored.sha256:
                return
            path.parent.mkdir(exist_ok=True)
            remove_left(path.parent)
            with replacing(path) as stream:
                while chunk := source.read(_CHUNK):
                    size += len(chunk)
                    if size > LARGEST_FILE:
                        raise _too_large(stored.path)
                    digest.update(chunk)
                    stream.write(chunk)
                if digest.hexdigest() != stored.sha256:
                    raise Restless(f"{stored.path} changed while it was read", hint="register it again")
        except OSError as error:
            raise trouble(path, error) from error


def remove_left(directory: Path) -> None:
    """Remove what writers that were killed left in `directory`; for who holds the lock."""
    for left in directory.glob(f"{TEMPORARY}*"):
        left.unlink(missing_ok=True)


def trouble(path: Path, error: OSError) -> WorkspaceError:
    """Return the error for a path of a workspace that cannot be used."""
    return WorkspaceError(
        f"the workspace cannot be used at {path}: {error.strerror or error}",
        hint="is the directory mounted, complete and yours to use?",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _too_large(path: str) -> VersionError:
    return VersionError(
        f"{path} has more than {LARGEST_FILE} bytes, too many for a workspace",
        hint="leave it out with .dockerignore, or let the Dockerfile fetch it",
    )
