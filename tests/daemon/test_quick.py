"""The quick answer is the whole command line's answer, or none."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from fake_service import FakeService

from envkiln.daemon import quick
from envkiln.daemon.messages import API_VERSION
from envkiln.daemon.quick import quick_answer
from envkiln.daemon.version import API

Run = Callable[..., tuple[int, str, str]]

ANSWERED = [
    ("status",),
    ("status", "--plain"),
    ("status", "--state", "ready", "--state=failed"),
    ("status", "--format", "{mark} {name} {state} {build}"),
    ("status", "--state", "queued", "--format={name}"),
]


@pytest.mark.parametrize("words", ANSWERED, ids=" ".join)
def test_what_is_answered_is_what_the_whole_command_line_says(
    run: Run, fake: FakeService, words: tuple[str, ...]
) -> None:
    fake.on_loop(lambda: fake.all.pop("speech"))  # how long its build has run changes while we look
    answer = quick_answer(words, os.environ)
    code, out, err = run(*words)
    assert (code, out, err) == (0, answer, "")
    assert out


def test_a_build_that_runs_is_told_as_the_whole_command_line_tells_it(run: Run, fake: FakeService) -> None:
    answer = quick_answer(["status"], os.environ)
    assert answer is not None
    assert any("speech" in line and "step 3 of 5, solve" in line for line in answer.splitlines())
    assert len(answer.splitlines()) == len(run("status")[1].splitlines())
    assert fake.asked == []


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("images",),
        ("status", "training"),
        ("status", "--json"),
        ("status", "--watch"),
        ("status", "--state"),
        ("status", "--state", "well"),
        ("status", "--format", "{nothing}"),
        ("status", "--help"),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("run", "fake")
def test_everything_else_is_left_to_the_whole_command_line(words: tuple[str, ...]) -> None:
    assert quick_answer(words, os.environ) is None


@pytest.mark.usefixtures("run")
def test_a_service_that_is_not_well_is_left_to_the_whole_command_line(
    fake: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert quick_answer(["status"], os.environ)
    monkeypatch.setattr(quick, "VERSION", "0.0.0")
    assert quick_answer(["status"], os.environ) is None
    monkeypatch.undo()
    fake.disconnect_engine()
    assert quick_answer(["status"], os.environ) is None


@pytest.mark.usefixtures("run")
def test_without_a_service_or_in_an_unusual_place_it_is_left_to_the_whole_command_line() -> None:
    assert quick_answer(["status"], os.environ) is None
    assert quick_answer(["status"], {"XDG_RUNTIME_DIR": "run"}) is None
    assert quick_answer(["status"], {"XDG_RUNTIME_DIR": "/" + "r" * 200}) is None
    assert quick_answer(["status"], {"XDG_RUNTIME_DIR": "/run", "ENVKILN_STATE_DIR": "state"}) is None


def test_a_list_in_pages_is_left_to_the_whole_command_line(
    run: Run, fake: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick, "_PAGE", 2)
    assert quick_answer(["status"], os.environ) is None
    assert len(run("status")[1].splitlines()) == len(fake.all) + 1


def test_the_handshake_is_of_one_number() -> None:
    assert API == API_VERSION


@pytest.mark.usefixtures("run", "fake")
def test_the_process_imports_neither_a_command_line_nor_an_http_client() -> None:
    code = (
        "import sys; from envkiln.daemon.entry import main; sys.argv[1:] = ['status']; main();"
        "print(sorted({'click', 'http.client', 'dataclasses', 'asyncio'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "3 ready" in done.stdout
    assert done.stderr == "[]\n"
