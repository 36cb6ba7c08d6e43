"""watchdog's inotify observer, made to say what it keeps to itself: lost events and missing watches.

watchdog 7.1 logs an overflow of the kernel's queue and sends nothing to handlers, and passes over every directory
below the root that it cannot watch. Both are seen here, at its `InotifyFD`, below its emitters.
"""

import errno
import logging
import os
from collections.abc import Callable
from typing import Final

from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyEmitter
from watchdog.observers.inotify_c import CallbackId, InotifyEvent, InotifyFD, Mask, WatchCallback, WatchDescriptor

LIMITS: Final = (errno.ENOSPC, errno.EMFILE)
_UNMOUNTED: Final = 0x2000
"""IN_UNMOUNT of inotify(7), which the kernel sends unasked and watchdog passes over."""
_log = logging.getLogger(__name__)


class LoudInotify(InotifyFD):
    """An inotify instance that calls `on_lost` when events were lost or a directory could not be watched.

    `exhausted` is then the error number where a limit of the kernel was the reason, else 0, and `unmounted` true where
    a file system went away: it may be back by now, at the same place, and its watches are not. Directories for which
    `unwatched` is true get no watch, nor does what is below them.
    """

    def __init__(self, root: bytes, unwatched: Callable[[str], bool], on_lost: Callable[[], None]) -> None:
        super().__init__()
        self._root = root.rstrip(b"/") + b"/"
        self._unwatched = unwatched
        self._on_lost = on_lost
        self.exhausted = 0
        self.unmounted = False

    @property
    def watches(self) -> int:
        """How many directories are watched now."""
        return len(self._watch_for_wd)

    def add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
        below = path[len(self._root) :] if path.startswith(self._root) else b""
        if any(map(self._unwatched, os.fsdecode(below).split("/"))):
            # The caller passes over directories that cannot be watched.
            raise OSError(errno.EPERM, "not to be watched", path)
        try:
            with self._lock:
                watch = self._get_or_create_watch(path, mask)
                if watch.wd == -1:  # not readable: watchdog would keep -1 as if it were a watch
                    self._watch_for_wd.pop(watch.wd, None)
                    raise PermissionError(errno.EACCES, "not readable", path)
                # Set without a question, where watchdog warns of a second time: a directory that is created and
                # then found by a walk is added twice, and so is every one that was moved.
                watch.callbacks[id_] = callback
                return watch.wd
        except OSError as error:
            if error.errno in LIMITS:
                self.exhausted = error.errno or 0
                self._on_lost()
            raise

    def handle_event(self, event: InotifyEvent) -> None:
        # First watchdog's own part: it sets up its watches again.
        super().handle_event(event)
        if event.mask & _UNMOUNTED:
            self.unmounted = True
            self._on_lost()
        if event.is_queue_overflow:
            self._on_lost()

    def run(self) -> None:
        try:
            super().run()
        except Exception:  # noqa: BLE001 -- watchdog's bookkeeping has bugs, and no thread may die unseen
            # The thread ends here; whoever asks whether it is alive starts another.
            _log.exception("the reader of inotify has stopped")
            self._on_lost()


class LoudObserver(BaseObserver):
    """watchdog's InotifyObserver on a LoudInotify. Raises OSError when the kernel gives no inotify instance."""

    def __init__(self, root: str, unwatched: Callable[[str], bool], on_lost: Callable[[], None]) -> None:
        self.inotify = LoudInotify(os.fsencode(root), unwatched, on_lost)
        self.inotify.start()
        super().__init__(InotifyEmitter, inotify_fd=self.inotify)

    def on_thread_stop(self) -> None:
        super().on_thread_stop()
        self.inotify.stop()
        self.inotify.join()
