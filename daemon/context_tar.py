"""The build context as a tar archive: the same bytes for the same content, on every machine."""

import tarfile
from collections.abc import Mapping
from hashlib import sha256
from io import BytesIO
from typing import BinaryIO

from envkiln.cache.setup_content import ContextEntry, SetupContent
from envkiln.cache.source import EntryKind, SourceTree
from envkiln.daemon.builder import BuildFailed

# COPY keeps a file's time. 1980 is the first year that a zip file knows: packing wheels in an image works.
_TIME = 315532800

_NOTHING: Mapping[str, bytes] = {}


def write_tar(content: SetupContent, tree: SourceTree, file: BinaryIO, extra: Mapping[str, bytes] = _NOTHING) -> None:
    """Write `content` as a GNU tar archive to `file`, one source file in memory at a time.

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
    elif entry.kind is EntryKind.FILE:
        data = entry.data if entry.data is not None else _source_data(entry, tree)
        member.size = len(data)
        archive.addfile(member, BytesIO(data))
    else:
        raise ValueError(f"{entry.path} is no file, directory or link")


def _source_data(entry: ContextEntry, tree: SourceTree) -> bytes:
    if entry.source is None:
        raise ValueError(f"{entry.path} has neither data nor a source")
    try:
        data = tree.read(entry.source)
    except OSError as error:
        raise BuildFailed(
            f"{entry.source} could not be read while it was packed: {error.strerror or type(error).__name__}",
            hint="the file was moved or its permissions changed; the next look at the directory decides anew",
            passing=True,
        ) from error
    # Read again, never `tree.digest`: that one may remember.
    if sha256(data).hexdigest() != entry.content:
        raise BuildFailed(
            f"{entry.source} changed while it was packed",
            hint="the next look at the directory gives the new content its own name",
            passing=True,
        )
    return data


def _order(entry: ContextEntry) -> tuple[bytes, ...]:
    return tuple(part.encode(errors="surrogateescape") for part in entry.path.split("/"))
