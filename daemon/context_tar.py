"""The build context as a tar archive: the same bytes for the same content, on every machine."""

import posixpath
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from io import SEEK_END, BytesIO
from typing import IO, BinaryIO, cast

from envkiln.cache.context import ContextEntry, SetupContent
from envkiln.cache.source import EntryKind, SourceTree
from envkiln.daemon.builder import BuildFailed

# COPY keeps a file's time. 1980 is the first year that a zip file knows: packing wheels in an image works.
_TIME = 315532800
_MOST_LINKS = 40

_NOTHING: Mapping[str, bytes] = {}


def write_tar(content: SetupContent, tree: SourceTree, file: BinaryIO, extra: Mapping[str, bytes] = _NOTHING) -> None:
    """Write `content` as a GNU tar archive to `file`, streaming file by file.

    `extra` are files that replace or join the content's, by path: what only a builder knows. Owner 0, one fixed time,
    modes 0644 and 0755. Raises BuildFailed when a source file no longer is what the definition's name was made of:
    something else must not be built under that name.
    """
    entries = {entry.path: entry for entry in content.entries}
    entries |= {path: ContextEntry(path, data=data) for path, data in extra.items()}
    # Not Python's default format: BuildKit takes a PAX header for the Dockerfile.
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for entry in sorted(entries.values(), key=_order):
            _add(archive, entry, tree)


def text_of(content: SetupContent, tree: SourceTree) -> bytes | None:
    """Return the bytes of the content's Dockerfile, checked as any other file of it; None where it is no file.

    A link is followed inside the content, as builders do.
    """
    entry = _followed(content)
    if entry is None:
        return None
    with BytesIO() as file:
        write_tar(replace(content, entries=(entry,)), tree, file)
    return entry.data if entry.data is not None else tree.read(entry.source or "")


def _followed(content: SetupContent) -> ContextEntry | None:
    entries = {entry.path: entry for entry in content.entries}
    path = content.dockerfile
    for _ in range(_MOST_LINKS):
        entry = entries.get(path)
        if entry is None or entry.kind is EntryKind.DIRECTORY:
            return None
        if entry.kind is EntryKind.FILE:
            return entry
        path = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), entry.target)).lstrip("/")
    return None


def secrets_of(content: SetupContent, tree: SourceTree) -> dict[str, bytes]:
    """Return the secrets of `content` by id; raises BuildFailed as `write_tar` does."""
    secrets = {}
    for entry in content.secrets:
        with BytesIO() as file:
            write_tar(replace(content, entries=(entry,)), tree, file)
            file.seek(0)
            with tarfile.open(fileobj=file) as archive:
                member = archive.extractfile(entry.path)
                secrets[entry.path] = member.read() if member else b""
    return secrets


def _add(archive: tarfile.TarFile, entry: ContextEntry, tree: SourceTree) -> None:
    member = tarfile.TarInfo(entry.path)
    member.mtime = _TIME
    member.mode = 0o755 if entry.executable or entry.kind is not EntryKind.FILE else 0o644
    if entry.kind is EntryKind.DIRECTORY:
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
    elif entry.kind is EntryKind.SYMLINK:
        member.type = tarfile.SYMTYPE
        member.linkname = entry.target
        archive.addfile(member)
    elif entry.kind is EntryKind.FILE and entry.data is not None:
        member.size = len(entry.data)
        archive.addfile(member, BytesIO(entry.data))
    elif entry.kind is EntryKind.FILE and entry.source is not None:
        _add_source(archive, member, entry, entry.source, tree)
    else:
        raise ValueError(f"{entry.path} is no file, directory or link, or has no source")


def _add_source(
    archive: tarfile.TarFile, member: tarfile.TarInfo, entry: ContextEntry, source: str, tree: SourceTree
) -> None:
    try:
        # Read again, never `tree.digest`: that one may remember.
        with tree.open(source) as file:
            member.size = file.seek(0, SEEK_END)
            file.seek(0)
            hashing = _Hashing(file)
            archive.addfile(member, cast("IO[bytes]", hashing))
    except OSError as error:  # also tarfile's own, for a file that became shorter
        raise BuildFailed(
            f"{source} could not be read while it was packed: {error.strerror or error}",
            hint="the file was moved or its permissions changed; the next look at the directory decides anew",
            passing=True,
        ) from error
    if hashing.sha256.hexdigest() != entry.content:
        raise BuildFailed(
            f"{source} changed while it was packed",
            hint="the next look at the directory gives the new content its own name",
            passing=True,
        )


class _Hashing:
    """A file that hashes what is read of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.sha256.update(data)
        return data


def _order(entry: ContextEntry) -> tuple[bytes, ...]:
    return tuple(part.encode(errors="surrogateescape") for part in entry.path.split("/"))
