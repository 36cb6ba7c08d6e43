"""Registering into a real directory: from many processes, over interruptions, with files of every kind."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from running import until
from versions import version, workspace_of

from envkiln.cache.definition import ImageReference
from envkiln.cache.errors import DefinitionError
from envkiln.cache.registered_version import VersionError
from envkiln.cache.registration import Change, Registration
from envkiln.cache.source import MemoryTree
from envkiln.cache.stored_definition import Naming, read_version
from envkiln.cache.stored_tree import StoredTree
from envkiln.daemon import workspace_files as module
from envkiln.daemon.disk_tree import DigestCache, DiskTree
from envkiln.daemon.workspace import UnknownVersion, Workspace
from envkiln.daemon.workspace_files import WorkspaceError

NAMING = Naming(ImageReference("base", "1", "sha256:" + "1" * 64))
WRITER = """
import sys
from pathlib import Path
from envkiln.cache.definition import ImageReference
from envkiln.cache.source import MemoryTree
from envkiln.cache.stored_definition import Naming
from envkiln.daemon.workspace import Workspace

workspace = Workspace(Path(sys.argv[1]))
for number in range(100000):
    tree = MemoryTree({"env.yml": f"name: a\\ndependencies:\\n- python=3.{number}\\n".encode()})
    workspace.register(tree, "env.yml", Naming(ImageReference("base", "1", "sha256:" + "1" * 64)))
