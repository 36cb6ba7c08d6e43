"""All watched roots, as one."""

import asyncio
from collections.abc import Callable

from envkiln.cache.index import Index
from envkiln.cache.source import SourceTree
from envkiln.daemon.config import Config
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
        self.all = [
            WatchedRoot(config, root, ids=ids, index=index, records=records, post=post, report=report)
            for root in config.roots
        ]

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
        async with asyncio.TaskGroup() as group:
            for watched in self.all:
                group.create_task(watched.run())

    async def close(self) -> None:
        for watched in self.all:
            await watched.close()

    def look_soon(self) -> None:
        """Look at everything soon."""
        for watched in self.all:
            watched.changed(None)

    async def look(self, id_: str | None = None) -> None:
        """Look at the files of one environment now, or at everything."""
        for watched in self.all:
            if id_ is None:
                await watched.look(None)
            elif await watched.look_at(id_):
                return
