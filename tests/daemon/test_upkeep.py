"""What a clean-up takes away in the state directory."""

import os
import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from envkiln.cache.index import Index
from envkiln.daemon.logs import LogFiles
from envkiln.daemon.upkeep import (
    REMEMBERED_S,
    LogFile,
    StillThere,
    logs_to_go,
    tidy_crash_reports,
    tidy_index,
    tidy_logs,
)

NOW = 1_800_000_000.0
HOUR = 3600.0
DAY = 24 * HOUR


def log(number: int, *, hours: float, size: int = 10) -> LogFile:
    return LogFile(Path(f"{number:03}.log"), size, NOW - hours * HOUR)


def going(*logs: LogFile, keep_s: float = 90 * DAY, budget: int = 1000) -> list[str]:
    return [it.path.name for it in logs_to_go(logs, keep_s=keep_s, budget=budget, now=NOW)]


def test_old_logs_go() -> None:
    assert going(log(1, hours=25), log(2, hours=23), keep_s=DAY) == ["001.log"]


def test_above_the_budget_the_oldest_logs_go() -> None:
    assert going(*(log(number, hours=10 - number) for number in range(5)), budget=25) == [
        "000.log",
        "001.log",
        "002.log",
    ]


def test_a_log_that_may_still_be_written_stays() -> None:
    assert going(log(1, hours=0.5), log(2, hours=-3), keep_s=0, budget=0) == []


@given(
    st.lists(st.builds(log, st.integers(0, 99), hours=st.integers(-2, 99), size=st.integers(0, 50)), unique=True),
    st.integers(0, 90),
    st.integers(0, 200),
)
def test_whatever_logs_there_are(logs: list[LogFile], hours: int, budget: int) -> None:
    gone = logs_to_go(logs, keep_s=hours * HOUR, budget=budget, now=NOW)
    left = [it for it in logs if it not in gone]
    assert all(NOW - it.written >= HOUR for it in gone)
    old_enough = [it for it in left if NOW - it.written >= HOUR]
    assert all(NOW - it.written <= hours * HOUR for it in old_enough)
    assert sum(it.size for it in left) <= budget or not old_enough


def test_logs_go_with_their_directory(tmp_path: Path) -> None:
    logs = LogFiles(tmp_path)
    old, new = (logs.new(f"azureml/azureml_{number:032x}", 100.0) for number in (1, 2))
    for path in (old, new):
        path.write_bytes(b"x" * 7)
    os.utime(old, (100.0, 100.0))
    assert tidy_logs(logs, keep_s=DAY, budget=1000) == (1, 7)
    assert not old.parent.exists()
    assert new.exists()


def test_old_crash_reports_go(tmp_path: Path) -> None:
    old, new = tmp_path / "crash-1.txt", tmp_path / "crash-2.txt"
    for report in (old, new):
        report.write_text("")
    os.utime(old, (100.0, 100.0))
    tidy_crash_reports(tmp_path, keep_s=DAY)
    assert list(tmp_path.iterdir()) == [new]
    tidy_crash_reports(tmp_path / "absent", keep_s=DAY)


def test_the_index_forgets_what_is_gone_and_old(tmp_path: Path) -> None:
    index = Index(tmp_path)
    old = time.time() - REMEMBERED_S - DAY
    now = time.time()
    view = {"state": "ready", "aliases": ["gone:latest", "nowhere:latest"]}
    index.store_views({"here": view, "gone": view}, (), now)
    for id_, started in (("here", old), ("gone", old), ("went", now)):
        index.add_build(id_, {"started": started})
    for name, at in (("there", old), ("old", old), ("young", now)):
        index.record_use(name, at, "here")
    for alias in ("kept:latest", "lost:latest"):
        index.record_alias(alias, old)
    for root in ("/here", "/gone"):
        index.store_snapshot(root, b"{}")
    index.record_digest("old", "sha256:1", old)
    index.record_digest("young", "sha256:2", now)

    tags = frozenset({"kept:latest", "gone:latest"})
    tidy_index(index, StillThere(frozenset({"here"}), frozenset({"there"}), tags, frozenset({"/here"})))
    assert set(index.views()) == {"here"}
    assert set(index.all_builds()) == {"here", "went"}
    assert set(index.uses()) == {"there", "young"}
    assert index.aliases() == tags, "the tags of an environment that went are still ours"
    assert index.snapshot("/here") == b"{}"
    assert index.snapshot("/gone") is None
    assert set(index.digests()) == {"young"}
    index.close()


def test_a_use_is_the_latest_of_all_and_has_all_environments(tmp_path: Path) -> None:
    index = Index(tmp_path)
    index.record_use("image", 20.0, "a")
    index.record_use("image", 10.0, "b")
    index.record_use("image", 15.0, None)
    assert index.uses() == {"image": (20.0, ("a", "b"))}
    index.close()
