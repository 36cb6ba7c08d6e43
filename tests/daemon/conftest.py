"""The command line, run in this process with directories of its own, and a service that it can ask."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_service import FakeService, serving, unix_listener

from envkiln.daemon.api import make_api
from envkiln.daemon.cli import main
from envkiln.daemon.metrics import Metrics

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs a command; its exit code, output and errors."""
    monkeypatch.setenv("ENVKILN_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def call(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeService]:
    """A service that `run` asks: it answers on the socket, and its logs are where the commands look."""
    fake = FakeService(tmp_path / "state")
    (tmp_path / "run" / "envkiln").mkdir(parents=True)
    with (
        unix_listener(tmp_path / "run" / "envkiln" / "envkiln.sock") as listener,
        serving(fake, make_api(fake, metrics=Metrics()), listener),
    ):
        yield fake


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    """Where the commands look for a service."""
    return tmp_path / "run" / "envkiln" / "envkiln.sock"
