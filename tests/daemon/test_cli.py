"""The command line as a whole: help, mistakes, and answers where nothing was ever run."""

import json
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from envkiln.cache.index import Index
from envkiln.daemon.cli import COMMANDS
from envkiln.daemon.settings import SETTINGS

Run = Callable[..., tuple[int, str, str]]


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"envkiln {version('envkiln')}\n", "")


def test_help_lists_every_command(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    listed = re.findall(r"^  (\w+)  ", out, re.MULTILINE)
    assert set(COMMANDS) <= set(listed)
    assert "envkiln up envs/" in out
    assert run("-h")[1] == out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(run: Run, command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    assert re.search(rf"Example:.*\benvkiln {command}\b", out, re.DOTALL)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("stauts",), "No such command 'stauts'"),
        (("status", "--jsno"), "--jsno"),
        (("up", "--no-such"), "--no-such"),
        (("name",), "Missing argument 'PATH'"),
        (("render", "."), "Missing option '-o'"),
        (("wait", "a", "--timeout", "soon"), "'soon' is not a valid float"),
        (("up", "no/such/directory"), "does not exist"),
    ],
)
def test_a_command_line_that_is_wrong(run: Run, words: tuple[str, ...], message: str) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert message in err


def test_nothing_was_ever_run(run: Run, tmp_path: Path) -> None:
    code, out, err = run("status")
    assert (code, out) == (0, "no environments\n")
    assert "envkiln up" in err
    code, out, err = run("status", "--json")
    assert code == 0
    assert json.loads(out) == {"running": False, "age": None, "service": None, "environments": [], "counts": {}}
    for words in (("status", "a"), ("image", "a"), ("logs", "a")):
        code, out, err = run(*words)
        assert (code, out) == (6, "")
        assert "no environment 'a' is known" in err
    code, _, err = run("wait", "a")
    assert code == 4
    assert "start it with: envkiln up" in err
    assert not (tmp_path / "state").exists(), "a question makes no files"


def test_an_unknown_environment_with_a_suggestion(run: Run, tmp_path: Path) -> None:
    index = Index(tmp_path / "state" / "index-v1")
    index.store_views({"vision/resnet": {"environment": "vision/resnet"}}, (), 0.0)
    index.close()
    code, _, err = run("status", "vision/resnte")
    assert code == 6
    assert "did you mean 'vision/resnet'?" in err


def test_config_prints_every_setting_with_its_source(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVKILN_SETTLE_MS", "70")
    root = tmp_path / "root"
    root.mkdir()
    (root / "envkiln.toml").write_text('build_network = "host"\n[[pattern]]\nmatch = "a/*"\nbuild = false\n')
    code, out, _ = run("config", root, "--concurrent-builds", "3")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"# {root}"
    assert {line.split(" = ")[0] for line in lines[1:]} == {setting.name for setting in SETTINGS}
    rows = {line.split(" = ")[0]: [part.strip() for part in line.split(" = ")[1].split("  # ")] for line in lines[1:]}
    assert rows["concurrent_builds"] == ["3", "flag --concurrent-builds"]
    assert rows["settle_ms"] == ["70", "env ENVKILN_SETTLE_MS"]
    assert rows["build_network"] == ['"host"', f"{root}/envkiln.toml:1"]
    assert rows["build"] == ["true", "default"]

    code, out, _ = run("config", root, "--environment", "a/b", "--json")
    assert code == 0
    assert json.loads(out)[str(root)]["build"] == {"value": False, "source": f"{root}/envkiln.toml:4"}


def test_config_hides_passwords(run: Run, tmp_path: Path) -> None:
    (tmp_path / "envkiln.toml").write_text('http_proxy = "http://me:hush-hush@proxy:3128"\n')
    for words in (("config", tmp_path), ("config", tmp_path, "--json")):
        code, out, err = run(*words)
        assert code == 0
        assert "proxy:3128" in out
        assert "hush-hush" not in out + err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bild = true\n", "did you mean 'build'?"),
        ('settle_ms = "soon"\n', "settle_ms expects"),
        ("build = \n", "envkiln.toml:1"),
    ],
)
def test_a_wrong_configuration_is_an_error_of_every_command(run: Run, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "envkiln.toml").write_text(text)
    (tmp_path / "env.yml").write_text("dependencies: [python]\n")
    for words in (("config", tmp_path), ("up", tmp_path, "--plain"), ("name", tmp_path), ("build", tmp_path)):
        code, out, err = run(*words)
        assert (code, out) == (1, "")
        assert str(tmp_path / "envkiln.toml") in err
        assert message in err


def test_a_bug_leaves_a_report(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of our own")

    monkeypatch.setattr("envkiln.daemon.cli_status.what_is_known", broken)
    code, out, err = run("status")
    assert (code, out) == (3, "")
    assert "internal error" in err
    (report,) = (tmp_path / "state" / "crashes").iterdir()
    assert str(report) in err
    assert "of our own" in report.read_text()
