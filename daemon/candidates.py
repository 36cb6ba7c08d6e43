"""Which files of a watched directory may be environments, judged by their names and places only."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from pathspec import GitIgnoreSpec

from envkiln.cache.formats import STANDARD_NAMES
from envkiln.daemon.disk_tree import Fingerprint, fingerprint, of_stat

SKIPPED: Final = frozenset({"node_modules", "venv", "__pycache__", "site-packages"})
"""Directories that hold no definitions, besides the hidden ones (`.git`, `.venv`, `.tox`, ...)."""
# A directory with one of these is an installed conda environment or a virtual environment, not a definition of one.
_INSTALLED: Final = frozenset({"conda-meta", "pyvenv.cfg"})
_SUFFIXES: Final = (".yml", ".yaml")
_STRUCTURED: Final = (".yml", ".yaml", ".json")
_ORDER: Final = {name: place for place, name in enumerate(STANDARD_NAMES)}


@dataclass(frozen=True)
class Rules:
    """What a look is told: `ignore` are patterns as in `.gitignore`, from the root."""

    ignore: tuple[str, ...] = ()
    requirements_python: str = "3.8.13"

    @cached_property
    def _spec(self) -> GitIgnoreSpec | None:
        return GitIgnoreSpec.from_lines(self.ignore) if self.ignore else None

    def ignores(self, path: str) -> bool:
        """Whether a pattern takes `path` out; a directory's path ends with a slash."""
        return self._spec is not None and self._spec.match_file(path)


@dataclass(frozen=True, slots=True)
class Listing:
    """One directory: the paths below the root of what is of interest in it.

    `candidates` are the standard names in the order of their precedence, then the others by name.
    """

    fingerprint: Fingerprint
    directories: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    problem: str | None = None


def is_skipped(name: str) -> bool:
    """Whether a directory of this name is never looked into (unless it is the root)."""
    return name.startswith(".") or name in SKIPPED


def is_standard(path: str) -> bool:
    """Whether a file of this name makes its directory an environment."""
    return path.rpartition("/")[2] in _ORDER


def is_structured(path: str) -> bool:
    """Whether the file may be an environment of its own beside its directory's: YAML or JSON."""
    return path.endswith(_STRUCTURED)


def list_directory(root: str, directory: str, rules: Rules, *, moment_ns: int) -> Listing | None:
    """Return the listing of `directory`, read from the wall-clock moment `moment_ns` on; None when it is gone.

    Links to directories are not followed, so the walk cannot loop. A directory that cannot be read has a listing
    with a `problem`, and is read again at the next look.
    """
    full = f"{root}/{directory}" if directory else root
    prefix = f"{directory}/" if directory else ""
    # Asked before the names are read: a name that comes in between then makes the fingerprint old, not wrong.
    key = fingerprint(full)
    directories: list[str] = []
    candidates: list[str] = []
    try:
        with os.scandir(full) as entries:
            for entry in entries:
                name = entry.name
                if name in _INSTALLED and directory:
                    return Listing((key or of_stat(os.stat(full))).as_of(moment_ns))  # noqa: PTH116
                if entry.is_dir(follow_symlinks=False):
                    if not is_skipped(name) and not rules.ignores(f"{prefix}{name}/"):
                        directories.append(prefix + name)
                elif _may_be_definition(name) and _is_file(entry) and not rules.ignores(prefix + name):
                    candidates.append(prefix + name)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        nothing = Fingerprint(0, 0, -1, 0, 0)
        text = f"{directory or root}: the directory cannot be read: {error.strerror or error}"
        return Listing(nothing, problem=f"{text} (make it readable for this user, or ignore it)")
    if key is None:
        return None
    directories.sort()
    candidates.sort(key=lambda path: (_ORDER.get(path.rpartition("/")[2], len(_ORDER)), path))
    return Listing(key.as_of(moment_ns), tuple(directories), tuple(candidates))


def find_candidates(root: Path, rules: Rules | None = None) -> Iterator[tuple[str, Listing]]:
    """Yield (directory, listing) for the root and every directory below it that is looked into, parents first."""
    waiting = [""]
    while waiting:
        directory = waiting.pop()
        listing = list_directory(os.path.realpath(root), directory, rules or Rules(), moment_ns=0)
        if listing is not None:
            yield directory, listing
            waiting += reversed(listing.directories)


def _may_be_definition(name: str) -> bool:
    if name in _ORDER:
        return True
    # Editors' own files: Emacs locks (.#x), backups (x~), temporary files; hidden files are no definitions.
    return name.endswith(_SUFFIXES) and not name.startswith((".", "#"))


def _is_file(entry: os.DirEntry[str]) -> bool:
    # A FIFO named `env.yml` is none; a link may be, and whether it leads to a file below the root is seen on reading.
    return entry.is_file(follow_symlinks=False) or entry.is_symlink()
