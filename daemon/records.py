"""What the service writes into its index: later, together, and never in its own way.

The index is only a cache: a disk that is full or read-only costs nobody a build. What could not be written is kept and
written when the disk takes it again.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from envkiln.cache.index import Index, view_part
from envkiln.daemon.fault_point import reach
from envkiln.daemon.state import State
from envkiln.daemon.views import environment_view

_GATHER_S = 0.5
_RETRY_S = 5.0
_SIGN_OF_LIFE_S = 30.0
"""At least this often the views are marked as current, so that their age is known when nobody can be asked."""


class Records:
    """Collects what is to be written; everything but `flush` returns at once, and runs on the event loop.

    `problem` says why the last write failed, None when it did not.
    """

    def __init__(self, index: Index, roots: Mapping[str, str]) -> None:
        """`roots` are the watched directories by label."""
        self.problem: str | None = None
        self._index = index
        self._dirty: set[str] = set()
        self._state = State()
        self._others: dict[str, Callable[[], None]] = {}
        self._woken = asyncio.Event()
        self._writing = asyncio.Lock()
        self.note_roots(roots)

    def note_roots(self, roots: Mapping[str, str]) -> None:
        self._later("roots", lambda: self._index.store_roots(roots))

    def note(self, state: State) -> None:
        """Note the environments that the last step changed."""
        self._state = state
        if state.changed:
            self._dirty |= state.changed
            self._woken.set()

    def note_digest(self, reference: str, digest: str, asked_at: float) -> None:
        self._later(f"digest:{reference}", lambda: self._index.record_digest(reference, digest, asked_at))

    def note_build(self, id_: str, build: Mapping[str, Any]) -> None:
        self._later(f"build:{id_}:{build['started']}", lambda: self._index.add_build(id_, build))

    def note_alias(self, alias: str, at: float) -> None:
        self._later(f"alias:{alias}", lambda: self._index.record_alias(alias, at))

    def note_use(self, image: str, at: float, environment: str) -> None:
        """Note that the image was used, at wall time `at`, for the environment."""
        self._later(f"use:{image}:{environment}", lambda: self._index.record_use(image, at, environment))

    def note_document(self, name: str, encode: Callable[[], Any]) -> None:
        """Note a value of JSON; `encode` is called in another thread."""
        self._later(f"document:{name}", lambda: self._index.store_document(name, encode()))

    def note_snapshot(self, root: str, encode: Callable[[], bytes]) -> None:
        """Note what is below a root; `encode` is called in another thread."""
        self._later(f"snapshot:{root}", lambda: self._index.store_snapshot(root, encode()))

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_SIGN_OF_LIFE_S):
                    await self._woken.wait()
            await asyncio.sleep(_GATHER_S)
            # Who ends us in the middle of it asks for another flush, which waits for this one.
            await asyncio.shield(asyncio.create_task(self.flush()))
            if self.problem is not None:
                await asyncio.sleep(_RETRY_S)
                self._woken.set()

    async def flush(self) -> None:
        """Write everything that is noted."""
        async with self._writing:
            await self._flush()

    async def _flush(self) -> None:
        self._woken.clear()
        dirty, self._dirty = self._dirty, set()
        others, self._others = self._others, {}
        try:
            await asyncio.to_thread(_write, others)
            await self._write_views(dirty)
        except (OSError, sqlite3.Error) as error:
            self.problem = f"the index cannot be written: {error} (is the disk full or read-only?)"
            self._dirty |= dirty
            self._others = others | self._others
        else:
            self.problem = None

    def _later(self, key: str, write: Callable[[], None]) -> None:
        self._others[key] = write
        self._woken.set()

    async def _write_views(self, dirty: set[str]) -> None:
        """Write the views of `dirty` and take them out of it, in slices: questions are answered between them."""
        parts: dict[int, set[str]] = {}
        for id_ in dirty:
            parts.setdefault(view_part(id_), set()).add(id_)
        for part in parts.values() or (set[str](),):  # without any, the time is written
            await asyncio.to_thread(self._write_part, self._state, part)
            dirty -= part
        reach("index-written")

    def _write_part(self, state: State, ids: set[str]) -> None:
        there = ids & state.environments.keys()
        views = {id_: msgspec.to_builtins(environment_view(state, id_)) for id_ in sorted(there)}
        self._index.store_views(views, ids - there, time.time())


def _write(others: dict[str, Callable[[], None]]) -> None:
    """Write what is not a view, and take it out of `others`: what fails is tried again, and nothing written twice."""
    reach("index-write-begun")
    for key in tuple(others):
        others[key]()
        del others[key]
    reach("index-half-written")
