"""What people and programs are shown of an environment: pure, made from the state, stable in its field names."""

import msgspec

from envkiln.cache.definition import EnvironmentDefinition
from envkiln.cache.redact import redact
from envkiln.daemon.schedule import why_waiting
from envkiln.daemon.state import Environment, Phase, State, movable_base


class EnvironmentView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One environment. Times are seconds since 1970, sizes bytes; what is not known is null.

    `image` is what the file as it is now asks for, `last_good` the last image that was ready, to which the
    `aliases` point. `state` is invalid, queued, building, ready, failed or named.
    """

    environment: str
    state: str
    since: float
    reason: str
    hint: str | None = None
    turn: str | None = None
    file: str
    root: str
    format: str | None = None
    conda_environment: str | None = None
    image: str | None = None
    base_image: str | None = None
    recipe: str | None = None
    aliases: tuple[str, ...] = ()
    image_id: str | None = None
    image_size: int | None = None
    image_created: float | None = None
    last_good: str | None = None
    warnings: tuple[str, ...] = ()


class EngineView(msgspec.Struct, frozen=True):
    connected: bool
    description: str = ""
    problem: str | None = None
    hint: str | None = None


class RootView(msgspec.Struct, frozen=True):
    """A watched root: `mode` is inotify or polling; `problems` says what cannot be looked at, by path."""

    path: str
    label: str
    mode: str
    problems: dict[str, str]


class ServiceView(msgspec.Struct, frozen=True):
    """The whole service. `counts` has the number of environments by state.

    `problems` are those of the service itself, such as a disk that is full. While it is `starting`, the first look
    at the roots is not done and environments may be missing.
    """

    version: str
    process: int
    started: float
    starting: bool
    engine: EngineView
    roots: tuple[RootView, ...]
    problems: tuple[str, ...]
    counts: dict[str, int]
    environments: tuple[EnvironmentView, ...]


def environment_view(state: State, id_: str) -> EnvironmentView:
    """Return the view of one environment; raises KeyError when there is none of that id."""
    environment = state.environments[id_]
    sighting, identity = environment.sighting, environment.identity
    reason, hint, turn = _why(state, environment)
    image = state.images.get(environment.wanted or "")
    found = sighting.found if isinstance(sighting.found, EnvironmentDefinition) else None
    return EnvironmentView(
        environment=id_,
        state=environment.phase.value,
        since=environment.since,
        reason=redact(reason),
        hint=redact(hint) if hint else None,
        turn=turn,
        file=sighting.file,
        root=sighting.root,
        format=found.format.value if found else None,
        conda_environment=identity.conda_environment if identity else None,
        image=identity.image if identity else None,
        base_image=str(identity.base_image) if identity and identity.base_image else None,
        recipe=identity.recipe if identity else None,
        aliases=environment.aliases,
        image_id=image.id if image else None,
        image_size=image.size if image else None,
        image_created=image.created if image else None,
        last_good=environment.last_good,
        warnings=tuple(map(redact, (*(found.warnings if found else ()), *_trouble(state, environment)))),
    )


def engine_view(state: State) -> EngineView:
    problem = state.engine.problem
    return EngineView(
        state.engine.connected,
        state.engine.description,
        str(problem) if problem else None,
        problem.hint if problem else None,
    )


def counts(state: State) -> dict[str, int]:
    """Return the number of environments in each state, zeros included."""
    numbers = {phase.value: 0 for phase in Phase}
    for environment in state.environments.values():
        numbers[environment.phase.value] += 1
    return numbers


def _why(state: State, environment: Environment) -> tuple[str, str | None, str | None]:
    problem = environment.problem
    name = environment.wanted
    if name is not None and environment.phase is Phase.FAILED:
        problem = state.failures[name].problem
    if problem is not None:
        return environment.reason, problem.hint, problem.turn.value
    if environment.phase is Phase.QUEUED and name is not None:
        return f"{environment.reason}; {why_waiting(state, name)}", None, None
    return environment.reason, None, None


def _trouble(state: State, environment: Environment) -> list[str]:
    """What stands in the way of an environment without changing its state."""
    trouble = []
    for alias in environment.aliases:
        refusal = state.refusals.get(alias)
        owner = min(state.claims.get(alias, {environment.sighting.id}))
        if refusal is not None and refusal.name == environment.wanted:
            hint = f" ({refusal.problem.hint})" if refusal.problem.hint else ""
            trouble.append(f"{refusal.problem.message}{hint}")
        elif owner != environment.sighting.id:
            trouble.append(f"the alias {alias} is that of {owner}, which claims it too")
    base = movable_base(environment.sighting)
    if base is not None and not base.tag:
        trouble.append(f"the base image {base} has no tag")
    return trouble
