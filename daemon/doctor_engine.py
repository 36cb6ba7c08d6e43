"""What is found about the engine, its builder, registries and their clocks: facts in, findings out. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from envkiln.cache.errors import Turn
from envkiln.cache.redact import redact
from envkiln.daemon.doctor_finding import Finding, good, unknown, warning, wrong
from envkiln.daemon.engine_values import EngineInfo
from envkiln.daemon.events import Problem

CLOCK_WARNING_S = 30.0
CLOCK_ERROR_S = 300.0
"""What registries and certificates allow, as a rule."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """The engine at `url` (None: where Docker's own settings lead to) said `info`, or there was a `problem`.

    `least_api` is the lowest API that the engine's client speaks, `root` where an engine of this machine has its data.
    """

    url: str | None
    info: EngineInfo | None = None
    problem: Problem | None = None
    least_api: str = "1.24"
    root: str = ""


@dataclass(frozen=True, slots=True)
class BuilderFacts:
    """`wanted` is the setting `builder`; `buildx` the version of the plugin, None where there is none."""

    wanted: str
    buildx: str | None


@dataclass(frozen=True, slots=True)
class RegistryFacts:
    """One registry: `problem` is null when it lets us in."""

    host: str
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """A clock beside ours: how many seconds it is ahead, when it was read, and how far the reading may be off."""

    whose: str
    ahead_s: float
    off_by_s: float


def engine_findings(facts: EngineFacts) -> list[Finding]:
    """Return what is found about the engine and its API."""
    if facts.info is None:
        problem = facts.problem or Problem("the engine was not asked")
        return [wrong("engine", problem.message, problem.hint, problem.turn), unknown("api", "the engine does not say")]
    where = redact(facts.url) if facts.url else "where Docker's own settings lead to"
    engine = good("engine", f"Docker Engine {facts.info.version} ({facts.info.platform}), {where}")
    api = facts.info.api_version
    if _numbers(api) < _numbers(facts.least_api):
        text = f"the engine speaks API {api}, and envkiln needs {facts.least_api} or later"
        return [engine, wrong("api", text, "update Docker on the engine's machine")]
    return [engine, good("api", f"the engine speaks API {api}; {facts.least_api} or later is needed")]


def builder_finding(facts: BuilderFacts, engine: EngineInfo | None) -> Finding:
    """Return what is found about what builds."""
    install = "install it (Debian, Ubuntu: sudo apt-get install docker-buildx; Docker's packages: docker-buildx-plugin)"
    if facts.wanted == "classic":
        return good("builder", "the engine's classic builder, as the setting `builder` has it")
    if facts.buildx is None and facts.wanted == "buildx":
        return wrong("builder", '`builder` is "buildx", and there is no docker buildx', f'{install}, or set "auto"')
    if facts.buildx is None:
        text = "there is no docker buildx: the engine's classic builder is used, without cache mounts"
        return warning("builder", text, install)
    if engine is not None and not engine.has_buildkit:
        text = f"docker buildx {facts.buildx} is there, and the engine is without BuildKit: builds are slower"
        return warning("builder", text, "update Docker to 18.09 or later")
    return good("builder", f"docker buildx {facts.buildx}")


def registry_findings(facts: Sequence[RegistryFacts]) -> list[Finding]:
    """Return what is found about the registries of the configuration."""
    if not facts:
        return [good("registry", "none is configured")]
    return [
        good("registry", f"{each.host} lets us in")
        if each.problem is None
        else wrong("registry", each.problem.message, each.problem.hint, each.problem.turn)
        for each in facts
    ]


def clock_findings(facts: Sequence[ClockFacts]) -> list[Finding]:
    """Return what is found about this machine's clock beside others."""
    if not facts:
        return [unknown("clock", "nobody could be asked for the time")]
    return [_clock_finding(each) for each in facts]


def _clock_finding(clock: ClockFacts) -> Finding:
    apart = max(0.0, abs(clock.ahead_s) - clock.off_by_s)
    if apart < CLOCK_WARNING_S:
        return good("clock", f"that of {clock.whose} says the same")
    text = f"that of {clock.whose} is {apart:.0f} s {'ahead of' if clock.ahead_s > 0 else 'behind'} this machine's"
    fix = "set the wrong one: timedatectl set-ntp true"
    if apart < CLOCK_ERROR_S:
        return warning("clock", text, fix, Turn.SURROUNDINGS)
    return wrong("clock", f"{text}: log-ins and certificates are refused", fix, Turn.SURROUNDINGS)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
