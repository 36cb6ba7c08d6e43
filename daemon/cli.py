"""The command line: which command is in which module. Modules are imported when their command is called."""

import importlib
import io
import os
import sys
from collections.abc import Sequence

import click

from envkiln.daemon.errors import ExitCode, exit_code_of, guarded, say_error
from envkiln.daemon.paths import SYSTEM, PathsError, paths_from

COMMANDS = {
    "up": "cli_up",
    "build": "cli_build",
    "name": "cli_definitions",
    "render": "cli_definitions",
    "status": "cli_status",
    "wait": "cli_wait",
    "run": "cli_run",
    "shell": "cli_run",
    "image": "cli_queries",
    "logs": "cli_logs",
    "history": "cli_history",
    "images": "cli_history",
    "stats": "cli_history",
    "events": "cli_history",
    "push": "cli_actions",
    "cancel": "cli_actions",
    "pause": "cli_actions",
    "resume": "cli_actions",
    "rescan": "cli_actions",
    "gc": "cli_gc",
    "pin": "cli_gc",
    "unpin": "cli_gc",
    "web": "cli_web",
    "service": "cli_service",
    "doctor": "cli_doctor",
    "register": "cli_register",
    "versions": "cli_versions",
    "show": "cli_versions",
    "archive": "cli_register",
    "export": "cli_export",
    "checkout": "cli_export",
    "completion": "cli_completion",
    "config": "cli_config",
}


class LazyGroup(click.Group):
    """Commands by name, each imported from its module at its first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = getattr(importlib.import_module(f"envkiln.daemon.{module}"), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 -- a table of our own
        return command


def _print_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from envkiln.daemon.version import VERSION

        click.echo(f"envkiln {VERSION}")
        ctx.exit()


def _ask_the_machines(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        os.environ.update(SYSTEM)


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="Print the version."
)
@click.option(
    "--system",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_ask_the_machines,
    help="Ask the machine's service instead of your own.",
)
def envkiln() -> None:
    """Save env.yml; the image is ready, and it has the name Azure ML would give it.

    \b
    envkiln up envs/            watch envs/ and keep its images built
    envkiln status              what is ready
    envkiln name envs/pytorch   both names of an environment, without an engine
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (`errors.ExitCode`)."""

    def work() -> int:
        try:
            result = envkiln.main(args=arguments, prog_name="envkiln", standalone_mode=False)
        except click.exceptions.Exit as ended:
            return ended.exit_code
        except click.Abort:
            return ExitCode.INTERRUPTED
        except click.ClickException as error:
            error.show()
            return error.exit_code
        return int(result or 0)

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a path need not be text in the terminal's encoding
    try:
        crashes = paths_from(os.environ).crashes
    except PathsError as error:
        say_error(error)
        return exit_code_of(error)
    code = guarded(work, crashes)
    sys.stdout.flush()
    return code
