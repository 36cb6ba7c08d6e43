"""Small file systems of their own, to be filled, made read-only and taken away.

On `pythonpath` (pyproject.toml): test files import it as `mounted`.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Mounted:
    """A tmpfs at `path`; mounting needs root, as the test bed's own engine does."""

    def __init__(self, path: Path, size: str) -> None:
        self.path = path
        self._size = size

    def mount(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        self._run("mount", "-t", "tmpfs", "-o", f"size={self._size},mode=0700", "tmpfs")

    def unmount(self) -> None:
        self._run("umount", "--lazy")

    def remount(self, option: str) -> None:
        """Change it: `ro`, `rw`, `size=8m`."""
        self._run("mount", "-o", f"remount,{option}")

    def fill(self) -> Path:
        """Write a file that takes all that is left; returns it."""
        filler = self.path / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return filler

    def _run(self, *command: str) -> None:
        subprocess.run([*command, str(self.path)], check=True)


@contextmanager
def mounted(path: Path, size: str = "4m") -> Iterator[Mounted]:
    made = Mounted(path, size)
    made.mount()
    try:
        yield made
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=False, stderr=subprocess.DEVNULL)
