"""`web`: the link to the page that the service shows."""

import os

import click

from envkiln.daemon.cli_shared import json_option
from envkiln.daemon.client import Client
from envkiln.daemon.errors import ExitCode
from envkiln.daemon.paths import paths_from


@click.command()
@click.option("--open", "open_", is_flag=True, help="Open it in a browser, too.")
@json_option
def web(open_: bool, as_json: bool) -> int:
    """Print the link to the service's web page; whoever has the link may use the page.

    Example: envkiln web --open
    """
    url = Client(paths_from(os.environ).socket).web()
    if as_json:
        import json

        click.echo(json.dumps({"url": url}))
    else:
        click.echo(url)
    if open_:
        import webbrowser

        if not webbrowser.open(url):
            click.echo("no browser could be started: open the link yourself", err=True)
            return ExitCode.SURROUNDINGS
    return ExitCode.DONE
