"""The persistent index: a cache of the truth, never the truth.

Everything in it can be deleted at any time: fingerprints are taken again, images and digests come back from the labels
of the engine's images. The directory's name carries the version of its layout.
"""

import shutil
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, cast

BUILDS_KEPT = 20
"""Builds remembered for each environment."""

VIEW_PARTS = 256
"""Records that hold the views: a record for each would be thousands of writes, one for all a write of megabytes."""
USERS_KEPT = 50
"""Environments remembered for each image."""

_CHECK = 4
_PRIVATE = 0o600
_UNREADABLE = (ValueError, TypeError, zlib.error, OSError, EOFError)
"""What reading a record raises that JSONDisk did not write, or whose file is damaged or gone."""
# Trouble of SQLite's that says nothing about the file: everything else does.
_SURROUNDINGS = frozenset(
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOLFS,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    )
)


class Index:
    """Records as JSON values on diskcache, in a directory of its own (mode 0700).

    Safe to use from several threads and processes; every call is one transaction. A damaged or foreign record reads
    as absent. Trouble with the disk (full, read-only) raises OSError or sqlite3.Error.
    """

    def __init__(self, directory: Path) -> None:
        """Open the index in `directory`, making it where it is missing.

        A damaged one is moved aside, to `<directory>.damaged`, and a new one made: it loses nothing but time.
        """
        try:
            self._cache = _open(directory)
        except Exception as error:
            # diskcache trusts its file: a damaged one makes it raise almost anything.
            if not _is_damage(error):
                raise
            _move_aside(directory)
            self._cache = _open(directory)

    def close(self) -> None:
        self._cache.close()

    def snapshot(self, root: str) -> bytes | None:
        """Return what was last seen below a watched root, as it was stored."""
        with suppress(*_UNREADABLE):
            file = self._cache.get(f"snapshot:{root}", read=True)
            if isinstance(file, BufferedReader):
                with file:
                    check, data = file.read(_CHECK), file.read()
                # A damaged byte may still be JSON, and a definition that nobody wrote.
                return data if check == _checksum(data) else None
        return None

    def store_snapshot(self, root: str, data: bytes) -> None:
        """Store megabytes of the caller's own JSON, as a file: as a record it would be encoded and packed again."""
        self._cache.set(f"snapshot:{root}", BytesIO(_checksum(data) + data), read=True)

    def roots(self) -> dict[str, str]:
        """Return the watched directories of the last service by label."""
        found = self._get("roots")
        return {str(label): str(path) for label, path in found.items()} if isinstance(found, dict) else {}

    def store_roots(self, roots: Mapping[str, str]) -> None:
        self._cache.set("roots", dict(roots))

    def digests(self) -> dict[str, tuple[str, float]]:
        """Return the recorded digest of every base image's tag, and the wall time at which it was asked for."""
        found = self._get("digests")
        recorded = {}
        for reference, record in found.items() if isinstance(found, dict) else ():
            match record:
                case [str(digest), int() | float() as asked_at]:
                    recorded[str(reference)] = (digest, float(asked_at))
        return recorded

    def record_digest(self, reference: str, digest: str, asked_at: float) -> None:
        with self._cache.transact():
            self._cache.set("digests", {**self.digests(), reference: (digest, asked_at)})

    def views(self) -> dict[str, dict[str, Any]]:
        """Return every environment's last view by id: what queries answer while the daemon is down."""
        return {id_: view for part in range(VIEW_PARTS) for id_, view in self._views_in(part).items()}

    def view(self, id_: str) -> dict[str, Any] | None:
        return self._views_in(view_part(id_)).get(id_)

    def views_stored_at(self) -> float | None:
        """Return the wall time of the last `store_views`."""
        found = self._get("views-stored-at")
        return float(found) if isinstance(found, int | float) else None

    def store_views(self, views: Mapping[str, Mapping[str, Any]], gone: Iterable[str], stored_at: float) -> None:
        """Store new views and drop those of environments that are gone; `stored_at` is wall time.

        Costs a few ms for each part that it touches (`view_part`): whoever has many stores them part by part.
        """
        parts: dict[int, dict[str, Any]] = {}
        with self._cache.transact():
            self._cache.set("views-stored-at", stored_at)
            for id_ in {*views, *gone}:
                part = view_part(id_)
                if part not in parts:
                    parts[part] = self._views_in(part)
                parts[part].pop(id_, None)
                if id_ in views:
                    parts[part][id_] = dict(views[id_])
            for part, held in parts.items():
                self._cache.set(_view_key(part), held)

    def builds(self, id_: str) -> list[dict[str, Any]]:
        """Return the last builds made for an environment, oldest first."""
        found = self._get(f"builds:{id_}")
        return [build for build in found if isinstance(build, dict)] if isinstance(found, list) else []

    def all_builds(self) -> dict[str, list[dict[str, Any]]]:
        """Return the last builds of every environment by id, oldest first."""
        return {id_: self.builds(id_) for id_ in self._below("builds:")}

    def uses(self) -> dict[str, tuple[float, tuple[str, ...]]]:
        """Return of every image name that was used: the wall time of the last use, the environments it was used for."""
        found = {}
        for name in self._below("use:"):
            match self._get(f"use:{name}"):
                case {"at": int() | float() as at, "environments": [*ids]}:
                    found[name] = (float(at), tuple(map(str, ids)))
        return found

    def record_use(self, name: str, at: float, environment: str | None) -> None:
        """Note that image `name` was used at wall time `at`; an earlier time than is known says nothing."""
        with self._cache.transact():
            known = self._get(f"use:{name}")
            known = known if isinstance(known, dict) else {}
            ids = [str(id_) for id_ in known.get("environments") or () if id_ != environment]
            ids = [*ids, environment] if environment is not None else ids
            before = known.get("at")
            latest = max(at, before) if isinstance(before, int | float) else at
            self._cache.set(f"use:{name}", {"at": latest, "environments": ids[-USERS_KEPT:]})

    def aliases(self) -> frozenset[str]:
        """Return the tags that were set for environments, also for those that are gone."""
        return frozenset(self._below("alias:"))

    def record_alias(self, alias: str, at: float) -> None:
        self._cache.set(f"alias:{alias}", {"at": at})

    def forget(
        self,
        *,
        environments: frozenset[str],
        images: frozenset[str],
        aliases: frozenset[str],
        roots: frozenset[str],
        before: float,
    ) -> None:
        """Drop what is about other environments, images, aliases and roots than these, if it is from before that time.

        Views of other environments go whatever their age.
        """
        self._forget_views(environments, aliases, before)
        for id_ in self._below("builds:"):
            if id_ not in environments and all(float(it.get("started") or 0) < before for it in self.builds(id_)):
                self._cache.delete(f"builds:{id_}")
        for name, (at, _) in self.uses().items():
            if name not in images and at < before:
                self._cache.delete(f"use:{name}")
        for alias in self.aliases() - aliases:
            self._cache.delete(f"alias:{alias}")
        for root in set(self._below("snapshot:")) - roots:
            self._cache.delete(f"snapshot:{root}")
        with self._cache.transact():
            fresh = {reference: record for reference, record in self.digests().items() if record[1] >= before}
            self._cache.set("digests", fresh)

    def _forget_views(self, environments: frozenset[str], aliases: frozenset[str], at: float) -> None:
        gone = {id_: view for id_, view in self.views().items() if id_ not in environments}
        # An environment that went while nobody looked: its tags are still known as ours.
        given_up = {str(alias) for view in gone.values() for alias in view.get("aliases") or ()}
        for alias in given_up & aliases - self.aliases():
            self.record_alias(alias, at)
        if gone:
            self.store_views({}, gone, self.views_stored_at() or at)

    def document(self, name: str) -> Any:
        """Return what `store_document` stored, None when nothing did."""
        return self._get(f"document:{name}")

    def store_document(self, name: str, value: Any) -> None:
        """Store a value of JSON under a name."""
        self._cache.set(f"document:{name}", value)

    def add_build(self, id_: str, build: Mapping[str, Any]) -> None:
        with self._cache.transact():
            self._cache.set(f"builds:{id_}", [*self.builds(id_), dict(build)][-BUILDS_KEPT:])

    def _get(self, key: str) -> Any:
        try:
            return self._cache.get(key)
        except _UNREADABLE:
            return None
        except sqlite3.Error as error:
            if not _is_damage(error):
                raise
            return None

    def _views_in(self, part: int) -> dict[str, dict[str, Any]]:
        found = self._get(_view_key(part))
        views = found.items() if isinstance(found, dict) else ()
        return {str(id_): cast("dict[str, Any]", view) for id_, view in views if isinstance(view, dict)}

    def _below(self, prefix: str) -> list[str]:
        """Return the rest of every key that begins with `prefix`."""
        return [key.removeprefix(prefix) for key in self._keys() if isinstance(key, str) and key.startswith(prefix)]

    def _keys(self) -> Iterator[Any]:
        """Yield the keys, up to the first that cannot be read."""
        try:
            yield from self._cache.iterkeys()
        except _UNREADABLE:
            return
        except sqlite3.Error as error:
            if not _is_damage(error):
                raise


