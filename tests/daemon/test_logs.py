"""Where build logs lie."""

import stat
from pathlib import Path

import pytest
from values import definition, name_of

from envkiln.daemon.logs import KEPT, LogFiles, build_id

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


def test_a_build_has_an_id_by_which_its_log_is_found(tmp_path: Path) -> None:
    logs = LogFiles(tmp_path)
    path = logs.new(NAME, 1700000000.1239)
    path.write_text("12345")
    assert build_id(NAME, 1700000000.1239) == f"{NAME[-32:]}-20231114T221320.123Z"
    assert logs.of_build(build_id(NAME, 1700000000.1239)) == path
    assert logs.bytes_in_all() == 5


@pytest.mark.parametrize(
    "build", ["", "..", "../../etc/passwd", f"{'a' * 32}-../../x", f"{'a' * 32}/20231114T221320.123Z"]
)
def test_what_is_not_the_id_of_a_build_has_no_log(tmp_path: Path, build: str) -> None:
    assert LogFiles(tmp_path).of_build(build) is None
