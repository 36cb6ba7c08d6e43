"""Completion in a real zsh and a real fish, which are installed where they are missing."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import provide
from shells import PROMPT, Terminal, program, shell_on_terminal

from envkiln.cache.index import Index
from envkiln.daemon.paths import paths_from

IDS = ("pytorch", "py-old", "my env", "team/a:b", "team/a:c")


@pytest.fixture(scope="session")
def _shells() -> None:
    provide("zsh", "fish")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The variables of an envkiln whose service is down and whose index has `IDS`."""
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
    (tmp_path / "work" / "envs").mkdir(parents=True)
    (tmp_path / "work" / "envs" / "a.yml").touch()
    return variables


@pytest.fixture
def zsh(_shells: None, environ: dict[str, str], tmp_path: Path) -> Iterator[Terminal]:
    """A zsh with the script; `envkiln` only shows its words."""
    setup = (
        "unsetopt zle_bracketed_paste; unset zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; "
        f'source <(envkiln completion zsh); envkiln() {{ printf "<%s>" "$@"; echo }}; '
        f'unsetopt prompt_sp; PS1="{PROMPT}"; clear'
    )
    with shell_on_terminal(["zsh", "-f", "-i"], environ, tmp_path / "work", setup) as terminal:
        yield terminal


@pytest.fixture
def fish(_shells: None, environ: dict[str, str], tmp_path: Path) -> Iterator[Terminal]:
    """A fish with the script; `envkiln` only shows its words."""
    setup = (
        "set -g fish_greeting; set -g fish_autosuggestion_enabled 0; envkiln completion fish | source; "
        "function envkiln; printf '<%s>' $argv; echo; end; "
        f"function fish_prompt; printf '{PROMPT}'; end; clear"
    )
    with shell_on_terminal(["fish", "--no-config", "-i"], environ, tmp_path / "work", setup) as terminal:
        yield terminal


def test_zsh_completes_a_command_an_id_and_an_option(zsh: Terminal) -> None:
    zsh.completes("envkiln shel", "envkiln shell ")
    zsh.completes("pyt", "envkiln shell pytorch ")
    zsh.completes("--last", "envkiln shell pytorch --last-good ")
    zsh.means("shell", "pytorch", "--last-good")


def test_zsh_lists_commands_with_what_they_do(zsh: Terminal) -> None:
    zsh.completes("envkiln sta", "envkiln stat")
    zsh.press("\t")
    zsh.until(lambda: any(line.startswith("status  -- Show") for line in zsh.lines))


def test_zsh_quotes_what_it_must(zsh: Terminal) -> None:
    zsh.completes("envkiln run my", r"envkiln run my\ env ")
    zsh.means("run", "my env")
    zsh.completes('envkiln run "my', 'envkiln run "my env" ')
    zsh.means("run", "my env")
    zsh.completes("envkiln run te", "envkiln run team/a:")
    zsh.completes("b", "envkiln run team/a:b ")
    zsh.means("run", "team/a:b")


def test_zsh_completes_values_and_paths(zsh: Terminal) -> None:
    zsh.completes("envkiln up --builder=cl", "envkiln up --builder=classic ")
    zsh.completes("--polling al", "envkiln up --builder=classic --polling always ")
    zsh.means("up", "--builder=classic", "--polling", "always")
    zsh.completes("envkiln run pytorch -- cat envs/", "envkiln run pytorch -- cat envs/a.yml ")


def test_fish_completes_a_command_an_id_and_an_option(fish: Terminal) -> None:
    fish.completes("envkiln she", "envkiln shell ")
    fish.completes("pyt", "envkiln shell pytorch ")
    fish.completes("--last", "envkiln shell pytorch --last-good ")
    fish.means("shell", "pytorch", "--last-good")


def test_fish_lists_commands_with_what_they_do(fish: Terminal) -> None:
    fish.press("envkiln sta\t")
    fish.until(lambda: any("status" in line and "(Show what is ready" in line for line in fish.lines))


def test_fish_quotes_what_it_must(fish: Terminal) -> None:
    fish.completes("envkiln run my", r"envkiln run my\ env ")
    fish.means("run", "my env")
    fish.completes("envkiln run te", "envkiln run team/a:")
    fish.completes("b", "envkiln run team/a:b ")
    fish.means("run", "team/a:b")


def test_fish_completes_values_and_paths(fish: Terminal) -> None:
    fish.completes("envkiln up --builder=cl", "envkiln up --builder=classic ")
    fish.completes("--polling al", "envkiln up --builder=classic --polling always ")
    fish.means("up", "--builder=classic", "--polling", "always")
    fish.completes("envkiln run pytorch -- cat envs/", "envkiln run pytorch -- cat envs/a.yml ")
