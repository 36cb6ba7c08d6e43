"""Lines as the journal takes them."""

import os
import socket
from pathlib import Path

import pytest

from envkiln.daemon.journald import JournalLog, entry, is_journal
from envkiln.daemon.narrate import Level, Line

LINE = Line("ready: built in 2.0 s", "training", Level.GOOD, "azureml/azureml_0123")


def test_environment_and_image_are_fields() -> None:
    assert entry(LINE).decode().splitlines() == [
        "MESSAGE=training: ready: built in 2.0 s",
        "PRIORITY=5",
        "SYSLOG_IDENTIFIER=envkiln",
        "ENVKILN_ENVIRONMENT=training",
        "ENVKILN_IMAGE=azureml/azureml_0123",
    ]


def test_a_line_about_the_service_has_no_fields_of_an_environment() -> None:
    assert b"ENVKILN" not in entry(Line("watching /srv/envs"))


@pytest.mark.parametrize(
    ("level", "priority"), [(Level.INFO, 6), (Level.GOOD, 5), (Level.WARNING, 4), (Level.ERROR, 3)]
)
def test_levels_are_priorities(level: Level, priority: int) -> None:
    assert f"PRIORITY={priority}\n".encode() in entry(Line("text", level=level))


def test_a_line_break_cannot_add_a_field() -> None:
    text = "a\nPRIORITY=0"
    assert entry(Line(text)).startswith(
        b"MESSAGE\n" + len(text).to_bytes(8, "little") + text.encode() + b"\nPRIORITY=6"
    )


def test_the_journal_gets_one_datagram_for_each_line(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "journal"))
        journal.settimeout(60)
        log = JournalLog(str(tmp_path / "journal"))
        log.say([LINE, LINE])
        assert [journal.recv(65536) for _ in range(2)] == [entry(LINE)] * 2
        log.close()


def test_without_a_journal_the_priority_stands_before_the_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = JournalLog(str(tmp_path / "none"))
    log.say([LINE, Line("two\nlines", level=Level.ERROR)])
    log.close()
    assert capsys.readouterr().out == "<5>training: ready: built in 2.0 s\n<3>two lines\n"


def test_only_the_stream_that_systemd_names_is_the_journal(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("w") as stream:
        status = os.fstat(stream.fileno())
        assert is_journal({"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}, stream.fileno())
        assert not is_journal({"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"}, stream.fileno())
        assert not is_journal({}, stream.fileno())
