"""What the commands that ask have in common: options, and what is said about a service that is not well."""

from collections.abc import Mapping
from typing import Any

import click

from envkiln.daemon.client import Client
from envkiln.daemon.errors import UnknownEnvironment
from envkiln.daemon.status_lines import troubles
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
    for line in troubles(service):
        click.echo(line, err=True)


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
