"""The index: what is stored is there again, and whatever happens to its files costs time only."""

import random
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from envkiln.cache.index import BUILDS_KEPT, Index

LARGE = bytes(random.Random(1).choices(b"abcdefgh", k=300_000))  # noqa: S311
"""Large enough for a file of its own, compressed."""


@contextmanager
def opened(directory: Path) -> Iterator[Index]:
    index = Index(directory)
    try:
        yield index
    finally:
        index.close()


def fill(directory: Path) -> None:
    with opened(directory) as index:
        index.store_snapshot("/root", LARGE)
        index.record_digest("base:1", "sha256:1", 5.0)
        index.store_views({f"e{i}": {"state": "ready", "n": i} for i in range(50)}, (), 7.0)
        index.add_build("e1", {"ending": "built"})


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("filled") / "index"
    fill(directory)
    return directory


def read(index: Index) -> None:
    index.snapshot("/root")
    index.digests()
    index.views()
    index.view("e1")
    index.views_stored_at()
    index.builds("e1")


def write_and_read_back(index: Index) -> None:
    index.store_views({"new": {"n": 1}}, ("e2",), 8.0)
    index.record_digest("base:2", "sha256:2", 6.0)
    index.store_snapshot("/root", LARGE)
    index.add_build("e1", {"ending": "failed"})
    assert index.view("new") == {"n": 1}
    assert index.digests()["base:2"] == ("sha256:2", 6.0)
    assert index.snapshot("/root") == LARGE
    assert index.builds("e1")[-1] == {"ending": "failed"}


def test_what_was_stored_is_there_after_reopening(tmp_path: Path) -> None:
    fill(tmp_path / "index")
    with opened(tmp_path / "index") as index:
        assert index.snapshot("/root") == LARGE
        assert index.digests() == {"base:1": ("sha256:1", 5.0)}
        assert index.view("e3") == {"state": "ready", "n": 3}
        assert len(index.views()) == 50
        assert index.views_stored_at() == 7.0
        assert index.builds("e1") == [{"ending": "built"}]


def test_what_was_never_stored_is_absent(tmp_path: Path) -> None:
    with opened(tmp_path / "index") as index:
        assert (index.snapshot("/"), index.digests(), index.views(), index.view("e")) == (None, {}, {}, None)
        assert (index.views_stored_at(), index.builds("e")) == (None, [])


def test_views_of_what_is_gone_are_dropped(tmp_path: Path) -> None:
    fill(tmp_path / "index")
    with opened(tmp_path / "index") as index:
        index.store_views({}, ("e1", "never"), 9.0)
        assert index.view("e1") is None
        assert len(index.views()) == 49


def test_the_last_builds_are_remembered(tmp_path: Path) -> None:
    with opened(tmp_path / "index") as index:
        for i in range(BUILDS_KEPT + 3):
            index.add_build("e", {"n": i})
        assert [build["n"] for build in index.builds("e")] == list(range(3, BUILDS_KEPT + 3))
        index.add_build("b/c", {"n": 0})
        assert index.all_builds() == {"e": index.builds("e"), "b/c": [{"n": 0}]}


def test_documents_are_kept_by_name(tmp_path: Path) -> None:
    with opened(tmp_path / "index") as index:
        assert index.document("counts") is None
        index.store_document("counts", {"hits": 1})
        index.store_document("paused", ["a"])
    with opened(tmp_path / "index") as index:
        assert index.document("counts") == {"hits": 1}
        assert index.document("paused") == ["a"]


def test_the_directory_is_private_and_nothing_is_pickled_or_evicted(tmp_path: Path) -> None:
    fill(tmp_path / "index")
    assert stat.S_IMODE((tmp_path / "index").stat().st_mode) == 0o700
    with closing(sqlite3.connect(tmp_path / "index" / "cache.db")) as database:
        settings = dict(database.execute("SELECT key, value FROM Settings"))
        modes = {mode for (mode,) in database.execute("SELECT mode FROM Cache")}
    assert settings["eviction_policy"] == "none"
    assert modes <= {1, 2}, "4 is diskcache's mode for pickles"


