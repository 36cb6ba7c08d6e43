"""The look at a watched root: which environments are there, and what do they say?

A directory with a file of a standard name is an environment, whose id is the directory's path below the root (for
the root itself, its name). Any other YAML file that is a definition is an environment whose id is its own path.
A file that belongs to another definition is none: the files that an Azure ML definition refers to, and all that is
in a Docker build context, except in subdirectories that hold a standard name themselves.

Every look compares; nothing is concluded from what was reported as changed. Fingerprints only save the reading.
"""

import os
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from envkiln.cache.definition import Format
from envkiln.cache.formats import choose, sniff
from envkiln.cache.source import directory_of
from envkiln.daemon.candidates import Listing, Rules, is_standard, is_structured, list_directory
from envkiln.daemon.disk_tree import DigestCache, DiskTree, Fingerprint, fingerprint
from envkiln.daemon.reading import WRAPPERS, read_candidate
from envkiln.daemon.snapshot import Found, Ignored, Snapshot, add_to, depends_on, same_place

# Contexts in contexts need one round per level; no look may go on for ever, whatever refers to whatever.
_ROUNDS = 100
_UNKNOWN = Fingerprint(0, 0, -1, 0, 0)


def look(
    root: Path,
    previous: Snapshot | None = None,
    scope: Iterable[str] | None = None,
    *,
    rules: Rules | None = None,
    digests: DigestCache | None = None,
) -> Snapshot:
    """Return what is below `root` now.

    The result is the same with and without `previous`, but what has the same fingerprints as then is not opened;
    only a definition that is broken now keeps what belonged to it then.
    With `scope`, only what these paths (files, or directories with all below) may have changed is looked at; `""`
    is everything. Without a `previous` of this root and these rules, everything is. Trouble is never raised: it is
    an environment's result, or in `problems`.
    """
    rules = rules or Rules()
    here = os.path.realpath(root)
    if previous is not None and not same_place(previous, here, rules):
        previous = None
    work = _Look(here, rules, digests or DigestCache(), previous)
    if previous is None or previous.missing or scope is None:
        work.visit("")
    else:
        for path in sorted(scope):
            work.look_at(path)
    return work.finish()