def view_part(id_: str) -> int:
    """Return which of `VIEW_PARTS` records holds the view of an environment."""
    return zlib.crc32(id_.encode(errors="surrogateescape")) % VIEW_PARTS


def _view_key(part: int) -> str:
    return f"views:{part}"


def _open(directory: Path) -> Any:
    # Imported here: the answer to `envkiln name` needs no index.
    import diskcache  # noqa: PLC0415

    class PrivateDisk(diskcache.JSONDisk):  # type: ignore[misc]
        """Large records have files of their own, with the mode that the umask leaves."""

        def __init__(self, place: str, **options: Any) -> None:
            super().__init__(place, **options)
            self._place = Path(place)

        def store(self, value: Any, read: bool, key: Any = diskcache.UNKNOWN) -> tuple[Any, ...]:
            stored: tuple[Any, ...] = super().store(value, read, key=key)
            if stored[2] is not None:
                (self._place / stored[2]).chmod(_PRIVATE)
            return stored

    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = directory / diskcache.core.DBNAME
    # SQLite gives its other files the mode of this one.
    database.touch(_PRIVATE)
    database.chmod(_PRIVATE)
    _check(database)
    # JSON: the default pickles, and whoever can write the file then runs code (CVE-2025-69872). No eviction: the
    # default silently drops records above 1 GiB.
    return diskcache.Cache(str(directory), disk=PrivateDisk, eviction_policy="none")


def _check(database: Path) -> None:
    """Raise sqlite3.DatabaseError for a damaged file: found here, and not by a write an hour later."""
    if not database.exists():
        return
    # 17 ms for the views of 10,000 environments.
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        problems = connection.execute("PRAGMA integrity_check(1)").fetchall()
    if problems != [("ok",)]:
        raise sqlite3.DatabaseError(f"{database}: {problems}")


def _is_damage(error: Exception) -> bool:
    """Return whether `error` says that the file itself is no good, and not the disk or who else uses it."""
    if isinstance(error, OSError):
        return False
    # The low byte is the kind, the rest details it.
    return (getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF) not in _SURROUNDINGS


def _move_aside(directory: Path) -> None:
    aside = directory.with_name(f"{directory.name}.damaged")
    shutil.rmtree(aside, ignore_errors=True)
    with suppress(FileNotFoundError):  # somebody else was first
        directory.rename(aside)


def _checksum(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(_CHECK)
