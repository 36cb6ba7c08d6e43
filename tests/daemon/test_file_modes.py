"""What a service writes is its user's alone, whatever the umask."""

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from in_process import Place

from envkiln.cache.index import Index


@pytest.fixture(params=[0o000, 0o077], ids=["umask 000", "umask 077"], autouse=True)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def _open_to_others(directory: Path) -> list[Path]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return [path for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077]


def test_the_state_directory_and_the_socket(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.conda("a")
    seen: dict[str, int] = {}

    async def main() -> None:
        async with place.serving() as served:
            await served.until(lambda: served.view("a"))
            seen["socket"] = stat.S_IMODE(place.paths.socket.lstat().st_mode)
            seen["its directory"] = stat.S_IMODE(place.paths.socket.parent.lstat().st_mode)

    asyncio.run(main())
    assert seen == {"socket": 0o600, "its directory": 0o700}
    assert stat.S_IMODE(place.paths.state.stat().st_mode) == 0o700
    assert {path.name for path in place.paths.state.rglob("*")} >= {"cache.db", "service.lock"}
    assert _open_to_others(place.paths.state) == []


def test_the_files_of_the_index(tmp_path: Path) -> None:
    index = Index(tmp_path / "index")
    index.store_snapshot("/root", os.urandom(200_000))
    assert list((tmp_path / "index").rglob("*.val")), "a record is large enough for a file of its own"
    assert _open_to_others(tmp_path / "index") == []
    assert stat.S_IMODE((tmp_path / "index").stat().st_mode) == 0o700
    index.close()
