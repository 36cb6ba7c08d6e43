"""Completion: what TAB offers, and a real bash that is asked for it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import click
import pytest
from fake_service import FakeService, serving, unix_listener
from shells import PROMPT, Terminal, program, shell_on_terminal
from versions import version, workspace_of

from envkiln.cache.index import Index
from envkiln.daemon.api import make_api
from envkiln.daemon.cli import envkiln
from envkiln.daemon.completion import Line, candidates, known_ids
from envkiln.daemon.metrics import Metrics
from envkiln.daemon.paths import paths_from

IDS = ("pytorch", "py-old", "my env", "team/a:b", "team/a:c", "it's", "café")
BREAKS = " \t\n\"'@><=;|&(:"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The variables of an envkiln of this test only, whose service is down and whose index has `IDS`."""
    variables = {
        "PATH": f"{program(tmp_path / 'bin')}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "ENVKILN_STATE_DIR": str(tmp_path / "state"),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
    }
    index = Index(paths_from(variables).index)
    index.store_views({id_: {"environment": id_, "state": "ready"} for id_ in IDS}, [], time.time())
    index.close()
    return variables


@pytest.fixture
def here(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The same, for this process."""
    for name in ("ENVKILN_STATE_DIR", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, environ[name])
    return environ


def offered(text: str, *, with_help: bool = False) -> list[str]:
    found = candidates(cast("click.Group", envkiln), Line.parse(f"envkiln {text}"), with_help=with_help)
    return [it.text if it.kind == "plain" else f"<{it.kind}>" for it in found]


@pytest.mark.parametrize(
    ("text", "words", "current", "quote", "start"),
    [
        ("envkiln ", (), "", "", 0),
        ("envkiln run py", ("run",), "py", "", 0),
        ("envkiln run 'my env' -", ("run", "my env"), "-", "", 0),
        (r"envkiln run my\ e", ("run",), "my e", "", 0),
        ('envkiln run "my e', ("run",), "my e", '"', 0),
        ("envkiln run team/a:", ("run",), "team/a:", "", 7),
        (r"envkiln run team/a\:b", ("run",), "team/a:b", "", 0),
        ("envkiln run te'am/a:", ("run",), "team/a:", "'", 2),
        ("envkiln up --builder=cl", ("up",), "--builder=cl", "", 10),
        ('envkiln run "" x', ("run", ""), "x", "", 0),
        (r'envkiln run "a\"b\c', ("run",), r'a"b\c', '"', 0),
        ("envkiln run x\\", ("run",), "x", "", 0),
    ],
)
def test_a_line_is_taken_apart_as_bash_does(
    text: str, words: tuple[str, ...], current: str, quote: str, start: int
) -> None:
    assert Line.parse(text, BREAKS) == Line(words, current, quote, start)  # type: ignore[arg-type]


def test_a_candidate_is_quoted_as_the_word_is() -> None:
    candidate = "a b'c\"$d"
    assert Line((), "").for_bash(candidate) == r"a\ b\'c\"\$d"
    assert Line((), "", "'").for_bash(candidate) == r"a b'\''c" + '"$d'
    assert Line((), "", '"').for_bash(candidate) == r"a b'c\"\$d"
    assert Line((), "a b", "", 2).for_bash(candidate) == r"b\'c\"\$d"


def test_commands_are_offered_with_what_they_do() -> None:
    assert offered("sta") == ["status", "stats"]
    found = candidates(cast("click.Group", envkiln), Line.parse("envkiln wai"), with_help=True)
    assert [it.text for it in found] == ["wait"]
    assert found[0].help.startswith("Wait until")


def test_options_are_offered() -> None:
    assert offered("run x --la") == ["--last-good"]


def test_the_words_that_a_setting_can_have_are_offered() -> None:
    assert offered("up --builder ") == ["auto", "classic", "buildx"]
    assert offered("up --builder=b") == ["--builder=buildx"]
    assert offered("build x --build ") == ["true", "false"]
    assert offered("build --platform ") == []


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "command",
    [*("status", "wait", "run", "shell", "image", "logs", "history"), *("cancel", "push", "pause", "resume", "rescan")],
)
def test_every_command_about_an_environment_offers_ids(command: str) -> None:
    assert offered(f"{command} py") == ["py-old", "pytorch"]


@pytest.mark.usefixtures("here")
def test_an_environment_that_was_given_is_not_offered_again() -> None:
    assert offered("wait pytorch py") == ["py-old"]


@pytest.mark.usefixtures("here")
def test_where_no_id_fits_paths_are_completed() -> None:
    assert offered("run ./e") == ["<file>"]
    assert offered("run pytorch -- python tr") == ["<file>"]


def test_a_running_service_is_asked_for_its_ids(here: dict[str, str], tmp_path: Path) -> None:
    fake = FakeService(tmp_path / "fake", more=["star*", "starfish", "two\nlines", "odd\udcff"])
    path = paths_from(here).socket
    path.parent.mkdir(parents=True)
    with unix_listener(path) as listener, serving(fake, make_api(fake, metrics=Metrics()), listener):
        assert known_ids("t") == ["team/nlp", "training"]
        assert known_ids("star") == ["star*", "starfish"]
        assert known_ids("star*") == ["star*"]
        assert known_ids("odd") == ["odd\udcff"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("command", ["show", "archive", "export", "checkout", "versions"])
def test_every_command_about_a_version_offers_names_then_versions(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert offered(f"{command} py") == []
    workspace_of(tmp_path, version("pytorch", 1), version("pytorch", 2), version("web"))
    monkeypatch.setenv("ENVKILN_WORKSPACE", str(tmp_path))
    assert offered(f"{command} py") == ["pytorch"]
    assert offered(f"{command} pytorch:") == ["pytorch:1", "pytorch:2"]


def test_what_cannot_be_asked_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENVKILN_STATE_DIR", "not/absolute")
    assert known_ids("") == []
    monkeypatch.setenv("ENVKILN_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    assert known_ids("") == []
    (tmp_path / "index-v1").mkdir()
    (tmp_path / "index-v1" / "cache.db").write_bytes(b"no database" * 100)
    assert known_ids("") == []
    assert capfd.readouterr() == ("", "")


def test_only_the_command_that_is_completed_is_imported(environ: dict[str, str]) -> None:
    code = (
        "import sys; from envkiln.daemon.cli import main\n"
        "main(['completion', 'bash', '--line', 'envkiln run py'])\n"
        "print(*(name for name in sys.modules if name.startswith('envkiln.daemon.cli_')))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    *found, modules = done.stdout.splitlines()
    assert found == ["plain\tpy-old\t", "plain\tpytorch\t"]
    assert set(modules.split()) <= {f"envkiln.daemon.cli_{name}" for name in ("completion", "run", "shared")}


@pytest.fixture
def bash(environ: dict[str, str], tmp_path: Path) -> Iterator[Terminal]:
    """A bash with the script; `envkiln` only shows its words, in a directory with the file envs/a.yml."""
    (tmp_path / "work" / "envs").mkdir(parents=True)
    (tmp_path / "work" / "envs" / "a.yml").touch()
    setup = (
        "bind 'set bell-style none'; bind 'set enable-bracketed-paste off'; "
        f'eval "$(envkiln completion bash)"; envkiln() {{ printf "<%s>" "$@"; echo; }}; PS1="{PROMPT}"; clear'
    )
    command = ["bash", "--norc", "--noprofile", "-i"]
    with shell_on_terminal(command, environ, tmp_path / "work", setup) as terminal:
        yield terminal


def test_bash_completes_a_command_an_id_and_an_option(bash: Terminal) -> None:
    bash.completes("envkiln hi", "envkiln history ")
    bash.completes("pyt", "envkiln history pytorch ")
    bash.completes("--js", "envkiln history pytorch --json ")
    bash.means("history", "pytorch", "--json")


def test_bash_lists_what_fits(bash: Terminal) -> None:
    bash.completes("envkiln run p", "envkiln run py")
    bash.press("\t\t")
    bash.until_shown("py-old   pytorch")
    assert not [line for line in bash.lines if "rror" in line]


def test_bash_quotes_spaces_and_quotes(bash: Terminal) -> None:
    bash.completes("envkiln run m", r"envkiln run my\ env ")
    bash.means("run", "my env")
    bash.completes('envkiln run "my', 'envkiln run "my env" ')
    bash.means("run", "my env")
    bash.completes("envkiln run it", r"envkiln run it\'s ")
    bash.means("run", "it's")
    bash.completes("envkiln run caf", "envkiln run café ")
    bash.means("run", "café")


def test_bash_completes_around_colons(bash: Terminal) -> None:
    bash.completes("envkiln wait te", "envkiln wait team/a:")
    bash.completes("b", "envkiln wait team/a:b ")
    bash.completes("te", "envkiln wait team/a:b team/a:c ")
    bash.means("wait", "team/a:b", "team/a:c")


def test_bash_completes_the_value_of_an_option(bash: Terminal) -> None:
    bash.completes("envkiln up --builder=cl", "envkiln up --builder=classic ")
    bash.completes("--polling al", "envkiln up --builder=classic --polling always ")


def test_bash_completes_paths_where_no_id_fits(bash: Terminal) -> None:
    bash.completes("envkiln run envs/", "envkiln run envs/a.yml ")
    bash.completes("-- cat en", "envkiln run envs/a.yml -- cat envs/")
