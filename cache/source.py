"""The files a definition is read from, as a value that readers ask: `cache` itself never opens a file.

Paths are POSIX, relative to the watched root, normalised, without `.` or `..`; the root itself is `""`.
"""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from io import BytesIO
from typing import BinaryIO, Protocol

from envkiln.cache.errors import DefinitionError
from envkiln.cache.redact import quoted


class EntryKind(Enum):
    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    SPECIAL = "special"
    """A FIFO, socket or device: never opened."""


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """One entry of a directory: `name` is its last path part, `target` a symbolic link's text."""

    name: str
    kind: EntryKind
    executable: bool = False
    target: str = ""


class SourceTree(Protocol):
    """Read access to the files below a watched root.

    A path that is missing raises FileNotFoundError, a directory where a file is meant IsADirectoryError, any
    other trouble OSError. `read` follows symbolic links that stay below the root and refuses others with
    PermissionError; `entries` reports links as links, sorted by name.
    """

    def read(self, path: str) -> bytes: ...

    def open(self, path: str) -> BinaryIO:
        """Return an open file of any size; the caller closes it. `read` is for definitions, which are small."""
        ...

    def digest(self, path: str) -> str:
        """Return the SHA-256 of a file's bytes as 64 hex digits; an implementation may remember it."""
        ...

    def entries(self, directory: str) -> list[SourceEntry]: ...


class MemoryTree:
    """A tree held in a mapping from path to bytes; `executable` names the paths with an execute bit."""

    def __init__(self, files: Mapping[str, bytes], *, executable: frozenset[str] = frozenset()) -> None:
        self._files = dict(files)
        self._executable = executable

    def read(self, path: str) -> bytes:
        if path in self._files:
            return self._files[path]
        if any(name.startswith(f"{path}/") for name in self._files) or not path:
            raise IsADirectoryError(path)
        raise FileNotFoundError(path)

    def open(self, path: str) -> BinaryIO:
        return BytesIO(self.read(path))

    def digest(self, path: str) -> str:
        import hashlib  # noqa: PLC0415 -- only this stand-in hashes by itself

        return hashlib.sha256(self.read(path)).hexdigest()

    def entries(self, directory: str) -> list[SourceEntry]:
        prefix = f"{directory}/" if directory else ""
        found: dict[str, SourceEntry] = {}
        for path in self._files:
            if not path.startswith(prefix):
                continue
            name, _, rest = path.removeprefix(prefix).partition("/")
            if rest:
                found[name] = SourceEntry(name, EntryKind.DIRECTORY)
            else:
                found[name] = SourceEntry(name, EntryKind.FILE, executable=path in self._executable)
        if not found and directory:
            if directory in self._files:
                raise NotADirectoryError(directory)
            raise FileNotFoundError(directory)
        return [found[name] for name in sorted(found)]


class RecordingTree:
    """Another tree, and a note of every path that was asked for: the inputs of what was read.

    `files` are paths whose content counted (also those that were missing), `directories` those whose entries did.
    """

    def __init__(self, tree: SourceTree) -> None:
        self._tree = tree
        self.files: set[str] = set()
        self.directories: set[str] = set()

    def read(self, path: str) -> bytes:
        self.files.add(path)
        return self._tree.read(path)

    def open(self, path: str) -> BinaryIO:
        self.files.add(path)
        return self._tree.open(path)

    def digest(self, path: str) -> str:
        self.files.add(path)
        return self._tree.digest(path)

    def entries(self, directory: str) -> list[SourceEntry]:
        self.directories.add(directory)
        return self._tree.entries(directory)


def directory_of(path: str) -> str:
    """Return the directory of `path`, `""` for the root."""
    return posixpath.dirname(path)


def resolve(directory: str, reference: str, *, file: str, line: int | None = None, column: int | None = None) -> str:
    """Return the tree path that `reference`, written in `file`, means when read from `directory`.

    Raises DefinitionError for an absolute path, a `~`, a NUL byte or a path that leaves the root.
    """
    path = posixpath.normpath(posixpath.join(directory, reference))
    if "\0" in reference or reference.startswith(("/", "~")) or path == ".." or path.startswith("../"):
        raise DefinitionError(
            f"the path {quoted(reference, 200)} leads out of the watched directory",
            file=file,
            line=line,
            column=column,
            hint="refer to a file below the watched directory, by a relative path",
        )
    return "" if path == "." else path


def walk(tree: SourceTree, directory: str) -> Iterator[tuple[str, SourceEntry]]:
    """Yield (path, entry) for everything below `directory`, parents before children, sorted by name."""
    for entry in tree.entries(directory):
        path = posixpath.join(directory, entry.name) if directory else entry.name
        yield path, entry
        if entry.kind is EntryKind.DIRECTORY:
            yield from walk(tree, path)