class _Look:
    """The maps of a snapshot while they change. A path is read at most once per look."""

    def __init__(self, root: str, rules: Rules, digests: DigestCache, previous: Snapshot | None) -> None:
        self._root = root
        self._prefix = root if root.endswith("/") else f"{root}/"
        self._rules = rules
        self._tree = DiskTree(Path(root), digests)
        self._environments = dict(previous.environments) if previous else {}
        self._problems = dict(previous.problems) if previous else {}
        self._before = previous.listings if previous else {}
        self._listings = dict(self._before)
        self._records = dict(previous.records) if previous else {}
        self._readers = dict(previous.readers) if previous else {}
        self._contexts = dict(previous.contexts) if previous else {}
        self._checked: set[str] = set()
        self._dirty: set[str] = set()

    def finish(self) -> Snapshot:
        """Give the changed directories' files their ids, and return the snapshot."""
        # A Dockerfile or a requirements file is read only here, once it is clear that it is its directory's
        # environment. What it claims can change directories that were done: another round.
        for _ in range(_ROUNDS):
            if not self._dirty:
                break
            directories = sorted(self._dirty)
            self._dirty.clear()
            for directory in directories:
                self._resolve(directory)
        return Snapshot(
            self._root, self._rules, self._environments, self._problems,
            self._listings, self._records, self._readers, self._contexts,
        )  # fmt: skip

    def look_at(self, path: str) -> None:
        """Look at one path that may have changed, in any way."""
        if not path:
            self.visit("")
            return
        known = directory_of(path)
        while known and known not in self._before:
            known = directory_of(known)
        self._visit_one(known, only=path)
        if path in self._listings:
            self.visit(path)
        # A build context counts the entries of its directories: also of those that are new between here and there.
        place = path
        while True:
            for file in self._readers.get(place, ()):
                self._check(file)
            if place == known:
                break
            place = directory_of(place)
        if not os.path.isfile(self._prefix + path):  # noqa: PTH113
            below = f"{path}/"
            for file in {file for place, files in self._readers.items() if place.startswith(below) for file in files}:
                self._check(file)

    def visit(self, directory: str) -> None:
        """Look at `directory` and everything below it."""
        waiting = [directory]
        while waiting:
            listing = self._visit_one(waiting.pop())
            if listing is not None:
                waiting += listing.directories

    def _visit_one(self, directory: str, only: str | None = None) -> Listing | None:
        """Look at one directory's files; with `only`, at this one and new ones, and at new directories in full."""
        old = self._listings.get(directory)
        full = self._prefix + directory if directory else self._root
        if old is not None and fingerprint(full) == old.fingerprint:
            new, fresh = old, False
        else:
            listed = list_directory(self._root, directory, self._rules, moment_ns=time.time_ns())
            if listed is None:
                self._drop(directory)
                return None
            # What was below a directory that cannot be read now is not known to be gone.
            new = replace(old, fingerprint=_UNKNOWN, problem=listed.problem) if listed.problem and old else listed
            fresh = True
            self._replace_listing(directory, old, new)
        before = frozenset(old.candidates) if old is not None and fresh and only is not None else frozenset()
        for path in new.candidates:
            if only is None or path == only or (fresh and path not in before):
                self._check(path)
        if only is not None:
            for child in new.directories if fresh else ():
                if child not in self._listings:
                    self.visit(child)
        return new

    def _replace_listing(self, directory: str, old: Listing | None, new: Listing) -> None:
        self._listings[directory] = new
        if new.problem:
            self._problems[directory] = new.problem
        else:
            self._problems.pop(directory, None)
        if old is None or old.candidates != new.candidates:
            self._dirty.add(directory)
        if old is not None:
            for path in set(old.candidates).difference(new.candidates):
                self._forget(path)
            for child in set(old.directories).difference(new.directories):
                self._drop(child)
        if directory == "" and old is not None and old.directories != new.directories:
            self._dirty.add("")  # the id of the root's own environment depends on them

    def _drop(self, directory: str) -> None:
        """Forget a directory that is gone, with all below."""
        waiting = [directory]
        while waiting:
            gone = self._listings.pop(waiting.pop(), None)
            if gone is not None:
                for path in gone.candidates:
                    self._forget(path)
                waiting += gone.directories
        self._problems.pop(directory, None)
        if not directory:
            self._problems[""] = f"{self._root}: the watched directory does not exist (create it, or mount it)"

    def _check(self, path: str) -> None:
        """Read the candidate `path` if what its result depends on has changed."""
        if path in self._checked:
            return
        record = self._records.get(path)
        if record is None:
            if is_structured(path):
                self._put(path, None)
        elif not self._is_fresh(path, record):
            self._put(path, record)
        else:
            self._checked.add(path)

    def _is_fresh(self, path: str, record: Found | Ignored) -> bool:
        prefix = self._prefix
        if isinstance(record, Ignored):
            return fingerprint(prefix + path) == record.fingerprint
        return all(fingerprint(prefix + name) == key for name, key in record.inputs) and all(
            fingerprint(prefix + name) == key for name, key in record.directories
        )

    def _put(self, path: str, before: Found | Ignored | None) -> None:
        """Read `path` and note what depends on what from now on."""
        self._checked.add(path)
        self._forget(path)
        record = read_candidate(self._tree, path, before, self._rules)
        self._records[path] = record
        self._dirty.add(directory_of(path))
        if isinstance(record, Ignored):
            if record.problem:
                self._problems[path] = record.problem
            return
        for name in depends_on(record):
            add_to(self._readers, name, path)
        self._disturb(record)
        if record.context is not None:
            add_to(self._contexts, record.context, path)

    def _forget(self, path: str) -> None:
        record = self._records.pop(path, None)
        self._problems.pop(path, None)
        if isinstance(record, Found):
            if self._environments.get(record.id) is record:
                del self._environments[record.id]
            for name in depends_on(record):
                _remove_from(self._readers, name, path)
            if record.context is not None:
                _remove_from(self._contexts, record.context, path)
            self._disturb(record)

    def _disturb(self, record: Found) -> None:
        """Note the directories whose environments `record` may have a say in."""
        self._dirty.update(directory_of(name) for name in record.claims)
        if record.context is not None:
            below = f"{record.context}/" if record.context else ""
            self._dirty.add(record.context)
            self._dirty.update(name for name in self._listings if name.startswith(below))

    def _resolve(self, directory: str) -> None:
        """Give every definition in `directory` its id, or none where it belongs to another definition."""
        listing = self._listings.get(directory)
        if listing is None:
            return
        holders = self._holders(directory, listing)
        # Its own Dockerfile claims the rest of the directory once it has won, and so has no say in that.
        others = self._holders(directory, listing, with_own_dockerfile=False)
        winner = self._winner(listing, others)
        if winner is not None and winner not in self._records:
            self._put(winner, None)
        for path in listing.candidates:
            record = self._records.get(path)
            if isinstance(record, Found):
                if path == winner:
                    self._name(path, record, self._directory_id(directory, path, listing))
                elif is_structured(path):
                    self._name(path, record, path if self._may_stand(path, holders) else "")
                else:
                    self._forget(path)

    def _winner(self, listing: Listing, holders: frozenset[str] | None) -> str | None:
        """Return the file that makes the directory an environment."""
        standing: dict[str, tuple[str, Format]] = {}
        has_conda = False
        for path in filter(is_standard, listing.candidates):
            name = path.rpartition("/")[2]
            if is_structured(path):
                record = self._records.get(path)
                if not isinstance(record, Found):
                    continue
                format_ = record.format or sniff(name, b"")
                has_conda = True
            else:
                format_ = sniff(name, b"")  # these are what they are called
            # What lies beside a conda file is part of that, even where the conda file itself belongs elsewhere.
            beside = format_ is Format.REQUIREMENTS and has_conda
            if format_ is not None and not beside and self._may_stand(path, holders):
                standing[name] = (path, format_)
        main = choose((name, format_) for name, (_, format_) in standing.items())
        return standing[main][0] if main else None

    def _name(self, path: str, record: Found, id_: str) -> None:
        if record.id == id_:
            return
        if self._environments.get(record.id) is record:
            del self._environments[record.id]
        self._records[path] = record = replace(record, id=id_)
        if id_:
            self._environments[id_] = record

    def _directory_id(self, directory: str, path: str, listing: Listing) -> str:
        if directory:
            return directory
        name = os.path.basename(self._root)  # noqa: PTH119
        # A subdirectory may be called as the root is: it keeps the name.
        return path if not name or name in listing.directories or name in listing.candidates else name

    def _holders(self, directory: str, listing: Listing, *, with_own_dockerfile: bool = True) -> frozenset[str] | None:
        """Return the definitions whose build context holds all files of `directory`; None where there is none."""
        if not self._contexts:
            return None
        holders = {
            path
            for path in self._contexts.get(directory, ())
            if with_own_dockerfile or is_structured(path) or directory_of(path) != directory
        }
        # A build context often has a requirements file of its own further down: that alone makes no environment.
        stands = any(is_standard(path) and not path.endswith("requirements.txt") for path in listing.candidates)
        if holders or not stands:
            place = directory
            while place:
                place = directory_of(place)
                holders.update(self._contexts.get(place, ()))
        return frozenset(holders) or None

    def _may_stand(self, path: str, holders: frozenset[str] | None) -> bool:
        """Whether the file is no part of another definition."""
        if holders is not None and path not in holders:
            return False
        record = self._records.get(path)
        # An Azure ML definition is never part of another one by being referred to: that is an error in the other.
        if isinstance(record, Found) and record.format in WRAPPERS:
            return True
        for file in self._readers.get(path, ()):
            reader = self._records.get(file)
            if isinstance(reader, Found) and path in reader.claims:
                return False
        return True


def _remove_from(index: dict[str, tuple[str, ...]], key: str, file: str) -> None:
    left = tuple(name for name in index.get(key, ()) if name != file)
    if left:
        index[key] = left
    else:
        index.pop(key, None)
