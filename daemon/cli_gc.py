"""`gc`, `pin` and `unpin`: take away what nobody needs, and say what stays in any case."""

import json
import os
from typing import TYPE_CHECKING

import click

from envkiln.cache.names import short_name
from envkiln.daemon.cli_shared import json_option
from envkiln.daemon.client import Client, ServiceDown, View
from envkiln.daemon.completion import ENVIRONMENT
from envkiln.daemon.errors import ExitCode
from envkiln.daemon.paths import paths_from
from envkiln.daemon.text import one_line, size

if TYPE_CHECKING:
    from envkiln.daemon.config import Config


@click.command()
@click.option("--dry-run", is_flag=True, help="Remove nothing, say what would go.")
@json_option
def gc(dry_run: bool, as_json: bool) -> int:
    """Remove the images that nobody needs any more, and say what stays and why.

    The service does it; while it is down, this command does, for the directories that it watched. What is kept is
    configured: `keep_last`, `keep_days`, `keep_images`, `disk_budget_gb`. It never removes an image that a file needs,
    that a container uses, that is pinned or registered, that has a tag of yours, or that envkiln did not make.

    Example: envkiln gc --dry-run
    """
    try:
        view = Client(paths_from(os.environ).socket).clean_up(dry_run=dry_run)
    except ServiceDown:
        view = _without_service(dry_run=dry_run)
    if as_json:
        click.echo(json.dumps(view))
    else:
        _say(view)
    return ExitCode.SURROUNDINGS if view["problems"] else ExitCode.DONE


@click.command()
@click.argument("patterns", type=ENVIRONMENT, nargs=-1, metavar="[PATTERN...]")
def pin(patterns: tuple[str, ...]) -> int:
    """Keep the images of each PATTERN whatever happens; without PATTERN, list what is pinned.

    A PATTERN is an environment, a tag or an image name, or a shell pattern for several.

    Example: envkiln pin pytorch 'gpu/*' azureml_8a25c0d18894bb1fb78a0c26a554f370
    """
    return _change(add=patterns)


@click.command()
@click.argument("patterns", type=ENVIRONMENT, nargs=-1, required=True, metavar="PATTERN...")
def unpin(patterns: tuple[str, ...]) -> int:
    """Take back what `envkiln pin` was told, word by word.

    Example: envkiln unpin 'gpu/*'
    """
    return _change(remove=patterns)


def _change(*, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> int:
    from envkiln.daemon.pins import change_pins

    paths = paths_from(os.environ)
    paths.ensure()
    try:
        pinned = change_pins(paths.pins, add=add, remove=remove)
    except ValueError as error:
        raise click.UsageError(f"{error}: a pattern has no blanks") from error
    for pattern in pinned:
        click.echo(one_line(pattern))
    if not pinned:
        click.echo("nothing is pinned", err=True)
    return ExitCode.DONE


def _without_service(*, dry_run: bool) -> View:
    import asyncio

    import msgspec

    from envkiln.daemon.clean_up_once import clean_once

    view = asyncio.run(clean_once(_configuration(), paths_from(os.environ), dry_run=dry_run))
    found: View = msgspec.to_builtins(view)
    return found


def _configuration() -> "Config":
    """Return the configuration with all roots that may need an image: those of now, and those of the last service."""
    from contextlib import closing
    from pathlib import Path

    from envkiln.daemon.cli_options import configuration
    from envkiln.daemon.knowledge import open_index

    config, paths = configuration((), {}, here=False)
    index = open_index(paths)
    if index is None:
        return config
    with closing(index):
        watched = [Path(root) for root in index.roots().values()]
    roots = dict.fromkeys([*(root.path for root in config.roots), *watched])
    return configuration(tuple(roots), {}, here=False)[0]


def _say(view: View) -> None:
    would = "would go" if view["dry_run"] else "removed"
    for mark, verdicts in (("-", view["removed"]), ("+", view["kept"])):
        for verdict in verdicts:
            what = would if mark == "-" else "stays"
            name = f"{short_name(verdict['image'])}  {size(verdict['size']):>7}"
            click.echo(one_line(f"{mark} {name}  {what}: {verdict['reason']}"))
    count = len(view["removed"])
    freed = f"{size(view['freed_bytes'])} {'would be freed' if view['dry_run'] else 'freed'}"
    if view["cache_bytes"]:
        freed += f", and {size(view['cache_bytes'])} of the build cache"
    if view["logs"]:
        freed += f", and {view['logs']} old logs of {size(view['log_bytes'])}"
    click.echo(f"{count} {'image' if count == 1 else 'images'} {would}, {freed}; {size(view['image_bytes'])} stay")
    for problem in view["problems"]:
        click.echo(one_line(problem), err=True)
