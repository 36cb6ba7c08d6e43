"""What is found about the configuration, the service, its builds and versions: facts in, findings out. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from envkiln.cache.errors import Turn
from envkiln.daemon.doctor_finding import Finding, good, unknown, warning, wrong
from envkiln.daemon.events import Problem
from envkiln.daemon.text import ago, one_line

SILENT_S = 600.0
"""A build that says nothing for so long may be stuck."""
_SLOW = 3.0
"""A build that takes so many times its usual time may be stuck."""


@dataclass(frozen=True, slots=True)
class ConfigurationFacts:
    """`error` is what is wrong with it, with file and line; `missing` are roots that are not there."""

    file: Path
    roots: tuple[Path, ...] = ()
    missing: tuple[Path, ...] = ()
    error: Problem | None = None


class Presence(Enum):
    ANSWERS = "answers"
    ABSENT = "absent"
    SILENT = "silent"
    """Somebody listens and does not answer."""
    OTHER = "other"
    """It answers in a way that is not ours, or not this version's."""
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """`view` is the `ServiceView` of one that answers; `problem` says why there is none."""

    presence: Presence
    socket: Path
    view: Mapping[str, Any] | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class BuildFacts:
    """A build that runs for `seconds`; its log has said nothing for `silent_s`, where that is known."""

    build: str
    environment: str
    seconds: float
    estimate: float | None
    silent_s: float | None


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """Versions of envkiln: this command's, the service's, and the one that wrote the index last; None: not known.

    `newer_layouts` are indexes that a later version has made, `outdated_units` files of an installed service.
    """

    command: str
    service: str | None = None
    index: str | None = None
    newer_layouts: tuple[str, ...] = ()
    outdated_units: tuple[str, ...] = ()


def configuration_findings(facts: ConfigurationFacts) -> list[Finding]:
    """Return what is found about the configuration."""
    if facts.error is not None:
        return [wrong("configuration", str(facts.error), facts.error.hint, facts.error.turn)]
    findings = [
        warning("configuration", f"the root {root} is not there", "make it, mount it, or take it out of `roots`")
        for root in facts.missing
    ]
    if not facts.roots:
        findings.append(
            warning("configuration", "no directory is watched", f'write roots = ["~/envs"] to {facts.file}')
        )
    return findings or [good("configuration", f"in order; watches {', '.join(map(str, facts.roots))}")]


def service_findings(facts: ServiceFacts, *, engine_answers_here: bool) -> list[Finding]:
    """Return what is found about the service; `engine_answers_here` tells a lost engine from one that is elsewhere."""
    if facts.view is None:
        return [_absence(facts)]
    view = facts.view
    findings = [warning("service", one_line(problem), None) for problem in view["problems"]]
    for root in view["roots"]:
        findings += [warning("service", one_line(problem), None) for problem in root["problems"].values()]
    if engine_answers_here and not view["engine"]["connected"] and not view["starting"]:
        text = f"the service does not reach the engine that this shell reaches: {view['engine']['problem']}"
        fix = (
            "set `docker_host` in the configuration to what this shell has as DOCKER_HOST, and start the service again"
        )
        findings.append(wrong("service", text, fix))
    if view["paused"]:
        findings.append(warning("service", "it is paused: no build starts", "envkiln resume"))
    return findings or [good("service", f"answers on {facts.socket} (process {view['process']})")]


def _absence(facts: ServiceFacts) -> Finding:
    problem = facts.problem or Problem(f"nobody answers on {facts.socket}")
    if facts.presence is Presence.ABSENT:
        return warning("service", "none runs", "start it: envkiln service install, or envkiln up")
    if facts.presence is Presence.SILENT:
        text = f"somebody listens on {facts.socket} and does not answer"
        return wrong("service", text, "stop that process and start the service again", Turn.SURROUNDINGS)
    return wrong("service", problem.message, problem.hint, problem.turn)


def build_findings(facts: Sequence[BuildFacts] | None) -> list[Finding]:
    """Return what is found about the builds that run; None: nobody could be asked."""
    if facts is None:
        return [unknown("builds", "no service says which builds run")]
    findings = []
    for build in facts:
        fix = f"look: envkiln logs -f {build.environment}; end it: envkiln cancel {build.environment}"
        runs = f"the build of {build.environment} runs for {ago(build.seconds)}"
        if build.silent_s is not None and build.silent_s >= SILENT_S:
            findings.append(warning("builds", f"{runs} and has said nothing for {ago(build.silent_s)}", fix))
        elif build.estimate and build.seconds >= max(SILENT_S, _SLOW * build.estimate):
            findings.append(warning("builds", f"{runs}; usually it takes {ago(build.estimate)}", fix))
    return findings or [good("builds", f"{len(facts)} running, none is stuck" if facts else "none is running")]


def version_findings(facts: VersionFacts) -> list[Finding]:
    """Return what is found about versions that do not fit together."""
    findings = []
    again = "start the service again, with the program of this version"
    if facts.service is not None and facts.service != facts.command:
        text = f"the service is envkiln {facts.service}, this command is {facts.command}"
        findings.append(warning("versions", text, again))
    if facts.index is not None and facts.index != (facts.service or facts.command):
        text = f"envkiln {facts.index} wrote the index last, and this is {facts.service or facts.command}"
        findings.append(warning("versions", text, "two installations take turns: remove one (which -a envkiln)"))
    for name in facts.newer_layouts:
        text = f"a later envkiln has left the index {name}"
        findings.append(warning("versions", text, "update this one, or remove that directory"))
    findings += [
        warning("versions", f"{unit} is not as this version writes it", "envkiln service install")
        for unit in facts.outdated_units
    ]
    return findings or [good("versions", f"envkiln {facts.command} and nothing else")]
