"""What the commands that ask have in common: options, and what is said about a service that is not well."""

import time
from collections.abc import Mapping
from typing import Any

import click

from envkiln.daemon.client import Client
from envkiln.daemon.errors import UnknownEnvironment
from envkiln.daemon.progress_text import progress_text
from envkiln.daemon.text import ago, one_line

View = Mapping[str, Any]

_AT_A_TIME_S = 0.5
"""So often the progress of a build is shown."""
_SETTLED = ("ready", "named", "failed", "invalid")

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object with everything.")
plain_option = click.option("--plain", is_flag=True, help="Only words on lines that stay, also on a terminal.")


def say_down(age: float | None) -> None:
    """Say on standard error that the answer is from the index, and how old it is."""
    was = f", as it was {ago(age)} ago" if age is not None else ""
    click.echo(f"the service is not running{was}; start it with: envkiln up", err=True)


def say_troubles(service: View) -> None:
    """Say on standard error what keeps the service from its work."""
    if service["starting"]:
        click.echo("the service has just started and is looking at its directories", err=True)
    if service["paused"]:
        click.echo("the service is paused: no build starts; go on with: envkiln resume", err=True)
    if not service["engine"]["connected"]:
        engine = service["engine"]
        click.echo(f"the engine does not answer: {engine['problem'] or 'not asked yet'}", err=True)
        if engine["hint"]:
            click.echo(f"  {engine['hint']}", err=True)
    for problem in service["problems"]:
        click.echo(one_line(problem), err=True)
    for root in service["roots"]:
        for problem in root["problems"].values():
            click.echo(one_line(problem), err=True)


def settled(client: Client, id_: str) -> View:
    """Return the view when nothing more will happen by itself; what is waited for is told on standard error."""
    from envkiln.daemon.build_progress import BuildProgress

    wait_s = 0.0
    with BuildProgress(client) as progress:
        while True:
            view = client.wait(id_, wait_s)
            if view is None:
                raise UnknownEnvironment(f"{one_line(id_)} is gone")
            if view["state"] in _SETTLED:
                return view
            progress.show([id_])
            wait_s = _AT_A_TIME_S


def say_hint(view: View) -> None:
    if view["hint"]:
        click.echo(f"  {view['hint']}", err=True)


def why(view: View, build: View | None = None) -> str:
    """Return why an environment is in its state, on one line; of a build that runs, how far it is."""
    text = str(view["reason"])
    if build is not None and build["state"] == "running":
        text = progress_text(build, time.time())
    if view["paused"] and view["state"] == "queued":
        text = f"paused; {text}"
    return one_line(text)
