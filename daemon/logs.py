"""Where the log of each build is: `<logs>/<hash of the image>/<UTC time>.log`."""

import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from envkiln.cache.names import IMAGE_PREFIX

KEPT = 10
"""Logs kept for each image name."""
_BUILD = re.compile(r"([0-9a-f]{32})-([0-9]{8}T[0-9]{6}\.[0-9]{3}Z)")


def build_id(name: str, started: float) -> str:
    """Return the id of the build of image `name` that starts at wall time `started`: `<hash>-<UTC time>`."""
    return f"{name.removeprefix(IMAGE_PREFIX)}-{_stem(started)}"


@dataclass(frozen=True, slots=True)
class LogFiles:
    directory: Path

    def new(self, name: str, started: float) -> Path:
        """Return the path for the log of a build of `name` that starts at wall time `started`; older ones go."""
        directory = self._of(name)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in sorted(directory.glob("*.log"))[: -(KEPT - 1)]:
            old.unlink(missing_ok=True)
        return directory / f"{_stem(started)}.log"

    def of_build(self, build: str) -> Path | None:
        """Return the log of a build, None when `build` is not the id of one; the file need not be there any more."""
        found = _BUILD.fullmatch(build)
        return self.directory / found[1] / f"{found[2]}.log" if found else None

    def bytes_in_all(self) -> int:
        """Return the size of all logs."""
        total = 0
        for path in self.directory.glob("*/*.log"):
            with suppress(FileNotFoundError):  # a build that begins takes old ones away
                total += path.stat().st_size
        return total

    def latest(self, name: str) -> Path | None:
        """Return the log of the last build of `name`, None when there was none."""
        return max(self._of(name).glob("*.log"), default=None)

    def _of(self, name: str) -> Path:
        return self.directory / name.removeprefix(IMAGE_PREFIX)


def _stem(started: float) -> str:
    fraction = int(started * 1000) % 1000
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(started))}.{fraction:03d}Z"