def test_a_record_that_envkiln_did_not_write_is_absent(tmp_path: Path) -> None:
    fill(tmp_path / "index")
    with closing(sqlite3.connect(tmp_path / "index" / "cache.db")) as database:
        database.execute("UPDATE Cache SET value = x'80049503', mode = 1")
        database.commit()
    with opened(tmp_path / "index") as index:
        assert (index.snapshot("/root"), index.digests(), index.views(), index.builds("e1")) == (None, {}, {}, [])
        write_and_read_back(index)


def test_a_key_that_envkiln_did_not_write_ends_the_list_of_builds_and_nothing_else(tmp_path: Path) -> None:
    fill(tmp_path / "index")
    with closing(sqlite3.connect(tmp_path / "index" / "cache.db")) as database:
        database.execute("UPDATE Cache SET key = x'00' WHERE rowid = 1")
        database.execute("UPDATE Cache SET key = 7 WHERE rowid = 2")
        database.commit()
    with opened(tmp_path / "index") as index:
        assert index.all_builds() == {}
        assert index.builds("e1") != []
        assert index.view("e3") == {"state": "ready", "n": 3}


@pytest.mark.parametrize("data", [None, b"", b"noise", b"\x78\x9c\x00\xff"], ids=["gone", "empty", "noise", "zlib"])
def test_a_large_record_whose_file_is_damaged_is_absent(tmp_path: Path, data: bytes | None) -> None:
    fill(tmp_path / "index")
    (file,) = (tmp_path / "index").rglob("*.val")
    if data is None:
        file.unlink()
    else:
        file.write_bytes(data)
    with opened(tmp_path / "index") as index:
        assert index.snapshot("/root") is None
        write_and_read_back(index)


@pytest.mark.parametrize("data", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_index_is_moved_aside_and_made_anew(tmp_path: Path, data: bytes) -> None:
    for _ in range(2):
        fill(tmp_path / "index")
        (tmp_path / "index" / "cache.db").write_bytes(data)
        with opened(tmp_path / "index") as index:
            assert index.views() == {}
            write_and_read_back(index)
        assert (tmp_path / "index.damaged" / "cache.db").read_bytes() == data


def test_a_directory_that_cannot_be_made_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Index(tmp_path / "file" / "index")


@pytest.mark.parametrize("seed", range(40))
def test_random_damage_costs_time_only(filled: Path, tmp_path: Path, seed: int) -> None:
    directory = shutil.copytree(filled, tmp_path / "index")
    chance = random.Random(seed)  # noqa: S311
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    file = chance.choice([*files, directory / "cache.db"])
    data = bytearray(file.read_bytes())
    for _ in range(chance.choice([1, 5, 50])):
        if data:
            data[chance.randrange(len(data))] = chance.randrange(256)
    where = chance.randrange(len(data) + 1)
    data[where : where + chance.choice([0, 16, 4096])] = chance.randbytes(chance.choice([0, 16, 4096]))
    file.write_bytes(data)
    with opened(directory) as index:
        read(index)
        write_and_read_back(index)


ADD_BUILDS = """
import sys
from pathlib import Path
from envkiln.cache.index import Index
index = Index(Path(sys.argv[1]))
for i in range(int(sys.argv[2]), int(sys.argv[2]) + 5):
    index.add_build("e", {"n": i})
    index.record_digest(f"base:{i}", "sha256:1", 1.0)
index.close()
"""


def test_two_processes_lose_nothing_of_each_other(tmp_path: Path) -> None:
    directory = tmp_path / "index"
    with opened(directory) as index:
        command = [sys.executable, "-P", "-c", ADD_BUILDS, str(directory)]
        processes = [subprocess.Popen([*command, first]) for first in ("0", "5")]
        assert [process.wait(60) for process in processes] == [0, 0]
        assert sorted(build["n"] for build in index.builds("e")) == list(range(10))
        assert len(index.digests()) == 10
