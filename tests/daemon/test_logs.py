"""Where build logs lie."""

import stat
from pathlib import Path

from values import definition, name_of

from envkiln.daemon.logs import KEPT, LogFiles

NAME = name_of(definition())


def test_a_log_is_named_by_its_start_in_utc_below_the_images_hash(tmp_path: Path) -> None:
    path = LogFiles(tmp_path).new(NAME, 1_700_000_000.25)
    assert path == tmp_path / NAME.removeprefix("azureml/azureml_") / "20231114T221320.250Z.log"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_latest_log_is_the_one_that_started_last(tmp_path: Path) -> None:
    logs = LogFiles(tmp_path)
    assert logs.latest(NAME) is None
    for started in (100.0, 200.5, 200.25):
        logs.new(NAME, started).write_text(str(started))
    latest = logs.latest(NAME)
    assert latest is not None
    assert latest.read_text() == "200.5"


def test_the_oldest_logs_go(tmp_path: Path) -> None:
    logs = LogFiles(tmp_path)
    for started in range(KEPT + 5):
        path = logs.new(NAME, float(started))
        path.write_text("")
    kept = sorted(path.parent.iterdir())
    assert len(kept) == KEPT
    assert kept[-1] == path


def test_the_logs_of_another_image_are_left_alone(tmp_path: Path) -> None:
    logs = LogFiles(tmp_path)
    other = logs.new(name_of(definition("other")), 1.0)
    other.write_text("")
    for started in range(2 * KEPT):
        logs.new(NAME, float(started)).write_text("")
    assert other.exists()
