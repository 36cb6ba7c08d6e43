"""`status`: answered at once, also while the service is down."""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from envkiln.daemon import terminal
from envkiln.daemon.cli_shared import json_option, plain_option, say_down, say_troubles
from envkiln.daemon.client import Client
from envkiln.daemon.completion import ENVIRONMENT
from envkiln.daemon.errors import ExitCode
from envkiln.daemon.knowledge import Knowledge, View, find_environment, what_is_known
from envkiln.daemon.marks import MARKS, totals
from envkiln.daemon.paths import paths_from
from envkiln.daemon.progress_text import progress_text
from envkiln.daemon.status_lines import sentence, table, why
from envkiln.daemon.text import ago, one_line, size


@click.command()
@click.argument("environment", type=ENVIRONMENT, required=False)
@click.option(
    "--state", "states", multiple=True, type=click.Choice(list(MARKS)), help="Only these; may be given several times."
)
@click.option("--watch", is_flag=True, help="Go on and show what changes, until Ctrl-C.")
@click.option("--format", "template", metavar="TEXT", help="A line each, such as '{mark} {name}'; no totals.")
@json_option
@plain_option
def status(
    environment: str | None, states: tuple[str, ...], watch: bool, template: str | None, as_json: bool, plain: bool
) -> int:
    """Show what is ready: all environments, or all about ENVIRONMENT (an id or a path).

    Answers from the index while the service is down, and says so. The fields of --format are {environment} or {id},
    {name} (the last part of the id), {state}, {mark}, {image}, {short}, {age}, {reason} and {build}.

    Example: envkiln status pytorch
    """
    if sum((watch, template is not None, as_json)) > 1:
        raise click.UsageError("--watch, --format and --json exclude each other")
    if environment is not None and states:
        raise click.UsageError("--state chooses among all environments: leave ENVIRONMENT out")
    if watch:
        from envkiln.daemon.watch_view import watch as follow

        return follow(environment, states, plain=plain)
    if template is not None:
        return _formatted(template, environment, states)
    if environment is not None:
        found = find_environment(environment)
        click.echo(json.dumps(found.detail) if as_json else _details(found.detail))
        _say(found.client.service() if found.client else None, found.age)
        return ExitCode.DONE
    known = what_is_known(states=states)
    views = _chosen(known, states)
    if as_json:
        answer = {
            "running": known.service is not None,
            "age": known.age,
            "service": known.service,
            "environments": views,
            "counts": known.counts,
        }
        click.echo(json.dumps(answer))
        return ExitCode.DONE
    for line in _lines(views, _running_builds(known), plain=plain):
        click.echo(line)
    click.echo(totals(known.counts))
    _say(known.service, known.age)
    return ExitCode.DONE


def _say(service: View | None, age: float | None) -> None:
    if service is None:
        say_down(age)
    else:
        say_troubles(service)


def _chosen(known: Knowledge, states: Sequence[str]) -> list[View]:
    return [view for view in known.views if not states or view["state"] in states]


def _formatted(text: str, environment: str | None, states: Sequence[str]) -> int:
    from envkiln.daemon.template import Template

    try:
        template = Template(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--format'") from None
    now = time.time()
    if environment is not None:
        found = find_environment(environment)
        views, down, age = [found.detail], found.client is None, found.age
    else:
        known = what_is_known(states=states)
        views, down, age = _chosen(known, states), known.service is None, known.age
    for view in views:
        click.echo(template.fill(view, now))
    if down:
        say_down(age)
    return ExitCode.DONE


def _running_builds(known: Knowledge) -> Mapping[str, View]:
    """Return the builds that run, by id."""
    if known.service is None or not known.counts.get("building"):
        return {}
    client = Client(paths_from(os.environ).socket)
    return {build["build"]: build for build in client.builds(states=["running"])}


def _lines(views: Sequence[View], builds: Mapping[str, View], *, plain: bool) -> list[str]:
    if terminal.is_plain(plain):
        return [sentence(view, builds.get(view["build"])) for view in views]
    return table(views, builds, columns=terminal.width_of(sys.stdout), colour=terminal.has_colour(sys.stdout))


def _registry(view: View) -> str | None:
    """Return where an image stands besides the engine."""
    if view["pushing"]:
        return "being pushed"
    if view["registry"] is None:
        return None
    here = "" if view["image_id"] else "; not in the engine"
    layers = view["registry_layers"]
    return f"{view['registry']}, {size(view['registry_size'])} in {layers} layer{'s' * (layers != 1)}{here}"


def _details(view: View) -> str:
    now = time.time()
    build = next((it for it in view["builds"] if it["state"] == "running"), None)
    ended = next((it for it in view["builds"] if it["state"] != "running"), None)
    rows: list[tuple[str, Any]] = [
        ("state", f"{view['state']} for {ago(now - view['since'])}: {why(view)}"),
        ("", view["hint"]),
        ("build", progress_text(build, now) if build else None),
        ("last build", f"{progress_text(ended, now)}, {ago(now - ended['started'])} ago" if ended else None),
        ("file", view["file"]),
        ("format", view["format"]),
        ("image", view["image"]),
        ("conda environment", view["conda_environment"]),
        ("base image", view["base_image"]),
        ("aliases", ", ".join(view["aliases"])),
        ("image id", view["image_id"]),
        ("size", size(view["image_size"]) if view["image_size"] else None),
        ("digest", view["digest"]),
        ("registry", _registry(view)),
        ("last good image", view["last_good"] if view["last_good"] != view["image"] else None),
        *(("changed", one_line(str(change))) for change in view["changes"]),
        *(("warning", one_line(str(warning))) for warning in view["warnings"]),
    ]
    lines = [f"  {label:<18} {value}" for label, value in rows if value]
    return "\n".join([one_line(str(view["environment"])), *lines])