"""


def register(workspace: Workspace, package: str, number: int | None = None, name: str = "a") -> Registration:
    tree = MemoryTree({"env.yml": f"dependencies:\n- python=3.11\n- {package}\n".encode()})
    return workspace.register(tree, "env.yml", NAMING, name=name, number=number)


def test_a_changed_definition_gets_the_next_version_and_an_unchanged_one_keeps_its_own(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    done = [register(workspace, package) for package in ("numpy", "numpy", "scipy", "numpy")]
    assert [it.version.version for it in done] == [1, 1, 2, 3]
    assert done[1].change is Change.UNCHANGED
    assert [it.version for it in workspace.versions()] == [1, 2, 3]


def test_registering_again_changes_no_file(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    register(workspace, "numpy")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    register(workspace, "numpy")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_the_same_content_has_the_same_files_in_two_workspaces(tmp_path: Path) -> None:
    def files(name: str) -> dict[str, bytes]:
        workspace = Workspace.create(tmp_path / name)
        register(workspace, "numpy")
        tree = MemoryTree({"Dockerfile": b"FROM base:1\n", "data": b"\0"})
        workspace.register(tree, "Dockerfile", NAMING, name="c")
        found = (path for path in (tmp_path / name).rglob("*") if path.is_file())
        return {path.relative_to(tmp_path / name).as_posix(): path.read_bytes() for path in found}

    assert files("one") == files("other")


def test_many_writers_at_once_give_every_definition_a_number_of_its_own(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda number: register(workspace, f"numpy={number}"), range(24)))
    assert sorted(it.version.version for it in done) == list(range(1, 25))
    assert len(workspace.versions()) == 24


def test_a_writer_that_is_killed_leaves_whole_versions_and_no_lock(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    writer = subprocess.Popen([sys.executable, "-P", "-c", WRITER, str(tmp_path)])
    fifth = tmp_path / "versions" / "a" / "5.yml"
    until(lambda: fifth.exists() or writer.poll() is not None, "five versions", limit_s=120)
    assert fifth.exists()
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    contents = workspace.read()
    assert not contents.problems
    numbers = [it.version for it in contents.versions]
    assert numbers == list(range(1, len(numbers) + 1))
    assert register(workspace, "numpy").version.version == len(numbers) + 1
    assert not list(tmp_path.rglob(".envkiln-*"))


def test_bytes_that_are_no_text_are_kept_once_beside_the_versions(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub" / "empty").mkdir(parents=True)
    (source / "Dockerfile").write_text("FROM base:1\nCOPY . /app\n")
    (source / "sub" / "model.bin").write_bytes(b"\0\xff" * 40)
    (source / "sub" / "again.bin").write_bytes(b"\0\xff" * 40)
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o755)
    (source / "link").symlink_to("sub/model.bin")
    workspace = Workspace.create(tmp_path / "workspace")
    done = workspace.register(DiskTree(source, DigestCache()), "Dockerfile", NAMING, name="c").version
    assert len(list((tmp_path / "workspace" / "files").iterdir())) == 1
    kinds = {file.path: (file.executable, file.directory, file.target) for file in done.files}
    assert kinds["run.sh"] == (True, False, None)
    assert kinds["sub/empty"] == (False, True, None)
    assert kinds["link"] == (False, False, "sub/model.bin")
    _, identity = read_version(workspace.find("c"), workspace.open_file)
    assert identity.image == done.image


def test_a_damaged_file_is_noticed_when_it_is_used(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    tree = MemoryTree({"Dockerfile": b"FROM base:1\n", "data": b"\0"})
    version = workspace.register(tree, "Dockerfile", NAMING, name="c").version
    (kept,) = (tmp_path / "files").iterdir()
    with workspace.open_file(kept.name) as stream:
        assert stream.read() == b"\0"
    kept.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(WorkspaceError, match="is damaged"):
        StoredTree(version.files, workspace.open_file).read("data")


def test_registering_again_mends_a_damaged_file_and_sweeps_what_a_killed_writer_left(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    files = {"Dockerfile": b"FROM base:1\n", "data": b"\0"}
    workspace.register(MemoryTree(files), "Dockerfile", NAMING, name="c")
    (kept,) = (tmp_path / "files").iterdir()
    kept.write_bytes(b"damaged")
    (tmp_path / "files" / ".envkiln-1-2").write_text("half")
    workspace.register(MemoryTree({**files, "more": b""}), "Dockerfile", NAMING, name="c")
    assert [path.read_bytes() for path in (tmp_path / "files").iterdir()] == [b"\0"]


def test_a_description_with_a_credential_is_refused(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    with pytest.raises(VersionError, match="the description holds the password of a URL") as caught:
        workspace.register(
            MemoryTree({"Dockerfile": b"FROM base:1\n"}),
            "Dockerfile",
            NAMING,
            name="c",
            description="from https://me:hush-hush@example.org",
        )
    assert "hush" not in str(caught.value)


def test_a_file_too_large_for_git_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_FILE", 3)
    workspace = Workspace.create(tmp_path)
    tree = MemoryTree({"Dockerfile": b"FROM base:1\n", "data": b"\0\0\0\0"})
    with pytest.raises(VersionError, match="data has more than 3 bytes"):
        workspace.register(tree, "Dockerfile", NAMING, name="c")
    assert not list((tmp_path / "files").iterdir())
    assert workspace.versions() == ()


def test_a_damaged_version_stops_registering_by_its_name_and_by_no_other(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path, version("a"))
    (tmp_path / "versions" / "a" / "1.yml").write_text("<<<<<<< ours\n")
    with pytest.raises(DefinitionError, match=r"versions/a/1.yml:1:1: the file has a git conflict marker"):
        register(workspace, "numpy")
    assert register(workspace, "numpy", name="b").version.version == 1


def test_an_archived_version_is_there_by_its_number_and_comes_back(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    register(workspace, "numpy")
    register(workspace, "scipy")
    assert workspace.archive("a").version == 2
    assert workspace.find("a").version == 1
    assert workspace.find("a", 2).archived
    assert not workspace.archive("a", 2, archived=False).archived
    assert workspace.find("a").version == 2


def test_what_is_not_registered_is_said_with_what_is(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    with pytest.raises(UnknownVersion, match="no environment 'a' is registered"):
        workspace.find("a")
    register(workspace, "numpy")
    with pytest.raises(UnknownVersion, match="a has no version 7") as caught:
        workspace.find("a", 7)
    assert "1" in str(caught.value.hint)
    workspace.archive("a")
    with pytest.raises(UnknownVersion, match="every version of a is archived"):
        workspace.find("a")


def test_a_workspace_that_is_gone_is_never_made_by_registering(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="there is no workspace"):
        register(Workspace(tmp_path / "absent"), "numpy")
    assert not (tmp_path / "absent").exists()


def git(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    environ = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return subprocess.run(
        ["git", *who, *words], cwd=directory, env=environ, capture_output=True, text=True, check=False
    )


def committed(workspace: Workspace, branch: str, *registered: tuple[str, str]) -> None:
    """Register (name, package) pairs on a branch that starts at the first commit."""
    git(workspace.path, "checkout", "-q", "-b", branch, "start")
    for name, package in registered:
        register(workspace, package, name=name)
    git(workspace.path, "add", "-A")
    git(workspace.path, "commit", "-q", "-m", branch)


@pytest.fixture
def in_git(tmp_path: Path) -> Workspace:
    workspace = Workspace.create(tmp_path)
    register(workspace, "numpy")
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "tag", "start")
    return workspace


def test_branches_that_registered_other_names_or_the_same_content_merge(in_git: Workspace) -> None:
    committed(in_git, "one", ("a", "scipy"), ("b", "numpy"))
    committed(in_git, "two", ("a", "scipy"), ("c", "numpy"))
    assert git(in_git.path, "merge", "-q", "--no-edit", "one").returncode == 0
    contents = in_git.read()
    assert not contents.problems
    assert [it.reference for it in contents.versions] == ["a:1", "a:2", "b:1", "c:1"]


def test_one_number_for_two_definitions_is_a_conflict_that_is_said_with_its_line(in_git: Workspace) -> None:
    committed(in_git, "one", ("a", "scipy"))
    committed(in_git, "two", ("a", "pandas"))
    assert git(in_git.path, "merge", "-q", "--no-edit", "one").returncode != 0
    contents = in_git.read()
    assert [it.reference for it in contents.versions] == ["a:1"]
    assert "versions/a/2.yml:" in str(contents.problems[0])
    assert "git conflict marker" in str(contents.problems[0])
    git(in_git.path, "checkout", "--ours", "versions/a/2.yml")
    assert register(in_git, "scipy").version.version == 3
