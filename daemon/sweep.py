"""Removes images, one tag at a time, each looked at once more right before.

Nothing is removed by force: an image that a container uses, or that has got another tag, is the engine's to refuse.
Ended in the middle, it has removed some tags; the next one goes on.
"""

import errno
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from envkiln.cache.errors import EnvkilnError
from envkiln.daemon.engine import Engine
from envkiln.daemon.engine_errors import EngineRefused
from envkiln.daemon.engine_values import EngineImage
from envkiln.daemon.fault_point import reach
from envkiln.daemon.name_lock import free_lock
from envkiln.daemon.retention import HeldImage

Objection = Callable[[HeldImage], str | None]
"""Says why an image must stay after all, by what is known now; None: it goes. Called from the sweep's thread."""


class Sweep:
    """Removes images from one engine. Blocking; called from a thread."""

    def __init__(self, engine: Engine, locks: Path, objection: Objection) -> None:
        """`locks` is the directory of the locks of image names."""
        self._engine = engine
        self._locks = locks
        self._objection = objection

    def remove(self, image: HeldImage) -> str | None:
        """Remove an image with all of its tags; return why it stayed, None when it is gone.

        Raises EngineUnavailable, and OSError where the lock of its name cannot be made.
        """
        with ExitStack() as stack:
            if not self._lock(stack, image.name):
                return "is being built"
            there = self._engine.inspect(image.id)
            if there is None:
                return None
            return self._changed(image, there) or self._remove(image)

    def _lock(self, stack: ExitStack, name: str) -> bool:
        """Take the lock of a name until `stack` is left; return whether it is ours."""
        try:
            self._locks.mkdir(mode=0o700, parents=True, exist_ok=True)
            return stack.enter_context(free_lock(self._locks, name))
        except OSError as error:
            # A disk that is too full for a lock is too full for a build, and this is what makes room.
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                return True
            raise

    def _changed(self, image: HeldImage, there: EngineImage) -> str | None:
        if frozenset(there.references) != image.references:
            return "its tags were changed meanwhile"
        if image.id in self._engine.used_images():
            return "a container uses it"
        return self._objection(image)

    def _remove(self, image: HeldImage) -> str | None:
        # The address last: until then nobody takes the image for missing.
        references = sorted(image.references, key=lambda reference: (reference == image.address, reference))
        removed: list[str] = []
        try:
            for reference in references:
                there = self._engine.inspect(reference)
                if there is not None and there.id == image.id:
                    self._engine.remove(reference)
                    removed.append(reference)
                    reach("tag-removed")
            if not references:
                self._engine.remove(image.id)
        except EngineRefused as refused:
            for reference in removed:
                with suppress(EnvkilnError):
                    self._engine.tag(image.id, reference)
            return f"the engine keeps it: {refused.message}"
        return None
