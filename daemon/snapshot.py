"""What the last look at a watched root found, as a value that can be kept over a restart."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

import msgspec

from envkiln.cache.definition import EnvironmentDefinition, Format
from envkiln.cache.errors import DefinitionError
from envkiln.daemon.candidates import Listing, Rules
from envkiln.daemon.disk_tree import Fingerprint

VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class Found:
    """One definition file and all that its result depends on; `id` is empty when it is part of another's.

    `inputs` are the files that were asked for, None where one is missing; `directories` those whose entries counted.
    `claims` are files and `context` is the directory that belong to this definition.
    """

    id: str
    file: str
    format: Format | None
    inputs: tuple[tuple[str, Fingerprint | None], ...]
    directories: tuple[tuple[str, Fingerprint | None], ...]
    result: EnvironmentDefinition | DefinitionError
    claims: tuple[str, ...] = ()
    context: str | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """A file that is no environment, for as long as its fingerprint stays."""

    fingerprint: Fingerprint | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The environments below `root`, by id, and what could not be looked at, by path.

    The other fields are the look's own notes. `readers` says which definitions depend on a path other than their
    own file, `contexts` which definitions build from a directory. An environment that two snapshots share as the
    same object (`is`) has not changed between them.
    """

    root: str
    rules: Rules
    environments: Mapping[str, Found]
    problems: Mapping[str, str]
    listings: Mapping[str, Listing]
    records: Mapping[str, Found | Ignored]
    readers: Mapping[str, tuple[str, ...]]
    contexts: Mapping[str, tuple[str, ...]]

    @property
    def missing(self) -> bool:
        """Whether the root itself was not there: nothing is known then, in particular not that all is deleted."""
        return "" not in self.listings


def add_to(index: dict[str, tuple[str, ...]], key: str, file: str) -> None:
    index[key] = (*index.get(key, ()), file)


def depends_on(found: Found) -> set[str]:
    """Return the paths other than its own file that `found` depends on or claims."""
    return {path for path, _ in (*found.inputs, *found.directories)}.union(found.claims) - {found.file}


class _StoredFound(msgspec.Struct, array_like=True, frozen=True, gc=False):
    id: str
    file: str
    format: Format | None
    inputs: tuple[tuple[str, Fingerprint | None], ...]
    directories: tuple[tuple[str, Fingerprint | None], ...]
    claims: tuple[str, ...]
    context: str | None
    definition: EnvironmentDefinition | None
    error: tuple[str, str, int | None, int | None, str | None] | None


class _Header(msgspec.Struct, frozen=True):
    version: int
    envkiln: str


class _Stored(_Header, frozen=True):
    root: str
    ignore: tuple[str, ...]
    requirements_python: str
    listings: dict[str, tuple[Fingerprint, tuple[str, ...], tuple[str, ...], str | None]]
    found: list[_StoredFound]
    ignored: dict[str, tuple[Fingerprint | None, str | None]]


def snapshot_to_json(snapshot: Snapshot) -> bytes:
    """Return `snapshot` as JSON.

    What has a name that is not UTF-8 is left out, and so is what holds a credential: both are looked at again.
    """
    stored = _Stored(
        VERSION,
        version("envkiln"),
        snapshot.root,
        snapshot.rules.ignore,
        snapshot.rules.requirements_python,
        {path: (it.fingerprint, it.directories, it.candidates, it.problem) for path, it in snapshot.listings.items()},
        [
            _store(record)
            for record in snapshot.records.values()
            if isinstance(record, Found) and not _is_secret(record)
        ],
        {path: (it.fingerprint, it.problem) for path, it in snapshot.records.items() if isinstance(it, Ignored)},
    )
    try:
        return msgspec.json.encode(stored)
    except UnicodeEncodeError:
        return msgspec.json.encode(
            msgspec.structs.replace(
                stored,
                listings={path: it for path, it in stored.listings.items() if _encodable((path, it))},
                found=[it for it in stored.found if _encodable(it)],
                ignored={path: it for path, it in stored.ignored.items() if _encodable((path, it))},
            )
        )


def snapshot_from_json(data: bytes) -> Snapshot | None:
    """Return the snapshot that `data` holds; None when it is broken or from another version of envkiln."""
    try:
        header = msgspec.json.decode(data, type=_Header)
        if (header.version, header.envkiln) != (VERSION, version("envkiln")):
            return None
        stored = msgspec.json.decode(data, type=_Stored)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        return None
    records: dict[str, Found | Ignored] = {path: Ignored(*it) for path, it in stored.ignored.items()}
    environments: dict[str, Found] = {}
    readers: dict[str, tuple[str, ...]] = {}
    contexts: dict[str, tuple[str, ...]] = {}
    for it in stored.found:
        found = _restore(it)
        records[found.file] = found
        if found.id:
            environments[found.id] = found
        if len(found.inputs) > 1 or found.directories or found.claims:
            for path in depends_on(found):
                add_to(readers, path, found.file)
        if found.context is not None:
            add_to(contexts, found.context, found.file)
    listings = {path: Listing(*it) for path, it in stored.listings.items()}
    rules = Rules(stored.ignore, stored.requirements_python)
    problems = problems_of(listings, records)
    return Snapshot(stored.root, rules, environments, problems, listings, records, readers, contexts)


def problems_of(listings: Mapping[str, Listing], records: Mapping[str, Found | Ignored]) -> dict[str, str]:
    problems = {path: it.problem for path, it in listings.items() if it.problem}
    for path, record in records.items():
        if isinstance(record, Ignored) and record.problem:
            problems[path] = record.problem
    return problems


def _is_secret(found: Found) -> bool:
    return isinstance(found.result, EnvironmentDefinition) and bool(found.result.credentials)


def _store(found: Found) -> _StoredFound:
    result = found.result
    if isinstance(result, DefinitionError):
        definition, error = None, (result.message, result.file, result.line, result.column, result.hint)
    else:
        definition, error = result, None
    return _StoredFound(
        found.id, found.file, found.format, found.inputs, found.directories, found.claims, found.context,
        definition, error,
    )  # fmt: skip


def _restore(stored: _StoredFound) -> Found:
    result: EnvironmentDefinition | DefinitionError
    if stored.definition is not None:
        result = stored.definition
    elif stored.error is not None:
        message, file, line, column, hint = stored.error
        result = DefinitionError(message, file=file, line=line, column=column, hint=hint)
    else:
        raise ValueError(f"{stored.file}: neither a definition nor an error")
    return Found(
        stored.id, stored.file, stored.format, stored.inputs, stored.directories, result, stored.claims, stored.context
    )


def _encodable(value: object) -> bool:
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        return False
    return True


def same_place(snapshot: Snapshot, root: str, rules: Rules) -> bool:
    """Whether `snapshot` is of this root under these rules."""
    return os.path.realpath(root) == snapshot.root and rules == snapshot.rules
