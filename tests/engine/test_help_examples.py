"""The example in the help of every command is run as it stands there, in one world, in the order of a day."""

import inspect
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from running import PATIENCE_S, World, until

from envkiln.daemon.cli import COMMANDS, envkiln

MakeWorld = Callable[..., World]
LIMIT_S = 4 * PATIENCE_S

FIRST = ("build", "up", "wait", "register", "pin")
LAST = ("archive", "unpin", "cancel", "pause", "resume")
ELSEWHERE = {"service": "systemd", "push": "registry"}
"""Commands that need more than an engine: their examples are run where that is, by tests with this in their name."""
ENDINGS = {"build": {0, 10}}
"""What else a good end is: docs/exit-codes.md."""


def examples() -> dict[str, str]:
    """Return the example of every command, one line each."""
    found = {}
    context = click.Context(envkiln)
    for name in COMMANDS:
        command = envkiln.get_command(context, name)
        assert command is not None
        match = re.search(r"^Example: (.+?)(?:\n\n|\Z)", inspect.cleandoc(command.help or ""), re.DOTALL | re.MULTILINE)
        assert match, name
        found[name] = " ".join(match[1].split())
    return found


def in_order(names: list[str]) -> list[str]:
    middle = sorted(set(names) - {*FIRST, *LAST})
    return [name for name in (*FIRST, *middle, *LAST) if name in names]


@pytest.fixture
def day(make_world: MakeWorld, testbed: Any) -> World:
    """Directories `envs` and `examples` with an environment `pytorch`, a script, and a workspace."""
    world = make_world()
    world.write("pytorch/env.yml", world.conda(testbed.channel, "python"))
    for name in ("envs", "examples"):
        (world.directory / name).symlink_to("root")
    (world.directory / "train.py").write_text("import sys\nprint('trained by', sys.executable)\n")
    programs = world.directory / "bin"
    programs.mkdir()
    docker = shutil.which("docker")
    assert docker is not None
    # The channel of the test bed is on the loopback address; and what is built here is to be found again.
    _program(
        programs / "docker",
        f'[ "$1" = build ] || exec {docker} "$@"\nshift\n'
        f'exec {docker} build --network host -t {world.mark}/rendered "$@"',
    )
    _program(programs / "envkiln", f'exec {sys.executable} -m envkiln.daemon "$@"')
    world.environ |= {
        "PATH": f"{programs}{os.pathsep}{world.environ['PATH']}",
        "BROWSER": "true",
        "ENVKILN_WORKSPACE": str(world.directory / "workspace"),
    }
    return world


def test_the_example_of_every_command_works(day: World) -> None:
    shown = examples()
    missing = [name for name in ELSEWHERE if name in shown and not _tests_named(ELSEWHERE[name])]
    assert missing == []
    for name in in_order([name for name in shown if name not in ELSEWHERE]):
        line = shown[name]
        match name:
            case "up":
                _start_service(day, line)
            case "events":
                _follow(day, line)
            case "register":
                # A third version is what `archive pytorch:3` speaks of.
                assert _bash(day, f"{line} --create").returncode == 0
                for text in ("six=1.16.0", "six=1.17.0"):
                    file = day.root / "pytorch" / "env.yml"
                    before = file.read_text()
                    file.write_text(f"{before}  - {text}\n")
                    assert _bash(day, line).returncode == 0
                    file.write_text(before)
            case _:
                if "azureml_" in line:
                    # The name of an image is that of its author's text.
                    line = re.sub(r"azureml_[0-9a-f]{32}", day.view("pytorch")["image"].partition("/")[2], line)
                done = _bash(day, line)
                assert done.returncode in ENDINGS.get(name, {0}), (line, done)
    assert day.stop() == 0


def _start_service(day: World, line: str) -> None:
    with (day.directory / "output").open("ab") as output:
        day.process = subprocess.Popen(
            ["bash", "-c", f"exec {line}"],
            env=day.environ,
            cwd=day.directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    until(day.service, day.output)
    day.until_state("pytorch", "ready")


def _follow(day: World, line: str) -> None:
    """Run what has no end until it says something, and end it as a person does."""
    process = subprocess.Popen(
        ["bash", "-c", f"exec {line}"], env=day.environ, cwd=day.directory, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith('{"id": ')
    process.send_signal(signal.SIGINT)
    process.stdout.read()
    process.stdout.close()
    assert process.wait(PATIENCE_S) in (0, 130)


def _bash(day: World, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line],
        env=day.environ,
        cwd=day.directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def _program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def _tests_named(word: str) -> list[Path]:
    return list(Path(__file__).parent.glob(f"test_*{word}*.py"))
