"""One candidate file: is it a definition, what does it say, and what does the answer depend on?"""

import os
from typing import BinaryIO, Final

from envkiln.cache.definition import EnvironmentDefinition, Format
from envkiln.cache.errors import DefinitionError
from envkiln.cache.formats import read_definition, sniff
from envkiln.cache.source import RecordingTree, SourceEntry, SourceTree, directory_of
from envkiln.daemon.candidates import Rules, is_standard
from envkiln.daemon.disk_tree import DiskTree, Fingerprint, fingerprint
from envkiln.daemon.snapshot import Found, Ignored

WRAPPERS: Final = (Format.AZUREML_V1, Format.AZUREML_V2)
"""The formats whose other files are part of the definition, and no environments of their own."""

_Keys = tuple[tuple[str, Fingerprint | None], ...]


class _Primed:
    """Another tree that has the bytes of one file at hand, so that it is opened once."""

    def __init__(self, tree: SourceTree, path: str, data: bytes) -> None:
        self._tree = tree
        self._path = path
        self._data = data

    def read(self, path: str) -> bytes:
        return self._data if path == self._path else self._tree.read(path)

    def open(self, path: str) -> BinaryIO:
        return self._tree.open(path)

    def digest(self, path: str) -> str:
        return self._tree.digest(path)

    def entries(self, directory: str) -> list[SourceEntry]:
        return self._tree.entries(directory)


def read_candidate(tree: DiskTree, path: str, before: Found | Ignored | None, rules: Rules) -> Found | Ignored:
    """Return what the file `path` is, and the fingerprints of all that was asked for to say so; never raises OSError.

    While a definition cannot be read, what belonged to it `before` stays with it: a typing error in one file must
    not turn its parts into environments.
    """
    tree.seen.clear()
    recording = RecordingTree(tree)
    format_: Format | None = None
    result: EnvironmentDefinition | DefinitionError
    name = path.rpartition("/")[2]
    try:
        data = tree.read(path)
    except (FileNotFoundError, IsADirectoryError):
        # Gone since it was listed, or a link to nothing or to a directory.
        return Ignored(fingerprint(f"{tree.root}/{path}"))
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "make it a plain file that this user can read, or a link to one below the watched directory"
        result = DefinitionError(f"the file cannot be read: {reason}", file=path, hint=hint)
        if not is_standard(path):
            # No fingerprint: what forbids the reading may be elsewhere, so the next look tries again.
            return Ignored(None, problem=f"{result} ({hint})")
    else:
        # Telling what a file is takes parsing it. A standard name nearly always is what it says: that is asked only
        # when it could not be read.
        if not is_standard(path) and sniff(name, data) is None:
            return Ignored(tree.seen[path])
        try:
            primed = _Primed(recording, path, data)
            result = read_definition(primed, path, requirements_python=rules.requirements_python)
            format_ = result.format
        except DefinitionError as error:
            result = error
            format_ = sniff(name, data)
            if format_ is None:
                return Ignored(tree.seen[path])
    directories = _keys(tree, recording.directories)
    files = recording.files | {path}
    claims, context = _belongings(result, format_, path, recording.files - {path}, before)
    inputs = _keys(tree, files | _targets(tree, path, files, recording.directories))
    return Found("", path, format_, inputs, directories, result, claims, context)


def _keys(tree: DiskTree, paths: set[str]) -> _Keys:
    # A link's target was read under the link's name only, and so has no fingerprint of its own yet.
    return tuple(
        (path, tree.seen[path] if path in tree.seen else fingerprint(f"{tree.root}/{path}")) for path in sorted(paths)
    )


def _targets(tree: DiskTree, path: str, files: set[str], directories: set[str]) -> set[str]:
    """Return the files that links among `files` lead to: a change of such a file is reported under its own name."""
    found: set[str] = set()
    for name in files:
        # Most files need no question: the candidate was found without following links, and a context's files too.
        if directory_of(name) in directories or (name == path and not os.path.islink(f"{tree.root}/{path}")):  # noqa: PTH114
            continue
        try:
            found.add(tree.real(name))
        except OSError:
            continue
    return found


def _belongings(
    result: EnvironmentDefinition | DefinitionError,
    format_: Format | None,
    path: str,
    others: set[str],
    before: Found | Ignored | None,
) -> tuple[tuple[str, ...], str | None]:
    """Return the files and the directory that are part of the definition `path`."""
    claims = others if format_ in WRAPPERS else set()
    context = directory_of(path) if format_ is Format.DOCKERFILE else None
    if not isinstance(result, DefinitionError):
        if result.context is not None:
            context = result.context.directory
    elif isinstance(before, Found):
        claims = claims.union(before.claims)
        context = before.context if context is None else context
    if context is not None:
        below = f"{context}/" if context else ""
        claims = {name for name in claims if not name.startswith(below)}
    return tuple(sorted(claims)), context
