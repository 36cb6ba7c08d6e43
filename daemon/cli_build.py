"""`build`: one shot, without a service."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from envkiln.cache.errors import Turn
from envkiln.cache.names import short_name
from envkiln.cache.redact import redact
from envkiln.daemon.cli_options import environment_scope, setting_options
from envkiln.daemon.errors import ExitCode
from envkiln.daemon.narrate import Line
from envkiln.daemon.targets import Targets, find_targets

if TYPE_CHECKING:
    from envkiln.daemon.one_shot import Result


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--root", type=click.Path(path_type=Path), help="The directory that ids and references start at.")
@click.option("--force", is_flag=True, help="Build although an image of that name exists, and keep no cached step.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per environment, each on one line.")
@setting_options("concurrent_builds", "docker_host", *environment_scope())
def build(path: Path, root: Path | None, force: bool, as_json: bool, **flags: Any) -> int:
    """Build the images of the environments at PATH that do not exist yet.

    Needs no service. The exit code is 0 when something was built, 10 when everything was there already (skipped),
    1 when something failed, 4 when the engine cannot be reached.

    Example: envkiln build envs/pytorch
    """
    from envkiln.daemon.one_shot import build_once

    targets = find_targets(path, flags, root)
    # Asked for by name, it is built: the setting is about what a service does by itself.
    asked = tuple(replace(it, settings=replace(it.settings, build=True)) for it in targets.sightings)
    targets = replace(targets, sightings=asked)

    def say(lines: list[Line]) -> None:
        for line in lines:
            click.echo(f"{line.subject + ': ' if line.subject else ''}{line.text}", err=True)

    results = asyncio.run(build_once(targets, force=force, say=say))
    for result in results:
        click.echo(json.dumps(_as_object(result, targets)) if as_json else _as_text(result, targets))
    return _exit_code(results)


def _exit_code(results: "list[Result]") -> ExitCode:
    problems = [result.problem for result in results if result.outcome == "failed"]
    if problems:
        passing = all(problem is not None and problem.turn is Turn.SURROUNDINGS for problem in problems)
        return ExitCode.SURROUNDINGS if passing else ExitCode.FAILED
    built = any(result.outcome == "built" for result in results)
    return ExitCode.DONE if built else ExitCode.SKIPPED


def _log_of(result: "Result", targets: Targets) -> str | None:
    from envkiln.daemon.logs import LogFiles

    if result.image is None or result.seconds is None:
        return None
    log = LogFiles(targets.paths.logs).latest(result.image)
    return str(log) if log else None


def _as_object(result: "Result", targets: Targets) -> dict[str, Any]:
    problem = result.problem
    return {
        "environment": result.id,
        "outcome": result.outcome,
        "image": result.image,
        "conda_environment": result.conda_environment,
        "seconds": result.seconds,
        "log": _log_of(result, targets),
        "problem": {"message": redact(str(problem)), "hint": problem.hint, "turn": problem.turn.value}
        if problem
        else None,
    }


def _as_text(result: "Result", targets: Targets) -> str:
    image = f" {result.image}" if result.image else ""
    seconds = f" in {result.seconds:.1f} s" if result.outcome == "built" and result.seconds is not None else ""
    text = f"{result.id}: {result.outcome}{seconds}{image}"
    if result.problem is not None:
        name = f" [{short_name(result.image)}]" if result.image else ""
        text = f"{result.id}: failed{name}: {redact(str(result.problem))}"
        text += f"\n  {result.problem.hint}" if result.problem.hint else ""
        log = _log_of(result, targets)
        text += f"\n  log: {log}" if log else ""
    return text
