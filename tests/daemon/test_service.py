"""A whole service in this process, without an engine."""

import asyncio
import threading
from pathlib import Path

from in_process import Place

from envkiln.cache.index import Index
from envkiln.daemon.snapshot import snapshot_from_json


def test_a_service_that_stops_at_once_has_written_what_it_saw(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.conda("a")

    async def main() -> None:
        async with place.serving() as served:
            await served.until(lambda: served.view("a"))

    asyncio.run(main())
    index = Index(place.paths.index)
    stored = index.snapshot(str(place.root))
    assert stored is not None
    snapshot = snapshot_from_json(stored)
    assert snapshot is not None
    assert list(snapshot.environments) == ["a"]
    assert list(index.views()) == ["a"]
    index.close()


def test_calls_that_hang_do_not_hold_up_a_look(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.conda("a")
    answered = threading.Event()

    async def main() -> None:
        async with place.serving() as served:
            hanging = [asyncio.create_task(asyncio.to_thread(answered.wait)) for _ in range(30)]
            try:
                place.conda("b")
                await served.until(lambda: served.view("b"))
            finally:
                answered.set()
                await asyncio.gather(*hanging)

    asyncio.run(main())
