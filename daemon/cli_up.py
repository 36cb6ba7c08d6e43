"""`up`: the service in the foreground, with a live view on a terminal and plain lines elsewhere."""

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from envkiln.daemon.cli_options import configuration, setting_options
from envkiln.daemon.errors import ExitCode
from envkiln.daemon.narrate import Level, Line
from envkiln.daemon.terminal import redraws

if TYPE_CHECKING:
    from envkiln.daemon.live import LiveView

_MARKS = {Level.INFO: " ", Level.GOOD: "+", Level.WARNING: "!", Level.ERROR: "x"}


@click.command()
@click.argument("roots", nargs=-1, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--plain", is_flag=True, help="Log lines also on a terminal, instead of the live view.")
@setting_options()
def up(roots: tuple[Path, ...], plain: bool, **flags: Any) -> int:
    """Watch the directories ROOTS and keep the images of their environments built.

    Every setting of `envkiln config` is also a flag, such as --base-image or --concurrent-builds.

    Example: envkiln up envs/
    """
    config, paths = configuration(roots, flags)
    from envkiln.daemon.service import Service

    async def main() -> None:
        view: LiveView | None = None
        if redraws(sys.stdout, plain=plain):
            from envkiln.daemon import live

            view = live.LiveView()
        service = Service(config, paths, view.say if view else print_lines)
        _stop_on_signals(service.stop)

        def ready(running: Service) -> None:
            watched = ", ".join(str(root.path) for root in config.roots)
            running.say([Line(f"watching {watched}"), Line(f"answering on {paths.socket}")])
            if view is not None:
                view.start(lambda: running.state)

        try:
            await service.run(ready)
        finally:
            if view is not None:
                view.stop()

    asyncio.run(main())
    return ExitCode.DONE


def print_lines(lines: list[Line]) -> None:
    """Print lines as a log: time, mark, environment, text."""
    for line in lines:
        clock = time.strftime("%H:%M:%S")
        subject = f"{line.subject}: " if line.subject else ""
        click.echo(f"{clock} {_MARKS[line.level]} {subject}{line.text}")
    sys.stdout.flush()


def _stop_on_signals(stop: Callable[[], None]) -> None:
    """The first SIGINT or SIGTERM asks to stop, the second one ends the process at once."""
    loop = asyncio.get_running_loop()

    def ask() -> None:
        stop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask)
