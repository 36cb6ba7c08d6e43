import ctypes
import errno
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from watchdog.observers import inotify_c

from envkiln.daemon.inotify import LoudObserver
from envkiln.daemon.mounts import needs_polling
from envkiln.daemon.watcher import Polling, Watcher

# Only an upper bound for slow machines: every wait ends when what it waits for is there.
DEADLINE_S = 60.0


class Reports:
    """What a watcher reported, and waiting for it."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self.everything = 0
        self._changed = threading.Condition()

    def __call__(self, paths: frozenset[str] | None) -> None:
        with self._changed:
            if paths is None:
                self.everything += 1
            else:
                self.paths |= paths
            self._changed.notify_all()

    def wait(self, condition: Callable[["Reports"], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self), DEADLINE_S), (sorted(self.paths), self.everything)

    def wait_for(self, *paths: str) -> None:
        self.wait(lambda it: it.paths.issuperset(paths))


Start = Callable[..., Watcher]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a/env.yml").write_text("name: x\n")
    return root


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def start(root: Path, reports: Reports) -> Iterator[Start]:
    started: list[Watcher] = []

    def begin(polling: Polling = "never", place: Path = root) -> Watcher:
        watcher = Watcher(place, reports, polling=polling, poll_interval_s=0.02)
        watcher.start()
        started.append(watcher)
        return watcher

    yield begin
    for watcher in started:
        watcher.stop()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.005)


@pytest.fixture(params=["never", "always"])
def watcher(request: pytest.FixtureRequest, start: Start) -> Watcher:
    watcher = start(request.param)
    assert watcher.problem is None
    assert watcher.mode == {"never": "inotify", "always": "polling"}[request.param]
    return watcher


@pytest.mark.usefixtures("watcher")
class TestBothModes:
    def test_truncate_and_write(self, root: Path, reports: Reports) -> None:
        (root / "a/env.yml").write_text("name: longer\n")
        reports.wait_for("a/env.yml")

    def test_save_by_rename(self, root: Path, reports: Reports) -> None:
        (root / "a/.env.yml.tmp").write_text("name: y\n")
        (root / "a/.env.yml.tmp").rename(root / "a/env.yml")
        reports.wait_for("a/env.yml")

    def test_save_with_a_backup(self, root: Path, reports: Reports) -> None:
        (root / "a/env.yml").rename(root / "a/env.yml~")
        (root / "a/env.yml").write_text("name: y\n")
        reports.wait_for("a/env.yml", "a/env.yml~")

    def test_deletion(self, root: Path, reports: Reports) -> None:
        (root / "a/env.yml").unlink()
        reports.wait_for("a/env.yml")

    def test_both_ends_of_a_moved_directory(self, root: Path, reports: Reports) -> None:
        (root / "a").rename(root / "b")
        reports.wait_for("a", "b")
        (root / "b/env.yml").write_text("name: after the move\n")
        reports.wait_for("b/env.yml")

    def test_the_execute_bit(self, root: Path, reports: Reports) -> None:
        (root / "a/env.yml").chmod(0o755)
        reports.wait_for("a/env.yml")

    def test_a_new_tree_is_reported_from_its_top(self, root: Path, reports: Reports) -> None:
        (root / "new/deep/deeper").mkdir(parents=True)
        (root / "new/deep/deeper/env.yml").write_text("name: z\n")
        reports.wait_for("new")

    def test_nothing_is_heard_of_what_is_never_looked_at(self, root: Path, reports: Reports) -> None:
        for name in (".git", "node_modules"):
            (root / name / "x").mkdir(parents=True)
            (root / name / "x/env.yml").write_text("name: z\n")
        (root / "last").write_text("")
        reports.wait_for("last")
        assert not [path for path in reports.paths if "/" in path]

    def test_names_that_are_not_utf8(self, root: Path, reports: Reports) -> None:
        Path(os.fsdecode(os.fsencode(root) + b"/\xff.yml")).write_text("x")
        reports.wait_for("\udcff.yml")

    def test_a_link_to_a_directory_above_does_not_loop(self, root: Path, reports: Reports) -> None:
        (root / "a/up").symlink_to("..")
        reports.wait_for("a/up")
        (root / "a/env.yml").write_text("name: longer\n")
        reports.wait_for("a/env.yml")
        assert not [path for path in reports.paths if path.startswith("a/up/")]


def test_a_new_subdirectory_is_watched(root: Path, reports: Reports, start: Start) -> None:
    start()
    (root / "new/deep").mkdir(parents=True)
    (root / "new/deep/env.yml").write_text("name: z\n")
    reports.wait_for("new/deep/env.yml")
    reports.paths.clear()
    (root / "new/deep/env.yml").write_text("name: again\n")
    reports.wait_for("new/deep/env.yml")


def test_reading_is_not_reported(root: Path, reports: Reports, start: Start) -> None:
    start()
    (root / "a/env.yml").read_bytes()
    list((root / "a").iterdir())
    (root / "last").write_text("")
    reports.wait_for("last")
    assert reports.paths == {"last"}


def test_a_checkout_of_many_files(root: Path, reports: Reports, start: Start) -> None:
    def git(*words: str) -> None:
        settings = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *settings, *words], cwd=root, check=True, capture_output=True)

    names = [f"d{number % 10}/e{number}.yml" for number in range(300)]
    git("init", "-b", "one")
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("name: one\n")
    git("add", ".")
    git("commit", "-m", "one")
    git("checkout", "-b", "two")
    for name in names:
        (root / name).write_text("name: two, and longer\n")
    git("commit", "-am", "two")
    start()
    git("checkout", "one")
    reports.wait_for(*names)
    assert not [path for path in reports.paths if path.startswith(".git/")]


def test_a_root_that_is_a_link(root: Path, reports: Reports, start: Start, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("root")
    watcher = start(place=tmp_path / "link")
    (root / "a/env.yml").write_text("name: longer\n")
    reports.wait_for("a/env.yml")
    (tmp_path / "other").mkdir()
    (tmp_path / "next").symlink_to("other")
    (tmp_path / "next").rename(tmp_path / "link")
    watcher.check()
    assert reports.everything == 1
    (tmp_path / "other/env.yml").write_text("name: x\n")
    reports.wait_for("env.yml")


def test_a_healthy_watcher_has_nothing_to_check(watcher: Watcher, reports: Reports) -> None:
    watcher.check()
    assert reports.everything == 0


def test_a_root_that_is_deleted_and_created_again(watcher: Watcher, root: Path, reports: Reports) -> None:
    shutil.rmtree(root)
    reports.wait(lambda it: it.everything > 0)
    watcher.check()
    assert watcher.problem is not None
    assert "does not exist" in watcher.problem
    before = reports.everything
    watcher.check()
    assert reports.everything == before
    root.mkdir()
    watcher.check()
    # Through `getattr`: mypy does not know that `check` changes what it has just narrowed.
    assert getattr(watcher, "problem") is None  # noqa: B009
    assert reports.everything == before + 1
    (root / "env.yml").write_text("name: x\n")
    reports.wait_for("env.yml")


def test_a_root_that_is_replaced_at_once(root: Path, reports: Reports, start: Start) -> None:
    watcher = start()
    shutil.rmtree(root)
    root.mkdir()  # often with the same inode number
    reports.wait(lambda it: it.everything > 0)
    watcher.check()
    (root / "env.yml").write_text("name: x\n")
    reports.wait_for("env.yml")


def test_a_root_that_is_not_there_yet(reports: Reports, start: Start, tmp_path: Path) -> None:
    watcher = start(place=tmp_path / "later")
    assert "does not exist" in (watcher.problem or "")
    watcher.check()
    assert reports.everything == 0
    (tmp_path / "later").mkdir()
    watcher.check()
    assert reports.everything == 1
    (tmp_path / "later/env.yml").write_text("name: x\n")
    reports.wait_for("env.yml")


def inotify_of(watcher: Watcher) -> inotify_c.InotifyFD:
    assert isinstance(watcher._observer, LoudObserver)
    return watcher._observer.inotify


def test_a_real_overflow_of_the_kernels_queue(root: Path, reports: Reports, start: Start) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 100_000:
        pytest.skip(f"the queue is too long to fill: {limit}")
    watcher = start()
    (root / "b").write_text("")
    reports.wait_for("b")
    with inotify_of(watcher)._lock:  # the reader waits here
        # More than the queue and the one read that may be under way hold. Two files in turn: the kernel joins equal
        # events that follow one another.
        for _ in range(limit // 2 + 5_000):
            os.utime(root / "b")
            os.utime(root / "a/env.yml")
        (root / "lost").mkdir()
    reports.wait(lambda it: it.everything > 0)
    assert "lost" not in reports.paths
    (root / "lost/env.yml").write_text("name: x\n")  # its watch was set up again
    reports.wait_for("lost/env.yml")
    assert watcher.problem is None


def exhausted_after(count: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the kernel refuse watches after `count` more."""
    left = [count]
    real = inotify_c.inotify_add_watch

    def add(descriptor: int, path: bytes, mask: int) -> int:
        left[0] -= 1
        if left[0] < 0:
            ctypes.set_errno(errno.ENOSPC)
            return -1
        return real(descriptor, path, mask)

    monkeypatch.setattr(inotify_c, "inotify_add_watch", add)
    return left


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_watches_at_the_start(
    count: int, root: Path, reports: Reports, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    exhausted_after(count, monkeypatch)
    watcher = start("auto")
    assert watcher.mode == "polling"
    assert "sysctl fs.inotify.max_user_watches" in (watcher.problem or "")
    (root / "a/env.yml").write_text("name: longer\n")
    reports.wait_for("a/env.yml")
    before = reports.everything
    watcher.check()
    assert reports.everything == before


def test_too_few_watches_later(root: Path, reports: Reports, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = start("auto")
    exhausted_after(0, monkeypatch)
    (root / "new").mkdir()
    reports.wait(lambda it: it.everything > 0)
    assert "sysctl fs.inotify.max_user_watches" in (watcher.problem or "")
    watcher.check()
    assert watcher.mode == "polling"
    (root / "new/env.yml").write_text("name: x\n")
    reports.wait_for("new/env.yml")


def test_too_few_watches_and_no_polling(reports: Reports, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    exhausted_after(1, monkeypatch)
    watcher = start("never")
    assert watcher.mode == "inotify"
    assert "sysctl fs.inotify.max_user_watches" in (watcher.problem or "")
    before = reports.everything
    watcher.check()
    assert reports.everything == before


def test_no_inotify_instance_left(root: Path, reports: Reports, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> int:
        ctypes.set_errno(errno.EMFILE)
        return -1

    monkeypatch.setattr(inotify_c, "inotify_init", none_left)
    watcher = start("auto")
    assert watcher.mode == "polling"
    assert "sysctl fs.inotify.max_user_instances" in (watcher.problem or "")
    (root / "a/env.yml").write_text("name: longer\n")
    reports.wait_for("a/env.yml")


def test_a_reader_that_breaks_is_replaced(
    root: Path, reports: Reports, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = start()
    reader = inotify_of(watcher)

    def broken(**_: object) -> list[object]:
        raise KeyError("a bug of watchdog")

    monkeypatch.setattr(reader, "read_events", broken)
    (root / "one").write_text("")
    (root / "two").write_text("")
    reports.wait(lambda it: it.everything > 0)
    until(lambda: not reader.is_alive())
    watcher.check()
    (root / "three").write_text("")
    reports.wait_for("three")


def test_nothing_is_reported_after_the_end(root: Path, reports: Reports, start: Start) -> None:
    watcher = start()
    watcher.stop()
    threads = threading.active_count()
    (root / "late").write_text("")
    assert reports.paths == set()
    watcher.stop()
    assert threading.active_count() == threads


MOUNTS = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /proc rw - proc proc rw
30 22 0:40 / /mnt/data rw - nfs4 server:/data rw
31 30 0:41 / /mnt/data/local\040disk rw - ext4 /dev/vdb rw
32 22 0:42 / /mnt/c rw - 9p drvfs rw
33 22 0:43 / /home/u/remote rw - fuse.sshfs u@host: rw
34 22 0:44 / /over rw - ext4 /dev/vdc rw
35 22 0:45 / /over rw - cifs //server/share rw
36 22 0:46 / /ntfs rw - fuseblk /dev/sdb1 rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/home/u/envs", None),
        ("/mnt/data", "nfs4"),
        ("/mnt/data/envs/deep", "nfs4"),
        ("/mnt/database", None),
        ("/mnt/data/local disk/envs", None),
        ("/mnt/c/Users", "9p"),
        ("/home/u/remote/envs", "fuse.sshfs"),
        ("/over/envs", "cifs"),
        ("/ntfs", None),
    ],
)
def test_needs_polling(path: str, expected: str | None) -> None:
    assert needs_polling(MOUNTS, Path(path)) == expected


def test_needs_polling_of_the_real_text(tmp_path: Path) -> None:
    assert needs_polling("", tmp_path) is None
    needs_polling(Path("/proc/self/mountinfo").read_text(), tmp_path)
