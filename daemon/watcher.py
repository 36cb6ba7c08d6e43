"""`watchdog` -> "this place may have changed": a report, never the truth."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileAttribEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserverVFS

from envkiln.daemon.absence import Place, place_of
from envkiln.daemon.candidates import SKIPPED
from envkiln.daemon.inotify import LIMITS, LoudObserver
from envkiln.daemon.mounts import needs_polling

OnChange = Callable[[frozenset[str] | None], None]
Polling = Literal["auto", "always", "never"]

# An allow-list: `opened` and `closed_no_write` come from our own reading. A changed mode counts, since the execute
# bit of a file in a build context does. DirModified only repeats that something in the directory changed.
_EVENTS: Final[list[type[FileSystemEvent]]] = [
    FileCreatedEvent, FileModifiedEvent, FileClosedEvent, FileAttribEvent, FileMovedEvent, FileDeletedEvent,
    DirCreatedEvent, DirMovedEvent, DirDeletedEvent,
]  # fmt: skip
_UNWATCHED: Final = SKIPPED | {".git", ".hg", ".svn", ".venv", ".tox", ".mypy_cache", ".ipynb_checkpoints"}
_MORE: Final = {
    errno.ENOSPC: "the limit of watches is reached; raise it with: sudo sysctl fs.inotify.max_user_watches=1048576",
    errno.EMFILE: "the limit of inotify instances is reached; raise it with: "
    "sudo sysctl fs.inotify.max_user_instances=1024",
}


def is_unwatched(name: str) -> bool:
    """Whether nothing is heard of what happens in a directory of this name.

    Fewer than the look skips: a build context may hold other hidden directories, and their files count.
    """
    return name in _UNWATCHED


class Watcher:
    """Reports paths below `root` that may have changed to `on_change`; None means that anything may have.

    `on_change` is called from other threads and has to return at once. Look at everything after `start`, and call
    `check` every few seconds: only that notices a root that was replaced or came back, and a watch that broke, and
    it reports None then. `start`, `check` and `stop` are for one thread.

    `mode` is how changes are noticed; `problem` says, with what to do about it, why that is not as it should be.
    """

    def __init__(
        self, root: Path, on_change: OnChange, *, polling: Polling = "auto", poll_interval_s: float = 2.0
    ) -> None:
        self.mode: Literal["inotify", "polling"] = "polling" if polling == "always" else "inotify"
        self.problem: str | None = None
        self._root = root
        self._on_change = on_change
        self._polling = polling
        self._poll_interval_s = poll_interval_s
        self._limit = 0
        self._observer: BaseObserver | None = None
        self._place: Place | None = None
        self._broken = threading.Event()

    def start(self) -> None:
        """Begin to watch. Trouble becomes `problem`, is never raised, and is tried again by `check`."""
        self.problem = None
        self._broken.clear()
        self._place = place_of(self._root)
        if self._place is None:
            self.problem = f"{self._root}: the watched directory does not exist (create it, or mount it)"
            return
        real = self._place[0]
        self.mode = "polling" if self._must_poll(real) else "inotify"
        try:
            self._observer = self._observe(real)
        except OSError as error:
            if error.errno not in LIMITS or self.mode == "polling":
                reason = error.strerror or str(error)
                self.problem = f"{self._root}: cannot be watched: {reason} (make it readable for this user)"
                return
            self._fall_back(error.errno or errno.ENOSPC, real)
        observer = self._observer
        if isinstance(observer, LoudObserver) and observer.inotify.exhausted:
            if self._polling != "never":
                self.stop()
            self._fall_back(observer.inotify.exhausted, real)
        if self._limit:
            self._explain_limit()

    @property
    def watches(self) -> int:
        """How many directories the kernel watches for us now; none while polling."""
        observer = self._observer
        return observer.inotify.watches if isinstance(observer, LoudObserver) else 0

    def check(self) -> None:
        """Notice what no event tells, and begin again where needed."""
        place = place_of(self._root)
        observer = self._observer
        if observer is None and place is None:
            return
        if observer is not None and place == self._place and not self._broken.is_set() and _is_alive(observer):
            return
        self.stop()
        self.start()
        if observer is not None or self._observer is not None:
            self._on_change(None)

    def stop(self) -> None:
        """End watching; no report comes after it has returned."""
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            observer.join()

    def _must_poll(self, real: str) -> bool:
        if self._polling != "auto":
            return self._polling == "always"
        if self._limit:
            return True
        try:
            mountinfo = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
        except OSError:
            return False
        return needs_polling(mountinfo, Path(real)) is not None

    def _explain_limit(self) -> None:
        never = self._polling == "never"
        meanwhile = "some changes are seen late" if never else "until envkiln starts again, it is polled"
        self.problem = f"{self._root}: {_MORE[self._limit]} ({meanwhile})"

    def _fall_back(self, limit: int, real: str) -> None:
        self._limit = limit
        if self._polling == "never":
            return
        self.mode = "polling"
        self._observer = self._observe(real)

    def _observe(self, real: str) -> BaseObserver:
        observer: BaseObserver
        if self.mode == "polling":
            # lstat: watchdog would follow links to directories, for ever where they lead back.
            observer = PollingObserverVFS(os.lstat, _scan, polling_interval=self._poll_interval_s)
        else:
            observer = LoudObserver(real, is_unwatched, self._lost)
        try:
            observer.schedule(_Handler(real, self._report), real, recursive=True, event_filter=_EVENTS)
            observer.start()
        except BaseException:
            observer.on_thread_stop()
            raise
        return observer

    def _report(self, paths: frozenset[str]) -> None:
        if "" in paths:  # the root itself has gone, and with it the watch
            self._lost(broken=True)
        elif paths:
            self._on_change(paths)

    def _lost(self, *, broken: bool = False) -> None:
        observer = self._observer
        if isinstance(observer, LoudObserver) and observer.inotify.exhausted:
            self._limit = observer.inotify.exhausted
            self._explain_limit()
            broken = broken or self._polling != "never"
        if broken or (isinstance(observer, LoudObserver) and observer.inotify.unmounted):
            self._broken.set()
        self._on_change(None)


class _Handler(FileSystemEventHandler):
    """From watchdog's events to paths below the root; both ends of a move count."""

    def __init__(self, root: str, report: Callable[[frozenset[str]], None]) -> None:
        self._root = root
        self._prefix = root if root.endswith("/") else f"{root}/"
        self._report = report

    def on_any_event(self, event: FileSystemEvent) -> None:
        ends = (os.fsdecode(end) for end in (event.src_path, event.dest_path) if end)
        self._report(frozenset(path for path in map(self._relative, ends) if path is not None))

    def _relative(self, path: str) -> str | None:
        if path == self._root:
            return ""
        if not path.startswith(self._prefix):
            return None
        below = path.removeprefix(self._prefix)
        return None if any(map(is_unwatched, below.split("/")[:-1])) else below


def _scan(path: str | None) -> Iterator[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        yield from (entry for entry in entries if not is_unwatched(entry.name))


def _is_alive(observer: BaseObserver) -> bool:
    if isinstance(observer, LoudObserver) and not observer.inotify.is_alive():
        return False
    return observer.is_alive() and all(emitter.is_alive() for emitter in observer.emitters)
