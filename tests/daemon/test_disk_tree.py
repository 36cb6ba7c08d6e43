import hashlib
import os
import socket
import threading
import time
from pathlib import Path

import msgspec
import pytest

from envkiln.cache.source import EntryKind
from envkiln.cache.yaml_text import MAX_BYTES
from envkiln.daemon.disk_tree import DigestCache, DiskTree, Fingerprint, fingerprint

OLD = 1_600_000_000_123_456_789


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a/env.yml").write_text("name: x\n")
    (tmp_path / "secret").write_text("outside")
    return root


@pytest.fixture
def tree(root: Path) -> DiskTree:
    return DiskTree(root, DigestCache())


def test_reads_and_digests(tree: DiskTree) -> None:
    assert tree.read("a/env.yml") == b"name: x\n"
    assert tree.digest("a/env.yml") == hashlib.sha256(b"name: x\n").hexdigest()


def test_missing_and_directory(tree: DiskTree) -> None:
    with pytest.raises(FileNotFoundError):
        tree.read("a/nothing.yml")
    assert tree.seen == {"a/nothing.yml": None}
    with pytest.raises(IsADirectoryError):
        tree.read("a")
    with pytest.raises(NotADirectoryError):
        tree.entries("a/env.yml")
    with pytest.raises(FileNotFoundError):
        tree.read("a\0b")


def test_special_files_are_never_opened(tree: DiskTree, root: Path) -> None:
    os.mkfifo(root / "fifo.yml")
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(root)
        listener.bind("socket.yml")
    (root / "null.yml").symlink_to("/dev/null")
    for name in ("fifo.yml", "socket.yml", "null.yml"):
        with pytest.raises(PermissionError):
            tree.read(name)
    assert [entry.kind for entry in tree.entries("")] == [
        EntryKind.DIRECTORY,
        EntryKind.SPECIAL,
        EntryKind.SYMLINK,
        EntryKind.SPECIAL,
    ]


def test_a_file_that_becomes_a_fifo_between_the_questions_does_not_block(tree: DiskTree, root: Path) -> None:
    os.mkfifo(root / "fifo")
    asked = os.lstat(root / "a/env.yml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "lstat", lambda _: asked)
        with pytest.raises(PermissionError):
            tree.read("fifo")


def test_links_are_followed_below_the_root_only(tree: DiskTree, root: Path) -> None:
    (root / "inside.yml").symlink_to("a/env.yml")
    (root / "outside.yml").symlink_to("../secret")
    (root / "way").symlink_to("a")
    (root / "out").symlink_to("..")
    (root / "loop.yml").symlink_to("loop.yml")
    assert tree.read("inside.yml") == tree.read("way/env.yml") == b"name: x\n"
    assert tree.real("way/env.yml") == "a/env.yml"
    for path in ("outside.yml", "out/secret"):
        with pytest.raises(PermissionError, match="out of the watched directory"):
            tree.read(path)
    with pytest.raises(PermissionError):
        tree.entries("out")
    with pytest.raises(OSError, match="itself"):
        tree.read("loop.yml")
    assert next(entry for entry in tree.entries("") if entry.name == "way").target == "a"


def test_entries_are_sorted_and_tell_the_execute_bit(tree: DiskTree, root: Path) -> None:
    (root / "a/run.sh").write_text("")
    (root / "a/run.sh").chmod(0o755)
    assert [(entry.name, entry.executable) for entry in tree.entries("a")] == [("env.yml", False), ("run.sh", True)]


def test_names_that_are_not_utf8(tree: DiskTree, root: Path) -> None:
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.yml")).write_text("x")
    assert tree.entries("")[1].name == "\udcff.yml"
    assert tree.read("\udcff.yml") == b"x"


def test_no_more_is_read_than_says_too_large(tree: DiskTree, root: Path) -> None:
    (root / "big").write_bytes(b"x" * (MAX_BYTES + 5))
    assert len(tree.read("big")) == MAX_BYTES + 1


def test_a_fingerprint_survives_json(root: Path) -> None:
    key = fingerprint(root / "a/env.yml")
    assert key is not None
    assert msgspec.json.decode(msgspec.json.encode(key), type=Fingerprint) == key
    assert fingerprint(root / "nothing") is None


def test_a_fingerprint_is_trusted_once_its_times_are_past() -> None:
    key = Fingerprint(1, 2, 3, OLD, OLD)
    assert key.as_of(OLD + 99_000_000) != key
    assert key.as_of(OLD + 101_000_000) == key
    assert key.as_of(OLD - 3_000_000_000) == key  # a clock that was wrong makes no new stamps
    whole = Fingerprint(1, 2, 3, 5_000_000_000, 5_000_000_000)
    assert not whole.as_of(6_500_000_000).trusted
    assert whole.as_of(7_500_000_000).trusted


def test_only_a_settled_file_is_remembered(tree: DiskTree, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.digest("a/env.yml")
    fresh = tree.seen["a/env.yml"]
    assert fresh is not None
    assert not fresh.trusted
    later = time.time_ns() + 10_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: later)
    first = tree.digest("a/env.yml")
    assert tree.seen["a/env.yml"] == fingerprint(root / "a/env.yml")
    monkeypatch.setattr(hashlib, "sha256", None)  # must not be asked again
    assert tree.digest("a/env.yml") == first


def test_a_file_that_changes_while_it_is_read_is_read_again(
    tree: DiskTree, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_read = os.read
    turns = iter(["name: half\n", "name: whole\n"])

    def read(descriptor: int, size: int) -> bytes:
        data = real_read(descriptor, size)
        for text in turns:
            (root / "a/env.yml").write_text(text)
            break
        return data

    monkeypatch.setattr(os, "read", read)
    assert tree.read("a/env.yml") == b"name: whole\n"


def test_a_file_that_is_written_without_a_pause_is_not_trusted(tree: DiskTree, root: Path) -> None:
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            (root / "a/env.yml").write_text("x" * 10)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        tree.read("a/env.yml")
    finally:
        done.set()
        writer.join()
    key = tree.seen["a/env.yml"]
    assert key is not None
    assert not key.trusted


def test_the_cache_of_digests_is_bounded() -> None:
    cache = DigestCache(limit=4)
    for number in range(10):
        cache.put(Fingerprint(0, number, 0, 0, 0), str(number))
    assert cache.get(Fingerprint(0, 9, 0, 0, 0)) == "9"
    assert sum(cache.get(Fingerprint(0, number, 0, 0, 0)) is not None for number in range(10)) <= 4
