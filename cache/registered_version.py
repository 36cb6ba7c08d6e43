"""A registered version of an environment, as a frozen value: what it is called, and the files it was read from."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import total_ordering

from envkiln.cache.definition import Format
from envkiln.cache.errors import EnvkilnError
from envkiln.cache.names import is_image_name

LARGEST_VERSION = 2**31 - 1

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class VersionError(EnvkilnError):
    """A registered version that cannot be: a name, a number or a part of it is not allowed."""


def checked_name(name: str) -> str:
    """Return `name` when an environment may be registered by it; raises VersionError."""
    if not _NAME.fullmatch(name):
        suggestion = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("._-")[:255] or "training"
        raise VersionError(
            f"{name[:120]!r} is not a name to register by",
            hint=f"use letters, digits, `.`, `_` and `-`, such as --name {suggestion}",
        )
    return name


def checked_number(number: int) -> int:
    """Return `number` when it may be the number of a version; raises VersionError."""
    if not 1 <= number <= LARGEST_VERSION:
        raise VersionError(f"{number} is not a version", hint=f"versions are whole numbers from 1 to {LARGEST_VERSION}")
    return number


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a registered version; exactly one of `text`, `sha256`, `target` and `directory` says what it is.

    `text` is the file's whole text; `sha256` (64 hex digits) stands for bytes that are kept beside the versions;
    `target` is that of a symbolic link; `directory` a directory that may be empty.
    """

    path: str
    text: str | None = None
    sha256: str | None = None
    target: str | None = None
    directory: bool = False
    executable: bool = False

    def __post_init__(self) -> None:
        parts = self.path.split("/")
        if not self.path or "\0" in self.path or any(part in ("", ".", "..") for part in parts):
            raise VersionError(f"{self.path!r} is not a path below the environment", hint="remove or rename the file")
        if sum((self.text is not None, self.sha256 is not None, self.target is not None, self.directory)) != 1:
            raise VersionError(f"{self.path}: one of text, sha256, link or directory is needed")
        if self.sha256 is not None and not _DIGEST.fullmatch(self.sha256):
            raise VersionError(f"{self.path}: {self.sha256[:80]!r} is not a SHA-256")


@total_ordering
@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """Version `version` of the environment `name`.

    `image` is the image's name (`azureml/azureml_<hash>`) and `base_image` the reference it was computed with: its
    digest is the one that was known when the version was registered, and it is None where a Dockerfile of the user
    names the base. `platform` and `requirements_python` are what else entered the name. `content`
    (`sha256:<64 hex>`) is equal for equal definitions, whatever the digest. `main` is the definition's main file
    among `files`, which are sorted by path. An `archived` version is left out of lists, is not `latest` and is not
    protected from clean-up. `description` and `archived` may change; a digest that was not known may be added.
    """

    name: str
    version: int
    image: str
    content: str
    recipe: str
    format: Format
    main: str
    files: tuple[StoredFile, ...]
    conda_environment: str | None = None
    base_image: str | None = None
    platform: str | None = None
    requirements_python: str | None = None
    description: str = ""
    archived: bool = False

    def __post_init__(self) -> None:
        checked_name(self.name)
        checked_number(self.version)
        if not is_image_name(self.image):
            raise VersionError(f"{self.image[:120]!r} is not the name of an image", hint="it is azureml/azureml_<hash>")
        if not _DIGEST.fullmatch(self.content.removeprefix("sha256:")) or not self.content.startswith("sha256:"):
            raise VersionError(f"{self.content[:80]!r} is not sha256: and 64 hex digits")
        paths = [file.path for file in self.files]
        if paths != sorted(set(paths)):
            raise VersionError("the files are not sorted by path, or one is there twice")
        solid = {file.path for file in self.files if not file.directory}
        if any(above in solid for path in paths for above in _parents(path)):
            raise VersionError("a file lies below another file or a link")
        if not any(file.path == self.main and file.target is None and not file.directory for file in self.files):
            raise VersionError(f"the main file {self.main!r} is not among the files")

    @property
    def reference(self) -> str:
        """`name:version`."""
        return f"{self.name}:{self.version}"

    def __lt__(self, other: "RegisteredVersion") -> bool:
        return (self.name, self.version) < (other.name, other.version)


def _parents(path: str) -> Iterator[str]:
    above = path.rpartition("/")[0]
    while above:
        yield above
        above = above.rpartition("/")[0]
