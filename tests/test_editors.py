"""Holds the recipes of docs/editors.md to what the commands take, and to what the other programs take."""

import json
import re
import shlex
import subprocess
import tomllib
from typing import cast

import click
import pytest
from recipes import fences, tasks

from envkiln.daemon.cli import envkiln
from envkiln.daemon.template import Template

GROUP = cast("click.Group", envkiln)


def parse(words: list[str]) -> None:
    name, *rest = words
    found = GROUP.get_command(click.Context(GROUP), name)
    assert found is not None, name
    found.make_context(name, rest)


def shown() -> list[str]:
    lines = [task["command"] for task in tasks().values()]
    lines += [tomllib.loads(fences("toml")[0])["custom"]["envkiln"]["command"]]
    lines += re.findall(r"#\((.*?)\)'$", fences("tmux")[0], re.MULTILINE)
    for language in ("zsh", "fish"):
        lines += re.findall(r"^    (envkiln .*)$|<\((envkiln .*)\)", "\n".join(fences(language)), re.MULTILINE)
    return [line if isinstance(line, str) else "".join(line) for line in lines]


@pytest.mark.parametrize("line", shown())
def test_every_command_parses_and_every_template_can_be_filled(line: str) -> None:
    words = shlex.split(line.partition("|")[0].replace("2>/dev/null", ""))
    assert words[0] == "envkiln"
    parse(words[1:])
    if "--format" in words:
        Template(words[words.index("--format") + 1])


def test_the_terminal_profile_parses() -> None:
    for profile in json.loads(fences("json")[1])["terminal.integrated.profiles.linux"].values():
        parse(profile["args"])


def test_the_problem_matcher_finds_the_place_of_an_error() -> None:
    pattern = tasks()["wait for training"]["problemMatcher"]["pattern"]
    line = "team/training: invalid: training/env.yml:10:8: could not find expected ':'"
    found = re.match(pattern["regexp"], line)
    assert found is not None
    keys = ("file", "line", "column", "message")
    assert [found[pattern[key]] for key in keys] == ["training/env.yml", "10", "8", "could not find expected ':'"]


@pytest.mark.parametrize("script", fences("sh"))
def test_bash_can_read_it(script: str) -> None:
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
