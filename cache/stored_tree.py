"""The files of a registered version as a tree that readers ask."""

import posixpath
from collections.abc import Callable, Iterable
from hashlib import sha256
from io import BytesIO
from typing import BinaryIO

from envkiln.cache.registered_version import StoredFile
from envkiln.cache.source import EntryKind, SourceEntry

Load = Callable[[str], BinaryIO]
"""Opens the bytes that have a SHA-256 (hex)."""

_MOST_LINKS = 40


class StoredTree:
    """A SourceTree of stored files; their directories are there too. `load` is asked for bytes kept elsewhere."""

    def __init__(self, files: Iterable[StoredFile], load: Load) -> None:
        self._files = {file.path: file for file in files}
        self._load = load
        self._children: dict[str, set[str]] = {"": set()}
        for file in self._files.values():
            self._place(file)

    def read(self, path: str) -> bytes:
        with self.open(path) as stream:
            return stream.read()

    def open(self, path: str) -> BinaryIO:
        file = self._followed(path)
        return BytesIO(file.text.encode()) if file.text is not None else self._load(file.sha256 or "")

    def digest(self, path: str) -> str:
        file = self._followed(path)
        return file.sha256 if file.sha256 is not None else sha256((file.text or "").encode()).hexdigest()

    def entries(self, directory: str) -> list[SourceEntry]:
        children = self._children.get(directory)
        if children is None:
            raise NotADirectoryError(directory) if directory in self._files else FileNotFoundError(directory)
        return [self._entry(directory, name) for name in sorted(children)]

    def _place(self, file: StoredFile) -> None:
        if file.directory:
            self._children.setdefault(file.path, set())
        path = file.path
        while path:
            above, _, name = path.rpartition("/")
            self._children.setdefault(above, set()).add(name)
            path = above

    def _entry(self, directory: str, name: str) -> SourceEntry:
        path = f"{directory}/{name}" if directory else name
        if path in self._children:
            return SourceEntry(name, EntryKind.DIRECTORY)
        file = self._files[path]
        if file.target is not None:
            return SourceEntry(name, EntryKind.SYMLINK, target=file.target)
        return SourceEntry(name, EntryKind.FILE, executable=file.executable)

    def _followed(self, path: str) -> StoredFile:
        for _ in range(_MOST_LINKS):
            if path in self._children:
                raise IsADirectoryError(path)
            file = self._files.get(path)
            if file is None:
                raise FileNotFoundError(path)
            if file.target is None:
                return file
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), file.target))
            if path.startswith(("/", "../")):
                raise PermissionError(path)
        raise OSError(f"too many links at {path}")
