"""The recipes of docs/editors.md, used by the programs that they are for."""

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from programs import provide
from recipes import fences, tasks
from running import PATIENCE_S, World
from shells import PROMPT, program, shell_on_terminal


@pytest.fixture
def world(make_world: Callable[..., World], testbed: Any) -> World:
    """A service that watches `envs`, with `training` ready, `broken` invalid; commands find `envkiln`."""
    world = make_world()
    (world.directory / "envs").symlink_to("root")
    world.write("training/env.yml", world.conda(testbed.channel, "python"))
    world.write("broken/env.yml", "dependencies:\n- python\n- : 3\n  x\n")
    world.environ["PATH"] = f"{program(world.directory / 'bin')}{os.pathsep}{world.environ['PATH']}"
    world.environ["HOME"] = str(world.directory)
    world.up()
    world.until_state("training", "ready")
    world.until_state("broken", "invalid")
    return world


def shell(world: World, text: str, *, shell: str = "bash") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [shell, "-c", text],
        env=world.environ,
        cwd=world.directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_direnv_vs_code_tmux_prompts_and_hooks(world: World) -> None:
    provide("direnv", "tmux")
    _direnv(world)
    _vs_code(world)
    _tmux(world)
    (prompt,) = (text for text in fences("sh", below="Prompts") if "envkiln_prompt" in text)
    assert shell(world, f"{prompt}\nenvkiln_prompt").stdout == "xbroken "
    commit, push = fences("sh", below="Git hooks")
    refused = shell(world, commit)
    assert refused.returncode != 0
    assert "broken/env.yml:3:" in refused.stderr
    assert shell(world, push).returncode == 0
    (world.root / "broken" / "env.yml").unlink()
    assert shell(world, commit).returncode == 0


def _direnv(world: World) -> None:
    (recipe,) = fences("sh", below="direnv")
    (world.directory / ".envrc").write_text(recipe)
    done = shell(world, "direnv allow . && direnv exec . sh -c 'echo $TRAINING_IMAGE'")
    assert done.stdout == world.answer("image", "training"), done


def _vs_code(world: World) -> None:
    script = world.directory / "it's here.py"
    script.write_text("import sys\nprint('from', sys.executable)\n")
    # VS Code escapes what it puts into the command of a shell.
    line = tasks()["run in training"]["command"].replace("'${file}'", shlex.quote(str(script)))
    done = shell(world, line)
    assert done.stdout.startswith("from /azureml-envs/"), done
    said = shell(world, tasks()["wait for training"]["command"].replace("training", "broken")).stderr
    pattern = tasks()["wait for training"]["problemMatcher"]["pattern"]
    found = re.search(pattern["regexp"], said, re.MULTILINE)
    assert found is not None, said
    assert (found[pattern["file"]], found[pattern["line"]]) == ("broken/env.yml", "3")
    assert "# ended well" in shell(world, tasks()["log of training"]["command"]).stdout


def _tmux(world: World) -> None:
    (recipe,) = fences("tmux", below="tmux")
    (world.directory / ".tmux.conf").write_text(recipe)
    tmux = f"tmux -S {shlex.quote(str(world.directory / 'tmux'))}"
    with shell_on_terminal(["bash", "--norc"], world.environ, world.directory, f"PS1='{PROMPT}'") as terminal:
        terminal.press(f"{tmux} -f .tmux.conf\r")
        terminal.until(lambda: any("xbroken" in line for line in terminal.lines), "the state in the status line")
        shell(world, f"{tmux} kill-server")
