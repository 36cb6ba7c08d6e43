"""`doctor`: what is not as it should be, and what to do about it."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from envkiln.daemon.cli_shared import json_option
from envkiln.daemon.errors import ExitCode, exit_code_of_turn
from envkiln.daemon.paths import paths_from

if TYPE_CHECKING:
    from envkiln.daemon.doctor_finding import Finding

_MARKS = {"ok": "+", "warning": "!", "error": "x", "unknown": "?"}


@click.command()
@json_option
def doctor(as_json: bool) -> int:
    """Look at everything that the service needs, and say what to do where something is wrong.

    Nothing is changed. It works without a service, without an engine, and with a configuration that has an error.

    Example: envkiln doctor
    """
    from envkiln.daemon.doctor_finding import whose_turn

    findings = examine(os.environ)
    turn = whose_turn(findings)
    if as_json:
        import json

        shown = [
            {
                "check": it.check,
                "verdict": it.verdict.value,
                "text": it.text,
                "fix": it.fix,
                "turn": it.turn.value if it.verdict.value in ("warning", "error") else None,
            }
            for it in findings
        ]
        click.echo(json.dumps({"findings": shown, "turn": turn.value if turn else None}))
    else:
        width = max(len(it.check) for it in findings)
        for it in findings:
            click.echo(f"{_MARKS[it.verdict.value]} {it.check.ljust(width)}  {it.text}")
            if it.fix:
                click.echo(f"  {' ' * width}  {it.fix}")
    return ExitCode.DONE if turn is None else exit_code_of_turn(turn)


def examine(environ: Mapping[str, str]) -> list["Finding"]:
    """Return all findings, in the order in which one depends on another."""
    from envkiln.daemon import doctor_engine, doctor_facts, doctor_machine, doctor_service

    paths = paths_from(environ)
    configuration, config = doctor_facts.configuration_facts(paths, environ)
    engine, clocks = doctor_facts.engine_facts(config)
    service, builds = doctor_facts.service_facts(paths)
    if service.view and not configuration.roots:
        # `envkiln up envs/` watches what no configuration names.
        configuration = replace(configuration, roots=tuple(Path(root["path"]) for root in service.view["roots"]))
    process = int(service.view["process"]) if service.view else None
    owned, owner = doctor_facts.path_facts(paths, environ)
    registries, more_clocks = doctor_facts.registry_facts(doctor_facts.registry_clients(config))
    info = engine.info
    return [
        *doctor_service.configuration_findings(configuration),
        *doctor_service.service_findings(service, engine_answers_here=info is not None),
        *doctor_service.version_findings(doctor_facts.version_facts(paths, service.view, environ)),
        *doctor_engine.engine_findings(engine),
        doctor_engine.builder_finding(doctor_facts.builder_facts(config), info),
        *doctor_engine.registry_findings(registries),
        *doctor_engine.clock_findings([*clocks, *more_clocks]),
        *doctor_machine.disk_findings(doctor_facts.disk_facts(paths, engine.root)),
        *doctor_machine.inotify_findings(doctor_facts.inotify_facts(configuration.roots, process)),
        *doctor_machine.permission_findings(owned, owner),
        *doctor_service.build_findings(builds),
    ]
