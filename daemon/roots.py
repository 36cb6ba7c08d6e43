"""All watched roots, as one."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from envkiln.cache.index import Index
from envkiln.cache.source import SourceTree
from envkiln.daemon.config import Config, RootConfig
from envkiln.daemon.events import Event
from envkiln.daemon.ids import Ids
from envkiln.daemon.records import Records
from envkiln.daemon.tuning import uncollected
from envkiln.daemon.watched_root import LookReport, WatchedRoot


class Roots:
    """The watched roots of a configuration."""

    def __init__(
        self,
        config: Config,
        index: Index,
        records: Records,
        post: Callable[[Event], None],
        report: Callable[[LookReport], None],
    ) -> None:
        self.started = False
        """Whether the first look at every root is done."""
        ids = Ids()

        def watched(config: Config, root: RootConfig) -> WatchedRoot:
            return WatchedRoot(config, root, ids=ids, index=index, records=records, post=post, report=report)

        self._watched = watched
        self._tasks: dict[Path, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self.all = [watched(config, root) for root in config.roots]

    def tree(self, label: str) -> SourceTree:
        """Return the files below the root of that label."""
        return next(watched.tree for watched in self.all if watched.root.label == label)

    async def start(self) -> None:
        """Watch and look at every root, in the configured order."""
        with uncollected():
            for watched in self.all:
                await watched.start()
        self.started = True

    async def run(self) -> None:
        """Look at what changes, until cancelled."""
        async with asyncio.TaskGroup() as self._group:
            for watched in self.all:
                self._follow(watched)
            await asyncio.Event().wait()  # a service may have no root, and gets one later

    async def reconfigure(self, config: Config, applied: Callable[[], Awaitable[None]]) -> None:
        """Watch what `config` names from now on, while `run` runs; what both name goes on being watched.

        `applied` returns when everything that was posted has been applied to the state.
        """
        wanted = {root.path: root for root in config.roots}
        for watched in [watched for watched in self.all if watched.root.path not in wanted]:
            running = self._tasks.pop(watched.root.path)
            running.cancel()
            await asyncio.wait([running])
            await watched.forget()
            await applied()  # a build of it that begins just now still needs its files
            self.all.remove(watched)
        known = {watched.root.path: watched for watched in self.all}
        for path, root in wanted.items():
            if path in known:
                await known[path].reconfigure(config, root)
            else:
                self.all.append(added := self._watched(config, root))
                await added.start()
                self._follow(added)

    def _follow(self, watched: WatchedRoot) -> None:
        if self._group is not None:
            self._tasks[watched.root.path] = self._group.create_task(watched.run())

    async def close(self) -> None:
        for watched in self.all:
            await watched.close()

    def look_soon(self) -> None:
        """Look at everything soon."""
        for watched in self.all:
            watched.changed(None)

    async def look(self, id_: str | None = None) -> None:
        """Look at the files of one environment now, or at everything."""
        for watched in list(self.all):  # a reload may come in between
            if id_ is None:
                await watched.look(None)
            elif await watched.look_at(id_):
                return
