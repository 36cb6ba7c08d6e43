"""`up`: the service in the foreground, with a live view on a terminal and plain lines elsewhere."""

import asyncio
import faulthandler
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from envkiln.daemon.cli_options import configuration, setting_options
from envkiln.daemon.errors import ExitCode
from envkiln.daemon.narrate import Level, Line
from envkiln.daemon.paths import paths_from
from envkiln.daemon.terminal import redraws

if TYPE_CHECKING:
    from envkiln.daemon.config import Config
    from envkiln.daemon.live import LiveView
    from envkiln.daemon.service import Say, Service

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
    from envkiln.daemon.service import Service
    from envkiln.daemon.systemd import inherited_listener, manager_from

    manager = manager_from(os.environ, os.getpid())

    def load() -> "Config":
        # A manager starts us in a directory that nobody chose: it is no root.
        return configuration(roots, flags, here=manager.address is None)[0]

    if manager.address is not None:
        # A watchdog ends a stuck service with SIGABRT: where it was stuck is then in the journal.
        faulthandler.enable()
    config, paths = load(), paths_from(os.environ)
    listener = inherited_listener(os.environ, os.getpid(), paths.socket)

    async def main() -> None:
        say, view = _voice(plain=plain)
        service = Service(config, paths, say, load=load, manager=manager, listener=listener)
        _obey_signals(service)

        def ready(running: Service) -> None:
            watched = ", ".join(str(root.path) for root in config.roots) or "no directory: set `roots` and reload"
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


def _voice(*, plain: bool) -> "tuple[Say, LiveView | None]":
    """Return what says lines where this process has its output, and the live view if it is one."""
    from envkiln.daemon.journald import JournalLog, is_journal

    if redraws(sys.stdout, plain=plain):
        from envkiln.daemon.live import LiveView

        view = LiveView()
        return view.say, view
    if is_journal(os.environ, sys.stdout.fileno()):
        return JournalLog().say, None
    return print_lines, None


def print_lines(lines: list[Line]) -> None:
    """Print lines as a log: time, mark, environment, text."""
    for line in lines:
        clock = time.strftime("%H:%M:%S")
        subject = f"{line.subject}: " if line.subject else ""
        click.echo(f"{clock} {_MARKS[line.level]} {subject}{line.text}")
    sys.stdout.flush()


def _obey_signals(service: "Service") -> None:
    """The first SIGINT or SIGTERM asks to stop, the second one ends the process at once; SIGHUP asks to reload."""
    loop = asyncio.get_running_loop()
    if sys.stdin is None or not sys.stdin.isatty():  # of a terminal it says that nobody sits there any more
        loop.add_signal_handler(signal.SIGHUP, service.reload)

    def ask() -> None:
        service.stop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask)
