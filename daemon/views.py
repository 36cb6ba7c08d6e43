"""What people and programs are shown of an environment: pure, made from the state."""

from envkiln.cache.definition import EnvironmentDefinition
from envkiln.cache.leaks import leaks
from envkiln.cache.redact import redact
from envkiln.daemon.builder import has_secrets
from envkiln.daemon.events import Answer, Problem, RegistryImage
from envkiln.daemon.messages import EngineView, EnvironmentView, ImageView
from envkiln.daemon.registry_facts import silence
from envkiln.daemon.schedule import why_waiting
from envkiln.daemon.state import EVERYTHING, Environment, Phase, State, movable_base


def environment_view(state: State, id_: str, build: str | None = None) -> EnvironmentView:
    """Return the view of one environment, for which `build` runs; raises KeyError when there is none of that id."""
    environment = state.environments[id_]
    sighting, identity = environment.sighting, environment.identity
    reason, hint, turn = _why(state, environment)
    image = state.images.get(environment.wanted or "")
    there = _registry_image(state, environment.wanted)
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
        digest=there.digest if there else image.digest if image else None,
        tags=tuple(sorted(image.references)) if image else (),
        last_good=environment.last_good,
        registry=there.repository if there else None,
        registry_size=there.size if there else None,
        registry_layers=len(there.layers) if there else None,
        pushing=_is_pushed(state, environment.wanted),
        warnings=tuple(map(redact, (*_doubts(state, environment), *_trouble(state, environment)))),
        paused=EVERYTHING in state.paused or id_ in state.paused,
        build=build,
    )


def image_view(state: State, name: str) -> ImageView:
    """Return the view of a known image; raises KeyError when there is none of that name."""
    image, there = state.images[name], _registry_image(state, name)
    return ImageView(
        image=name,
        id=image.id,
        tags=tuple(sorted(image.references)),
        size=image.size,
        created=image.created,
        digest=there.digest if there else image.digest,
        registry=there.repository if there else None,
        pushing=_is_pushed(state, name),
        environments=tuple(sorted(state.wanted.get(name, ()))),
    )


def engine_view(state: State) -> EngineView:
    problem = state.engine.problem
    return EngineView(
        state.engine.connected,
        state.engine.description,
        str(problem) if problem else None,
        problem.hint if problem else None,
    )


def _why(state: State, environment: Environment) -> tuple[str, str | None, str | None]:
    problem = environment.problem
    name = environment.wanted
    if name is not None and environment.phase is Phase.FAILED:
        problem = state.failures[name].problem
    if problem is not None:
        return environment.reason, problem.hint, problem.turn.value
    if environment.phase is Phase.QUEUED and name is not None:
        waits = f"{environment.reason}; {why_waiting(state, name)}"
        problem = silence(state.remote, name) if state.engine.listed else None
        return waits, problem.hint if problem else None, problem.turn.value if problem else None
    return environment.reason, None, None


def _with_hint(text: str, problem: Problem) -> str:
    return f"{text} ({problem.hint})" if problem.hint else text


def _registry_image(state: State, name: str | None) -> RegistryImage | None:
    remote = state.remote.get(name or "")
    return remote.image if remote is not None else None


def _is_pushed(state: State, name: str | None) -> bool:
    push = state.pushes.get(name or "")
    return push is not None and push.pushing


def _doubts(state: State, environment: Environment) -> tuple[str, ...]:
    """What is doubtful about the definition itself."""
    found = environment.sighting.found
    if not isinstance(found, EnvironmentDefinition):
        return ()
    sealed = has_secrets(environment.sighting.settings.builder, state.engine.has_secrets)
    return (*found.warnings, *leaks(found, has_secrets=sealed))


def _trouble(state: State, environment: Environment) -> list[str]:
    """What stands in the way of an environment without changing its state."""
    trouble = []
    for alias in environment.aliases:
        refusal = state.refusals.get(alias)
        owner = min(state.claims.get(alias, {environment.sighting.id}))
        if refusal is not None and refusal.name == environment.wanted:
            trouble.append(_with_hint(refusal.problem.message, refusal.problem))
        elif owner != environment.sighting.id:
            trouble.append(f"the alias {alias} is that of {owner}, which claims it too")
    remote, push = state.remote.get(environment.wanted or ""), state.pushes.get(environment.wanted or "")
    if remote is not None and remote.answer is Answer.NO and remote.problem is not None:
        trouble.append(_with_hint(str(remote.problem), remote.problem))
    if push is not None and push.problem is not None:
        trouble.append(_with_hint(f"not pushed: {push.problem}", push.problem))
    base = movable_base(environment.sighting)
    if base is not None and not base.tag:
        trouble.append(f"the base image {base} has no tag")
    return trouble
