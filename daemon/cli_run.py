"""`run` and `shell`: a container of the right image, which is waited for."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.types import StringParamType

from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.daemon.cli_shared import say_down, say_hint, settled
from envkiln.daemon.client import Client, ServiceDown
from envkiln.daemon.completion import ENVIRONMENT
from envkiln.daemon.containers import RunOptions, docker_run
from envkiln.daemon.errors import UnknownEnvironment
from envkiln.daemon.knowledge import Found, find_environment, note_use
from envkiln.daemon.paths import paths_from
from envkiln.daemon.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.shell_completion import CompletionItem


class NoDocker(EnvkilnError):  # noqa: N818 -- what it is
    """There is no `docker` command to start a container with."""

    turn = Turn.SURROUNDINGS


class NoImage(EnvkilnError):  # noqa: N818 -- what it is
    """An environment has no image that could be run."""


class _Word(StringParamType):
    """A word of a command in the container: paths are as likely as anything, since the directory is mounted."""

    name = "text"

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> "list[CompletionItem[str]]":
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


_OPTIONS = (
    click.option("-v", "--volume", "volumes", multiple=True, metavar="FROM:TO", help="Mount this too."),
    click.option("-e", "--env", "variables", multiple=True, metavar="NAME[=VALUE]", help="Set a variable."),
    click.option("-p", "--publish", "ports", multiple=True, metavar="HERE:THERE", help="Publish a port."),
    click.option("--gpus", metavar="GPUS", help="The GPUs to use, such as `all`."),
    click.option("--network", metavar="NETWORK", help="The container's network, such as `host`."),
    click.option(
        "--user", metavar="UID[:GID]", help='Who to be. Without it the image says, mostly root: see "Files" above.'
    ),
    click.option("--no-mount", is_flag=True, help="Do not mount the current directory."),
    click.option("--last-good", is_flag=True, help="The last image that was ready, at once."),
)


def _container_options(function: "Callable[..., Any]") -> "Callable[..., Any]":
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command()
@click.argument("environment", type=ENVIRONMENT)
@click.argument("command", nargs=-1, type=_Word())
@_container_options
def run(environment: str, command: tuple[str, ...], no_mount: bool, last_good: bool, **options: Any) -> NoReturn:
    """Run COMMAND in a container of ENVIRONMENT's image; without COMMAND, what the image runs by itself.

    Waits while the image is being built. While the service is down, it is the last image that was ready. The exit
    code is that of COMMAND; 125 to 127 are docker's own. Put `--` before COMMAND.

    Files: the current directory is mounted at its own path and is where COMMAND starts. What it writes there belongs
    to root, unless the image says otherwise; with --user "$(id -u):$(id -g)" it belongs to you. That user has no home
    in most images; add -e HOME=/tmp for programs that want one.

    Example: envkiln run pytorch -- python train.py --epochs 3
    """
    _start(environment, command, no_mount=no_mount, last_good=last_good, **options)


@click.command()
@click.argument("environment", type=ENVIRONMENT)
@_container_options
def shell(environment: str, no_mount: bool, last_good: bool, **options: Any) -> NoReturn:
    """Open a shell in a container of ENVIRONMENT's image: bash, or sh where there is none.

    The image's conda environment is active. Waits while the image is being built; the container goes when you leave.

    Files: as with `envkiln run`; what is written below the current directory belongs to root without --user.

    Example: envkiln shell pytorch
    """
    _start(environment, (), no_mount=no_mount, last_good=last_good, into_shell=True, **options)


def _start(environment: str, command: tuple[str, ...], *, no_mount: bool, last_good: bool, **options: Any) -> NoReturn:
    """Become `docker run`."""
    import shutil

    if shutil.which("docker") is None:
        raise NoDocker("there is no `docker` command on PATH", hint="install Docker's command line, then try again")
    environ = _surroundings()
    reference = f"{_image(environment, last_good=last_good)}:latest"
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    words = docker_run(reference, command, RunOptions(_mounted(no_mount), terminal=terminal, **options))
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvpe(words[0], words, environ)  # noqa: S606 -- no shell is what is wanted


def _surroundings() -> dict[str, str]:
    """Return the variables of `docker`: those of here, and the engine of the user's configuration."""
    from envkiln.daemon.config import load_config, read_file

    user_file = paths_from(os.environ).config_file
    config = load_config(
        roots_from_flags=(),
        flags={},
        environ=os.environ,
        user_file=user_file,
        # A root's own file says nothing about the engine, and an error in it is no reason not to run.
        read=lambda path: read_file(path) if path == user_file else None,
        default_root=Path.cwd(),
    )
    found = {"DOCKER_HOST": config.docker_host, "DOCKER_CONFIG": config.docker_config}
    return {**os.environ, **{name: str(value) for name, value in found.items() if value is not None}}


def _mounted(no_mount: bool) -> Path | None:
    here = Path.cwd()
    if no_mount:
        return None
    if here == Path("/"):
        click.echo("/ cannot be mounted; go to a directory whose files are needed", err=True)
        return None
    return here


def _image(environment: str, *, last_good: bool) -> str:
    """Return the name of the image to run, when it is there; raises NoImage."""
    found = _find(environment)
    if last_good or found.client is None:
        here = found.detail["state"] == "ready" and found.detail["image_id"]
        name = found.detail["last_good"] or (found.detail["image"] if here else None)
        if found.client is None:
            say_down(found.age)
        if name is None:
            raise NoImage(f"{one_line(found.id)} has no image yet that was ready", hint="see: envkiln status")
        if found.client is None:
            click.echo(f"this is the last image that was ready: {name}", err=True)
        note_use(found, str(name))
        return str(name)
    view = settled(found.client, found.id)
    if view["state"] == "ready":
        return str(view["image"])
    click.echo(f"{one_line(found.id)}: {view['state']}: {one_line(view['reason'])}", err=True)
    say_hint(view)
    hint = "the last image that was ready runs with --last-good" if view["last_good"] else None
    raise NoImage(f"{one_line(found.id)} has no image", hint=hint)


def _find(environment: str) -> Found:
    """Return what is known of an environment, which may have been made a moment ago."""
    try:
        return find_environment(environment)
    except UnknownEnvironment:
        try:
            Client(paths_from(os.environ).socket).rescan(None)
        except ServiceDown:
            pass
        else:
            return find_environment(environment)
        raise
