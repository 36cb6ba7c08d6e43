"""One watched root: changes settle, looks follow, and what they find becomes events."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from envkiln.cache.errors import DefinitionError
from envkiln.cache.index import Index
from envkiln.daemon.absence import Place, absence, place_of
from envkiln.daemon.candidates import Rules
from envkiln.daemon.coalesce import EVERYTHING, Coalescer
from envkiln.daemon.config import Config, RootConfig
from envkiln.daemon.discover import look
from envkiln.daemon.disk_tree import DigestCache, DiskTree
from envkiln.daemon.events import Event, Looked, Problem, Sighting
from envkiln.daemon.ids import Ids
from envkiln.daemon.records import Records
from envkiln.daemon.snapshot import Found, Snapshot, snapshot_from_json, snapshot_to_json
from envkiln.daemon.watcher import Watcher

CHECK_S = 2.0
"""How often the watch itself is checked: is the root still the directory that is watched?"""
# A snapshot is worth one read of every file: it is written when things are quiet, not while somebody saves.
_STORE_AFTER_S = 20.0
_STORE_AFTER_MAX_S = 600.0


@dataclass(frozen=True, slots=True)
class LookReport:
    """What one look did: `changed` and `gone` were posted, `same` were read again and say what they said before."""

    root: str
    seconds: float
    environments: int
    changed: tuple[str, ...]
    same: tuple[str, ...]
    gone: tuple[str, ...]


class WatchedRoot:
    """Keeps the state true to the files below one root. Everything runs on the event loop but the look itself."""

    def __init__(
        self,
        config: Config,
        root: RootConfig,
        *,
        ids: Ids,
        index: Index,
        records: Records,
        post: Callable[[Event], None],
        report: Callable[[LookReport], None],
    ) -> None:
        self.root = root
        self._config = config
        self._ids = ids
        self._index = index
        self._records = records
        self._post = post
        self._report = report
        self._digests = DigestCache()
        self.tree = DiskTree(root.path, self._digests)
        self._rules = Rules(root.ignore, root.requirements_python)
        self._coalescer = Coalescer(root.settle_ms / 1000, root.settle_max_ms / 1000)
        self._snapshot: Snapshot | None = None
        self._sightings: dict[str, Sighting] = {}
        self._looking = asyncio.Lock()
        self._forgotten = False
        self._woken = asyncio.Event()
        self._store_at: float | None = None
        self._changed_since: float | None = None
        self._absence: str | None = None
        self._place: Place | None = None
        self._anew = False
        self.watcher: Watcher | None = None

    @property
    def problems(self) -> dict[str, str]:
        """What cannot be looked at or watched, by path below the root (`""`: the root)."""
        problems = dict(self._snapshot.problems) if self._snapshot else {}
        if self.watcher is not None and self.watcher.problem:
            problems.setdefault("", self.watcher.problem)
        if self._absence is not None:
            problems[""] = self._absence
        return problems

    @property
    def unseen(self) -> str | None:
        """Why environments may be below this root that are not known; None where a look has seen all of it."""
        if self._absence is not None:
            return self._absence
        if self._snapshot is None:
            return f"{self.root.path} was not looked at"
        place = next(iter(self._snapshot.problems), None)
        return f"{self.root.path / place} cannot be looked at" if place is not None else None

    async def start(self) -> None:
        """Look at everything, then watch; what changes in between is found by one more look, soon."""
        self.watcher = self._new_watcher()
        await self.first_look()
        # Ten thousand watches take longer than the look: nobody waits for them to know what is there.
        await asyncio.to_thread(self.watcher.start)
        self.changed(None)

    async def first_look(self) -> None:
        """Look at everything, with what the index has of the last service's look."""
        stored = await asyncio.to_thread(self._index.snapshot, str(self.root.path))
        if stored is not None:
            self._snapshot = await asyncio.to_thread(snapshot_from_json, stored)
        await self.look(None)
        if self._absence is not None and self._snapshot is not None:
            # As it was when the root was last there: what it needs is not known to be needed no more.
            self._compare(None, self._snapshot, 0.0)

    async def reconfigure(self, config: Config, root: RootConfig) -> None:
        """Look at everything by `config` from now on; `root` is this one as it has it. The label stays."""
        before, self._config = self._config, config
        self.root = replace(root, label=self.root.label)
        async with self._looking:
            self._rules = Rules(root.ignore, root.requirements_python)
            self._coalescer = Coalescer(root.settle_ms / 1000, root.settle_max_ms / 1000)
        polling = (config.polling, config.poll_interval_s)
        if self.watcher is not None and polling != (before.polling, before.poll_interval_s):
            await asyncio.to_thread(self.watcher.stop)
            self.watcher = self._new_watcher()
            await asyncio.to_thread(self.watcher.start)
        # What was pending or missed meanwhile is found by the same look.
        await self.look(None, anew=True)

    async def forget(self) -> None:
        """Stop watching, and tell that the environments are gone: nobody asks for them here any more."""
        await self.close()
        async with self._looking:
            self._forgotten = True
            gone = [self._ids.release(self.root.label, path) for path in sorted(self._sightings)]
            self._sightings.clear()
        self._post(Looked((), frozenset(gone)))

    async def run(self) -> None:
        """Look at what changes, until cancelled."""
        checked = looked = time.monotonic()
        while True:
            now = time.monotonic()
            wake = min(
                self._coalescer.next_wake(now) or now + CHECK_S,
                checked + CHECK_S,
                looked + self._config.look_interval_s,
                self._store_at or now + CHECK_S,
            )
            await self._sleep_until(wake)
            now = time.monotonic()
            due = self._coalescer.due(now)
            if due is not None:
                self._coalescer = self._coalescer.released()
                await self.look(None if due == EVERYTHING else due)
                looked = now if due == EVERYTHING else looked
            if now >= checked + CHECK_S and self.watcher is not None:
                await asyncio.to_thread(self.watcher.check)
                checked = now
                if self._absence is not None:
                    self.changed(None)
            if now >= looked + self._config.look_interval_s:
                await self.look(None)
                looked = now
            if self._store_at is not None and now >= self._store_at and due is None:
                self._store()

    async def close(self) -> None:
        if self.watcher is not None:
            await asyncio.to_thread(self.watcher.stop)
        if self._store_at is not None:
            self._store()

    async def look(self, scope: frozenset[str] | None, *, anew: bool = False) -> None:
        """Look at `scope` (None: everything) now; when it returns, the events are posted.

        `anew`: what the files say may mean something else than before.
        """
        async with self._looking:
            if self._forgotten:
                return  # it waited for its turn while a reload took the root away
            started = time.monotonic()
            before = self._snapshot
            self._anew = anew or self._anew
            earlier, after, later = await asyncio.to_thread(self._looked, before, scope)
            self._absence = absence(before, after, earlier, later)
            if self._absence is None:
                self._snapshot, self._place = after, later
                anew, self._anew = self._anew, False
                self._compare(None if anew else before, after, time.monotonic() - started)

    def _looked(
        self, before: Snapshot | None, scope: frozenset[str] | None
    ) -> tuple[Place | None, Snapshot, Place | None]:
        """Look, and say where the root was before and after; runs in another thread."""
        earlier = place_of(self.root.path)
        if earlier != self._place:
            scope = None  # another directory: nothing of it is known
        after = look(self.root.path, before, scope, rules=self._rules, digests=self._digests)
        return earlier, after, place_of(self.root.path)

    async def look_at(self, id_: str) -> bool:
        """Look at the files of one environment now; False when it is not below this root."""
        for path, sighting in self._sightings.items():
            if sighting.id == id_ and self._snapshot is not None:
                found = self._snapshot.environments[path]
                await self.look(frozenset({found.file, *(file for file, _ in found.inputs)}))
                return True
        return False

    def changed(self, paths: frozenset[str] | None) -> None:
        """Look at `paths` (None: everything) soon, when they have settled."""
        self._coalescer = self._coalescer.add(paths, time.monotonic())
        self._woken.set()

    def _new_watcher(self) -> Watcher:
        loop = asyncio.get_running_loop()

        def report(paths: frozenset[str] | None) -> None:
            with suppress(RuntimeError):  # the loop has ended: nobody looks any more
                loop.call_soon_threadsafe(self.changed, paths)

        config = self._config
        return Watcher(self.root.path, report, polling=config.polling, poll_interval_s=config.poll_interval_s)

    async def _sleep_until(self, wake: float) -> None:
        """Sleep until `wake`, or until a change moved it."""
        try:
            async with asyncio.timeout(max(0.0, wake - time.monotonic())):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()

    def _compare(self, before: Snapshot | None, after: Snapshot, seconds: float) -> None:
        old = before.environments if before and self._sightings else {}
        changed: list[Sighting] = []
        same: list[str] = []
        for path in [path for path, found in after.environments.items() if old.get(path) is not found]:
            found = after.environments[path]
            known = self._sightings.get(path)
            sighting = self._sighting(self._ids.claim(self.root.label, path), path, found)
            if sighting != known:
                changed.append(sighting)
                self._sightings[path] = sighting
            elif _was_saved(old.get(path), found):
                same.append(sighting.id)
        gone = self._sightings.keys() - after.environments.keys()
        for path in gone:
            del self._sightings[path]
        left = tuple(self._ids.release(self.root.label, path) for path in sorted(gone))
        if changed or left:
            self._post(Looked(tuple(changed), frozenset(left)))
        if changed or left or same:
            self._store_soon()
        ids = tuple(sighting.id for sighting in changed)
        self._report(LookReport(self.root.label, seconds, len(after.environments), ids, tuple(same), left))

    def _store_soon(self) -> None:
        now = time.monotonic()
        self._changed_since = self._changed_since or now
        self._store_at = min(now + _STORE_AFTER_S, self._changed_since + _STORE_AFTER_MAX_S)

    def _sighting(self, id_: str, path: str, found: Found) -> Sighting:
        result = found.result
        value = Problem.of(result) if isinstance(result, DefinitionError) else result
        settings = self._config.for_environment(self.root, path)
        return Sighting(id_, self.root.label, found.file, value, settings)

    def _store(self) -> None:
        self._store_at = self._changed_since = None
        snapshot = self._snapshot
        if snapshot is not None:
            self._records.note_snapshot(str(self.root.path), lambda: snapshot_to_json(snapshot))


def _was_saved(before: Found | None, after: Found) -> bool:
    """Whether a file was written between two looks; one that is read again for being young was not."""

    def times(found: Found) -> list[tuple[int, int] | None]:
        return [key and (key.mtime_ns, key.ctime_ns) for _, key in (*found.inputs, *found.directories)]

    return before is not None and times(before) != times(after)
