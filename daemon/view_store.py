"""Keeps every environment's last view in the index, for queries while the service is down."""

import asyncio
import time
from typing import Any

import msgspec

from envkiln.cache.index import Index
from envkiln.daemon.state import State
from envkiln.daemon.views import environment_view

_GATHER_S = 0.5


class ViewStore:
    """Collects what changed and writes it a little later, in one transaction."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._dirty: set[str] = set()
        self._woken = asyncio.Event()

    def note(self, state: State) -> None:
        if state.changed:
            self._dirty |= state.changed
            self._woken.set()
        self._state = state

    async def run(self) -> None:
        """Write until cancelled; trouble with the disk is left to the next write."""
        while True:
            await self._woken.wait()
            await asyncio.sleep(_GATHER_S)
            await self.flush()

    async def flush(self) -> None:
        self._woken.clear()
        dirty, self._dirty = self._dirty, set()
        if not dirty:
            return
        state = self._state
        await asyncio.to_thread(self._write, state, dirty)

    def _write(self, state: State, dirty: set[str]) -> None:
        there = dirty & state.environments.keys()
        views: dict[str, dict[str, Any]] = {
            id_: msgspec.to_builtins(environment_view(state, id_)) for id_ in sorted(there)
        }
        self._index.store_views(views, dirty - there, time.time())
