"""`status`, `wait` and `image`: answered at once, also while the service is down."""

import json
import os
import shutil
import sys
import time
from typing import Any

import click

from envkiln.cache.names import short_name
from envkiln.daemon.client import Client
from envkiln.daemon.errors import ExitCode, UnknownEnvironment
from envkiln.daemon.knowledge import Knowledge, View, from_service, what_is_known
from envkiln.daemon.paths import paths_from
from envkiln.daemon.text import ago, one_line

_MARKS = {
    "ready": ("+", "green"),
    "building": ("*", "cyan"),
    "queued": (".", "blue"),
    "invalid": ("x", "red"),
    "failed": ("x", "red"),
    "named": ("-", None),
}
_AT_A_TIME_S = 30.0
_LOOK_AGAIN_S = 0.1


@click.command()
@click.argument("environment", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object with everything.")
def status(environment: str | None, as_json: bool) -> int:
    """Show what is ready: all environments, or all about ENVIRONMENT (an id or a path).

    Answers from the index while the service is down, and says so.

    Example: envkiln status pytorch
    """
    known = what_is_known()
    if environment is not None:
        view = known.find(environment)
        click.echo(json.dumps(view) if as_json else _details(view))
        return _warn_down(known)
    if as_json:
        service = dict(known.service) if known.service else {"environments": list(known.views), "age": known.age}
        click.echo(json.dumps({"running": known.service is not None, **service}))
        return ExitCode.DONE
    for line in _table(known):
        click.echo(line)
    return _warn_down(known)


@click.command()
@click.argument("environment")
@click.option("--timeout", type=float, default=None, metavar="S", help="Give up after this many seconds.")
def wait(environment: str, timeout: float | None) -> int:
    """Wait until ENVIRONMENT is ready, as its files are now; exit code 1 when it is failed or invalid, 5 when late.

    Example: envkiln wait pytorch --timeout 600 && docker run pytorch
    """
    client = Client(paths_from(os.environ).socket)
    deadline = None if timeout is None else time.monotonic() + timeout
    id_ = _id_of(client, environment, deadline)
    while True:
        left = _AT_A_TIME_S if deadline is None else deadline - time.monotonic()
        view = client.wait(id_, max(0.0, min(left, _AT_A_TIME_S)))
        if view is None:
            click.echo(f"{id_}: gone", err=True)
            return ExitCode.UNKNOWN_ENVIRONMENT
        if view["state"] in ("ready", "named"):
            click.echo(f"{id_}: {view['state']} {view['image']}")
            return ExitCode.DONE
        if view["state"] in ("failed", "invalid"):
            click.echo(f"{id_}: {view['state']}: {one_line(view['reason'])}", err=True)
            _hint(view)
            return ExitCode.FAILED
        if deadline is not None and time.monotonic() >= deadline:
            click.echo(f"{id_}: still {view['state']} after {timeout:g} s: {one_line(view['reason'])}", err=True)
            return ExitCode.TIMED_OUT


@click.command()
@click.argument("environment")
@click.option("--last-good", is_flag=True, help="The last image that was ready, whatever the file says now.")
def image(environment: str, last_good: bool) -> int:
    """Print the reference of ENVIRONMENT's image, if it is ready.

    Example: docker run --rm $(envkiln image pytorch) python -V
    """
    known = what_is_known()
    view = known.find(environment)
    name = view["last_good"] if last_good else view["image"] if view["state"] == "ready" else None
    if name is None:
        click.echo(f"{view['environment']}: {view['state']}: {one_line(view['reason'])}", err=True)
        if view["last_good"] and not last_good:
            click.echo("  its last good image: envkiln image --last-good " + str(view["environment"]), err=True)
        return ExitCode.FAILED
    click.echo(f"{name}:latest")
    return _warn_down(known)


def _id_of(client: Client, environment: str, deadline: float | None) -> str:
    """Return the id of an environment; a service that is just starting may not have seen it yet."""
    looked = False
    while True:
        service = client.service()
        try:
            return str(from_service(service).find(environment)["environment"])
        except UnknownEnvironment:
            if looked and (not service["starting"] or (deadline is not None and time.monotonic() >= deadline)):
                raise
        if not looked:
            client.wait(environment, 0.0)  # which looks at everything: it may have been made a moment ago
            looked = True
            continue
        time.sleep(_LOOK_AGAIN_S)


def _warn_down(known: Knowledge) -> ExitCode:
    if known.service is None:
        age = f", as it was {ago(known.age)} ago" if known.age is not None else ""
        click.echo(f"the service is not running{age}; start it with: envkiln up", err=True)
        return ExitCode.DONE
    if known.service["starting"]:
        click.echo("the service has just started and is looking at its directories", err=True)
    if not known.service["engine"]["connected"]:
        engine = known.service["engine"]
        click.echo(f"the engine does not answer: {engine['problem'] or 'not asked yet'}", err=True)
        if engine["hint"]:
            click.echo(f"  {engine['hint']}", err=True)
    for problem in known.service["problems"]:
        click.echo(problem, err=True)
    for root in known.service["roots"]:
        for problem in root["problems"].values():
            click.echo(problem, err=True)
    return ExitCode.DONE


def _table(known: Knowledge) -> list[str]:
    now = time.time()
    width = shutil.get_terminal_size((120, 24)).columns if sys.stdout.isatty() else 10_000
    longest = min(max((len(str(view["environment"])) for view in known.views), default=0), 40)
    lines = []
    for view in known.views:
        mark, colour = _MARKS.get(str(view["state"]), ("?", None))
        image = short_name(str(view["image"])) if view["image"] else ""
        id_ = one_line(str(view["environment"]))
        text = f"{id_:<{longest}}  {view['state']:<8}  {image:<12}  {ago(now - view['since']):>4}  "
        text += one_line(str(view["reason"]))
        lines.append(click.style(mark, fg=colour) + f" {text}"[: width - 1])
    counts: dict[str, int] = {}
    for view in known.views:
        counts[str(view["state"])] = counts.get(str(view["state"]), 0) + 1
    totals = ", ".join(f"{counts[state]} {state}" for state in _MARKS if state in counts)
    return [*lines, totals or "no environments"]


def _details(view: View) -> str:
    now = time.time()
    rows: list[tuple[str, Any]] = [
        ("state", f"{view['state']} for {ago(now - view['since'])}: {one_line(str(view['reason']))}"),
        ("", view["hint"]),
        ("file", view["file"]),
        ("format", view["format"]),
        ("image", view["image"]),
        ("conda environment", view["conda_environment"]),
        ("base image", view["base_image"]),
        ("aliases", ", ".join(view["aliases"])),
        ("image id", view["image_id"]),
        ("last good image", view["last_good"] if view["last_good"] != view["image"] else None),
        *(("warning", one_line(str(warning))) for warning in view["warnings"]),
    ]
    lines = [f"  {label:<18} {value}" for label, value in rows if value]
    return "\n".join([one_line(str(view["environment"])), *lines])


def _hint(view: View) -> None:
    if view["hint"]:
        click.echo(f"  {view['hint']}", err=True)
