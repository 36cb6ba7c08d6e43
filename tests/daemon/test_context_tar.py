"""The archive is the same bytes for the same content, and holds nothing but what the name was made of."""

import io
import os
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

from envkiln.cache.context import ContextEntry, SetupContent
from envkiln.cache.source import EntryKind, MemoryTree
from envkiln.cache.yaml_text import MAX_BYTES
from envkiln.daemon.builder import BuildFailed
from envkiln.daemon.context_tar import text_of, write_tar
from envkiln.daemon.disk_tree import DigestCache, DiskTree


def _source(path: str, data: bytes, *, executable: bool = False) -> ContextEntry:
    return ContextEntry(path, source=path, content=sha256(data).hexdigest(), executable=executable)


def _packed(content: SetupContent, tree: MemoryTree, **extra: bytes) -> bytes:
    file = io.BytesIO()
    write_tar(content, tree, file, extra)
    return file.getvalue()


def _members(archive: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: member for member in tar.getmembers()}


ENTRIES = (
    ContextEntry("Dockerfile", data=b"FROM scratch\n"),
    ContextEntry("a", EntryKind.DIRECTORY),
    _source("a/run.sh", b"#!/bin/sh\n", executable=True),
    ContextEntry("link", EntryKind.SYMLINK, target="a/run.sh"),
)
TREE = MemoryTree({"a/run.sh": b"#!/bin/sh\n"})


def test_the_archive_does_not_depend_on_the_order_of_entries() -> None:
    forwards = _packed(SetupContent("Dockerfile", ENTRIES), TREE)
    backwards = _packed(SetupContent("Dockerfile", ENTRIES[::-1]), TREE)
    assert forwards == backwards
    assert list(_members(forwards)) == ["Dockerfile", "a", "a/run.sh", "link"]


def test_members_have_normal_modes_no_owner_and_one_time() -> None:
    members = _members(_packed(SetupContent("Dockerfile", ENTRIES), TREE))
    assert {name: oct(member.mode) for name, member in members.items()} == {
        "Dockerfile": "0o644",
        "a": "0o755",
        "a/run.sh": "0o755",
        "link": "0o755",
    }
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members.values()} == {(0, 0, "", "")}
    assert len({member.mtime for member in members.values()}) == 1
    assert members["link"].linkname == "a/run.sh"
    assert members["a"].isdir()


@pytest.mark.parametrize("path", ["n" * 300, "ü" * 90, "d/" * 80 + "file", "not-utf8-\udcff", "a b\n"])
def test_long_and_odd_names_need_no_pax_header(path: str) -> None:
    archive = _packed(SetupContent("Dockerfile", (ContextEntry(path, data=b"x"),)), TREE)
    assert list(_members(archive)) == [path]
    assert b"PaxHeader" not in archive
    assert archive[156:157] != b"x", "BuildKit takes a PAX header for the Dockerfile"


def test_extra_files_join_and_replace() -> None:
    content = SetupContent("Dockerfile", ENTRIES)
    archive = _packed(content, TREE, Dockerfile=b"FROM other\n", zz=b"new")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert [member.name for member in tar.getmembers()] == ["Dockerfile", "a", "a/run.sh", "link", "zz"]
        dockerfile = tar.extractfile("Dockerfile")
        assert dockerfile is not None
        assert dockerfile.read() == b"FROM other\n"


def test_a_file_that_changed_since_it_was_named_stops_the_build() -> None:
    with pytest.raises(BuildFailed, match=r"a/run\.sh changed while it was packed") as raised:
        _packed(SetupContent("Dockerfile", ENTRIES), MemoryTree({"a/run.sh": b"#!/bin/bash\n"}))
    assert raised.value.passing


def test_a_file_that_is_gone_stops_the_build() -> None:
    with pytest.raises(BuildFailed, match=r"a/run\.sh could not be read") as raised:
        _packed(SetupContent("Dockerfile", ENTRIES), MemoryTree({}))
    assert raised.value.passing


def test_a_file_larger_than_any_definition_is_packed_whole(tmp_path: Path) -> None:
    data = os.urandom(3 * MAX_BYTES)
    (tmp_path / "model.bin").write_bytes(data)
    entry = ContextEntry("model.bin", source="model.bin", content=sha256(data).hexdigest())
    with io.BytesIO() as file:
        write_tar(SetupContent("Dockerfile", (entry,)), DiskTree(tmp_path, DigestCache()), file)
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            packed = archive.extractfile("model.bin")
            assert packed is not None
            assert packed.read() == data


def test_the_text_of_a_dockerfile_that_is_a_link_is_that_of_its_file() -> None:
    link = ContextEntry("Dockerfile", EntryKind.SYMLINK, target="docker/Other")
    entries = (link, ContextEntry("docker/Other", data=b"FROM scratch\n"))
    assert text_of(SetupContent("Dockerfile", entries), MemoryTree({})) == b"FROM scratch\n"


@pytest.mark.parametrize("target", ["Dockerfile", "nowhere", "../../outside"])
def test_a_dockerfile_that_is_a_link_to_no_file_has_no_text(target: str) -> None:
    link = ContextEntry("Dockerfile", EntryKind.SYMLINK, target=target)
    assert text_of(SetupContent("Dockerfile", (link,)), MemoryTree({})) is None
