"""Where the log of each build is: `<logs>/<hash of the image>/<UTC time>.log`."""

import time
from dataclasses import dataclass
from pathlib import Path

from envkiln.cache.names import IMAGE_PREFIX

KEPT = 10
"""Logs kept for each image name."""


@dataclass(frozen=True, slots=True)
class LogFiles:
    directory: Path

    def new(self, name: str, started: float) -> Path:
        """Return the path for the log of a build of `name` that starts at wall time `started`; older ones go."""
        directory = self._of(name)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in sorted(directory.glob("*.log"))[: -(KEPT - 1)]:
            old.unlink(missing_ok=True)
        fraction = int(started * 1000) % 1000
        return directory / f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(started))}.{fraction:03d}Z.log"

    def latest(self, name: str) -> Path | None:
        """Return the log of the last build of `name`, None when there was none."""
        return max(self._of(name).glob("*.log"), default=None)

    def _of(self, name: str) -> Path:
        return self.directory / name.removeprefix(IMAGE_PREFIX)
