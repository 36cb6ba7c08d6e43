"""The files below a real directory, read without ever touching a device, a FIFO or what lies outside."""

import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, TypeVar

from envkiln.cache.source import EntryKind, SourceEntry
from envkiln.cache.yaml_text import MAX_BYTES

_T = TypeVar("_T")

MARGIN_NS: Final = 100_000_000
"""A change this short before a read may share its time stamp with a later one (git's "racy" files): the kernel's
clock for time stamps ticks every 1 to 10 ms."""
COARSE_MARGIN_NS: Final = 2_000_000_000
"""The same where both time stamps are whole seconds: FAT, some network file systems."""
_CHUNK: Final = 1 << 20
# A file that is written without a pause is left to the next look: its writer raises another event.
_ATTEMPTS: Final = 5


class Fingerprint(NamedTuple):
    """What tells one state of a file or directory from another without opening it; JSON sees five integers."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    def as_of(self, moment_ns: int) -> "Fingerprint":
        """Return a fingerprint that may stand for content read from `moment_ns` (wall clock) on.

        That is this one, or, where a later write could get the same time stamps, one that equals no file's, so
        that the file is read again at the next look.
        """
        coarse = self.mtime_ns % 1_000_000_000 == 0 and self.ctime_ns % 1_000_000_000 == 0
        margin = COARSE_MARGIN_NS if coarse else MARGIN_NS
        # A time stamp far ahead (a clock that was wrong, an unpacked archive) is not one that a write makes now.
        racy = any(abs(moment_ns - stamp) < margin for stamp in (self.mtime_ns, self.ctime_ns))
        return self._replace(size=-1) if racy else self

    @property
    def trusted(self) -> bool:
        """Whether an equal fingerprint means equal content."""
        return self.size >= 0


def of_stat(result: os.stat_result) -> Fingerprint:
    return Fingerprint(result.st_dev, result.st_ino, result.st_size, result.st_mtime_ns, result.st_ctime_ns)


def fingerprint(path: str | Path) -> Fingerprint | None:
    """Return the fingerprint of what `path` is, symbolic links followed; None where nothing can be asked."""
    try:
        return of_stat(os.stat(path))  # noqa: PTH116 -- called for every file of every look
    except (OSError, ValueError):
        return None


class DigestCache:
    """SHA-256 digests by fingerprint, bounded: the oldest half goes when it is full. For one thread."""

    def __init__(self, limit: int = 200_000) -> None:
        self._limit = limit
        self._digests: dict[Fingerprint, str] = {}

    def get(self, key: Fingerprint) -> str | None:
        return self._digests.get(key)

    def put(self, key: Fingerprint, digest: str) -> None:
        if not key.trusted:
            return
        if len(self._digests) >= self._limit:
            self._digests = dict(list(self._digests.items())[self._limit // 2 :])
        self._digests[key] = digest


class DiskTree:
    """A SourceTree on the directory `root`. Names that are not UTF-8 come with surrogate escapes.

    `read` returns at most MAX_BYTES + 1 bytes: enough for the reader of a definition to see that it is too large.
    `seen` holds, for every path that was asked for, the fingerprint of exactly what was read; None where nothing was.
    """

    def __init__(self, root: Path, digests: DigestCache) -> None:
        self.root = os.path.realpath(root)
        self.seen: dict[str, Fingerprint | None] = {}
        self._digests = digests

    def real(self, path: str) -> str:
        """Return where `path` leads, links followed, as a path below the root; PermissionError when outside."""
        real = os.path.realpath(self._full(path))
        if real == self.root:
            return ""
        prefix = self.root if self.root.endswith("/") else f"{self.root}/"
        if not real.startswith(prefix):
            raise PermissionError(errno.EPERM, "it is a link that leads out of the watched directory", path)
        return real.removeprefix(prefix)

    def read(self, path: str) -> bytes:
        return self._steady(path, lambda descriptor, _: _read_up_to(descriptor, MAX_BYTES + 1))

    def open(self, path: str) -> BinaryIO:
        return os.fdopen(self._open(path), "rb")

    def digest(self, path: str) -> str:
        return self._steady(path, self._digest)

    def entries(self, directory: str) -> list[SourceEntry]:
        self.seen[directory] = None
        full = os.path.join(self.root, self.real(directory))  # noqa: PTH118
        for _ in range(_ATTEMPTS):
            moment = time.time_ns()
            before = fingerprint(full)
            with os.scandir(full) as found:
                result = sorted((_entry(item) for item in found), key=lambda entry: entry.name)
            if before is not None and before == fingerprint(full):
                break
        if before is not None:
            self.seen[directory] = before.as_of(moment)
        return result

    def _digest(self, descriptor: int, key: Fingerprint) -> str:
        known = self._digests.get(key)
        if known is not None:
            return known
        hasher = hashlib.sha256()
        while chunk := os.read(descriptor, _CHUNK):
            hasher.update(chunk)
        return hasher.hexdigest()

    def _steady(self, path: str, use: Callable[[int, Fingerprint], _T]) -> _T:
        """Return what `use` makes of the open file, made again when the file changed meanwhile."""
        # Set now: a file that is created right after it was found missing must not count as the one that was read.
        self.seen[path] = None
        for _ in range(_ATTEMPTS):
            moment = time.time_ns()
            descriptor = self._open(path)
            try:
                before = of_stat(os.fstat(descriptor))
                result = use(descriptor, before)
                after = of_stat(os.fstat(descriptor))
            finally:
                os.close(descriptor)
            if before == after:
                break
        key = before.as_of(moment) if before == after else before._replace(size=-1)
        self.seen[path] = key
        if isinstance(result, str):
            self._digests.put(key, result)
        return result

    def _open(self, path: str) -> int:
        full = self._full(path)
        # Asked before it is opened, since opening alone can start a device or wake a FIFO's writer; and again
        # after, since it may have been replaced in between.
        result = os.lstat(full)
        if stat.S_ISLNK(result.st_mode):
            full = os.path.join(self.root, self.real(path))  # noqa: PTH118
            result = os.lstat(full)
        _require_file(result, path)
        descriptor = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _require_file(os.fstat(descriptor), path)
            self._require_inside(descriptor, path)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _require_inside(self, descriptor: int, path: str) -> None:
        """Judge a link among the directories on the way: the kernel knows where the open file is in one call."""
        prefix = self.root if self.root.endswith("/") else f"{self.root}/"
        try:
            inside = os.readlink(f"/proc/self/fd/{descriptor}").startswith(prefix)  # noqa: PTH115
        except OSError:
            inside = False
        if not inside:
            self.real(path)

    def _full(self, path: str) -> str:
        if "\0" in path:
            raise FileNotFoundError(errno.ENOENT, "a path cannot hold a NUL byte", path)
        return f"{self.root}/{path}" if path else self.root


def _require_file(result: os.stat_result, path: str) -> None:
    if stat.S_ISDIR(result.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a directory", path)
    if stat.S_ISLNK(result.st_mode):
        raise OSError(errno.ELOOP, "it is a link that leads to itself, or that changes all the time", path)
    if not stat.S_ISREG(result.st_mode):
        raise PermissionError(errno.EPERM, "it is a FIFO, socket or device, which is never opened", path)


def _read_up_to(descriptor: int, limit: int) -> bytes:
    parts: list[bytes] = []
    left = limit
    while left and (part := os.read(descriptor, min(left, _CHUNK))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _entry(item: os.DirEntry[str]) -> SourceEntry:
    if item.is_symlink():
        return SourceEntry(item.name, EntryKind.SYMLINK, target=os.readlink(item.path))  # noqa: PTH115
    if item.is_dir(follow_symlinks=False):
        return SourceEntry(item.name, EntryKind.DIRECTORY)
    if item.is_file(follow_symlinks=False):
        mode = item.stat(follow_symlinks=False).st_mode
        return SourceEntry(item.name, EntryKind.FILE, executable=bool(mode & stat.S_IXUSR))
    return SourceEntry(item.name, EntryKind.SPECIAL)
