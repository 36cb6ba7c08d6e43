"""What the service writes into its index, also on a bad day of the disk."""

import asyncio
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from values import sighting

from envkiln.cache.index import Index
from envkiln.daemon.events import Looked, Now
from envkiln.daemon.records import Records
from envkiln.daemon.state import State
from envkiln.daemon.step import step


class FullDisk(Index):
    """An index on a disk that is full until told otherwise."""

    full = True

    def store_roots(self, roots: Mapping[str, str]) -> None:
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")
        super().store_roots(roots)


def looked(*ids: str) -> State:
    state, _ = step(State(), Looked(tuple(sighting(id_) for id_ in ids)), Now(1.0, 1.0))
    return state


def test_views_digests_builds_and_snapshots_are_written_together(tmp_path: Path) -> None:
    index = Index(tmp_path)

    async def main() -> None:
        records = Records(index, {"envs": "/home/ada/envs"})
        records.note(looked("a", "b"))
        records.note_digest("base:1", "sha256:1", 5.0)
        records.note_build("a", {"started": 1.0, "ending": "built"})
        records.note_snapshot("/home/ada/envs", lambda: b"{}")
        await records.flush()

    asyncio.run(main())
    assert set(index.views()) == {"a", "b"}
    assert index.roots() == {"envs": "/home/ada/envs"}
    assert index.digests() == {"base:1": ("sha256:1", 5.0)}
    assert index.builds("a") == [{"started": 1.0, "ending": "built"}]
    assert index.snapshot("/home/ada/envs") == b"{}"


def test_a_full_disk_is_said_and_nothing_noted_is_lost(tmp_path: Path) -> None:
    index = FullDisk(tmp_path)

    async def main() -> None:
        records = Records(index, {})
        records.note(looked("a"))
        records.note_digest("base:1", "sha256:1", 5.0)
        await records.flush()
        assert "disk is full" in str(records.problem)
        index.full = False
        await records.flush()
        assert records.problem is None

    asyncio.run(main())
    assert set(index.views()) == {"a"}
    assert set(index.digests()) == {"base:1"}


def test_who_stops_in_the_middle_of_a_write_finishes_it(tmp_path: Path) -> None:
    index = Index(tmp_path)
    ids = [f"e{number}" for number in range(600)]

    async def main() -> None:
        records = Records(index, {})
        records.note(looked(*ids))
        running = asyncio.create_task(records.run())
        while not index.views():  # noqa: ASYNC110 -- it is filled by another thread
            await asyncio.sleep(0)
        running.cancel()
        await records.flush()

    asyncio.run(main())
    assert sorted(index.views()) == sorted(ids)


def test_what_was_written_before_the_disk_was_full_is_not_written_twice(tmp_path: Path) -> None:
    index = FullDisk(tmp_path)

    async def main() -> None:
        records = Records(index, {})
        index.full = False
        await records.flush()
        index.full = True
        records.note_build("a", {"started": 1.0})
        records.note_document("counts", lambda: index.store_roots({}))
        await records.flush()
        assert records.problem is not None
        index.full = False
        await records.flush()

    asyncio.run(main())
    assert index.builds("a") == [{"started": 1.0}]


def test_an_environment_that_is_gone_leaves_the_index(tmp_path: Path) -> None:
    index = Index(tmp_path)

    async def main() -> None:
        records = Records(index, {})
        state = looked("a")
        records.note(state)
        await records.flush()
        state, _ = step(state, Looked((), frozenset({"a"})), Now(2.0, 2.0))
        records.note(state)
        await records.flush()

    asyncio.run(main())
    assert index.views() == {}
