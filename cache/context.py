"""What goes to a builder: the entries of a build context, and its secrets, as values."""

from dataclasses import dataclass

from envkiln.cache.source import EntryKind


@dataclass(frozen=True, slots=True)
class ContextEntry:
    """One entry of a build context. A file has `data`, or `source`: the path in the source tree that has its bytes.

    `content` is the SHA-256 that a `source` file had when its environment was named.
    """

    path: str
    kind: EntryKind = EntryKind.FILE
    data: bytes | None = None
    source: str | None = None
    content: str = ""
    executable: bool = False
    target: str = ""


@dataclass(frozen=True, slots=True)
class SetupContent:
    """A build context: `dockerfile` is the path of its Dockerfile, `entries` are sorted, parents before children.

    `secrets` are what the builder gives to the steps that ask for it and to nothing else; `path` is a secret's id.
    """

    dockerfile: str
    entries: tuple[ContextEntry, ...]
    secrets: tuple[ContextEntry, ...] = ()
