"""Containers of the classic builder's steps: noted on the disk, so that none is left when the engine dies with a build.

An engine removes the container of a step that ends, fails or loses its client. One that is killed does not, and knows
nothing of the build when it is back.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from envkiln.daemon.engine import Engine
from envkiln.daemon.engine_errors import EngineRefused
from envkiln.daemon.fault_point import reach

DIRECTORY: Final = "steps"
"""Where in the state directory the notes are: a file for each container, locked by the process that builds in it."""


class StepContainer:
    """The container of a step that runs, noted from the moment that it is known; belongs to one thread."""

    def __init__(self, directory: Path, container: str) -> None:
        self._path = directory / container
        self._descriptor: int | None = None
        # Without a note, on a full disk, the build goes on: only a death of the engine would leave the container.
        with suppress(OSError):
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        reach("container-noted")

    def gone(self) -> None:
        """The engine has removed it: forget it."""
        with suppress(OSError):
            self._path.unlink()
        self.left()

    def left(self) -> None:
        """Nothing is known of it any more: the note stays, for `remove_left`."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def remove_left(directory: Path, engine: Engine) -> None:
    """Remove the containers whose build has ended without word of them; raises EngineUnavailable.

    Those of builds that run, in whichever process, are let be: their notes are locked.
    """
    with suppress(OSError):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in sorted(directory.iterdir()):
            _remove_one(path, engine)


def _remove_one(note: Path, engine: Engine) -> None:
    # Locked, or gone meanwhile: its build runs, or has ended.
    with suppress(BlockingIOError, FileNotFoundError, EngineRefused), note.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        engine.remove_container(note.name)
        note.unlink()
