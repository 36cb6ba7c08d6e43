"""`cancel`, `push`, `pause`, `resume` and `rescan`: what a running service is told to do."""

import json
import os
import time
from collections.abc import Callable

import click

from envkiln.daemon.client import Client, View
from envkiln.daemon.completion import ENVIRONMENT
from envkiln.daemon.errors import ExitCode, UnknownEnvironment
from envkiln.daemon.knowledge import find_running
from envkiln.daemon.marks import totals
from envkiln.daemon.paths import paths_from
from envkiln.daemon.text import one_line

_LOOK_AGAIN_S = 0.2

_json = click.option("--json", "as_json", is_flag=True, help="One JSON object per answer, each on one line.")


@click.command()
@click.argument("environments", type=ENVIRONMENT, nargs=-1, required=True, metavar="ENVIRONMENT...")
@_json
def cancel(environments: tuple[str, ...], as_json: bool) -> int:
    """End the build of each ENVIRONMENT, running or queued; it is built again when it is saved or asked for.

    Example: envkiln cancel pytorch
    """
    client = _client()
    for id_ in _ids(client, environments):
        before = client.environment(id_)
        if before is not None and before["state"] not in ("building", "queued") and not as_json:
            click.echo(f"{one_line(id_)}: nothing to cancel: it is {before['state']}")
            continue
        _say(id_, client.cancel(id_), as_json=as_json)
    return ExitCode.DONE


@click.command()
@click.argument("environments", type=ENVIRONMENT, nargs=-1, required=True, metavar="ENVIRONMENT...")
@_json
def push(environments: tuple[str, ...], as_json: bool) -> int:
    """Push the image of each ENVIRONMENT to the first registry, whatever the setting `push` says.

    Returns when the images stand there. One that is there already stays.

    Example: envkiln push pytorch
    """
    client = _client()
    code = ExitCode.DONE
    for id_ in _ids(client, environments):
        view = client.push(id_)
        while view is not None and view["pushing"]:
            time.sleep(_LOOK_AGAIN_S)
            view = client.environment(id_)
        pushed = view is not None and view["registry"] is not None and view["image_id"] is not None
        if pushed and view is not None and not as_json:
            click.echo(f"{one_line(id_)}: {view['registry']}@{view['digest']}")
            continue
        _say(id_, view, as_json=as_json)
        for warning in () if view is None or as_json else view["warnings"]:
            click.echo(f"  {one_line(warning)}", err=True)
        code = code if pushed else ExitCode.SURROUNDINGS
    return code


@click.command()
@click.argument("environments", type=ENVIRONMENT, nargs=-1, metavar="[ENVIRONMENT...]")
@_json
def pause(environments: tuple[str, ...], as_json: bool) -> int:
    """Start no more builds, of each ENVIRONMENT or of any; what runs goes on.

    Example: envkiln pause
    """
    client = _client()
    return _each(client, client.pause, environments, "paused: no build starts; go on with: envkiln resume", as_json)


@click.command()
@click.argument("environments", type=ENVIRONMENT, nargs=-1, metavar="[ENVIRONMENT...]")
@_json
def resume(environments: tuple[str, ...], as_json: bool) -> int:
    """Start builds again, of each ENVIRONMENT or of all.

    Example: envkiln resume
    """
    client = _client()
    return _each(client, client.resume, environments, "builds start again", as_json)


@click.command()
@click.argument("environments", type=ENVIRONMENT, nargs=-1, metavar="[ENVIRONMENT...]")
@_json
def rescan(environments: tuple[str, ...], as_json: bool) -> int:
    """Look at the files of each ENVIRONMENT, or at everything, now.

    Example: envkiln rescan
    """
    client = _client()
    return _each(client, client.rescan, environments, "looked at everything", as_json)


def _client() -> Client:
    return Client(paths_from(os.environ).socket)


def _ids(client: Client, environments: tuple[str, ...]) -> list[str]:
    """Return the ids of all, before anything is done to one."""
    return [str(find_running(client, environment)["environment"]) for environment in environments]


def _each(
    client: Client,
    do: Callable[[str | None], View | None],
    environments: tuple[str, ...],
    done: str,
    as_json: bool,
) -> int:
    for id_ in _ids(client, environments):
        _say(id_, do(id_), as_json=as_json)
    if not environments:
        service = do(None) or {}
        click.echo(json.dumps(service) if as_json else f"{done} ({totals(service['counts'])})")
    return ExitCode.DONE


def _say(id_: str, view: View | None, *, as_json: bool) -> None:
    if view is None:
        raise UnknownEnvironment(f"{id_} is gone", hint="`envkiln status` lists what is there")
    if as_json:
        click.echo(json.dumps(view))
    else:
        paused = ", paused" if view["paused"] else ""
        click.echo(f"{one_line(id_)}: {view['state']}{paused}: {one_line(view['reason'])}")
