"""One build without a service: the same parts, fed once, until every environment is settled."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from envkiln.cache.definition import EnvironmentDefinition
from envkiln.cache.index import Index
from envkiln.cache.leaks import leaks
from envkiln.cache.redact import redact
from envkiln.daemon.builder import has_secrets
from envkiln.daemon.events import (
    BuildEnded,
    BuildRequested,
    Ending,
    EngineConnected,
    EngineLost,
    Event,
    ImageNeeded,
    Looked,
    Problem,
)
from envkiln.daemon.narrate import Level, Line, narrate
from envkiln.daemon.parts import make_parts
from envkiln.daemon.registry_facts import silence
from envkiln.daemon.state import Phase, State
from envkiln.daemon.targets import Targets

_SETTLED = frozenset({Phase.READY, Phase.FAILED, Phase.INVALID})


@dataclass(frozen=True, slots=True)
class Result:
    """How one environment ended: `outcome` is built, skipped or failed; `seconds` those of its build."""

    id: str
    outcome: str
    image: str | None
    conda_environment: str | None
    seconds: float | None
    problem: Problem | None


async def build_once(targets: Targets, *, force: bool, say: Callable[[list[Line]], None]) -> list[Result]:
    """Build what has no image (with `force`: everything) and return how it ended, in the order of `targets`.

    An engine or a registry that does not answer is not waited for: everything that needs it has failed. Where the
    settings want a push, an image that is not in the registry in the end has failed, too.
    """
    targets.paths.ensure()
    ended: dict[str, BuildEnded] = {}
    done = asyncio.Event()
    ids = [sighting.id for sighting in targets.sightings]

    def observe(event: Event, before: State, after: State) -> None:
        say(narrate(event, before, after))
        if isinstance(event, EngineConnected):
            say(_warnings(targets, after))
        if isinstance(event, BuildEnded):
            ended[event.name] = event
        lost = isinstance(event, EngineLost)
        moving = after.setting or any(push.pushing for push in after.pushes.values())
        if lost or (not moving and all(_is_settled(after, id_) for id_ in ids)):
            done.set()

    async with AsyncExitStack() as stack:
        index = await asyncio.to_thread(Index, targets.paths.index)
        stack.callback(index.close)
        parts = make_parts(targets.config, targets.paths, index, lambda _: None)
        parts.loop.observe(observe)
        stack.push_async_callback(parts.hands.close)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(parts.loop.run()), group.create_task(parts.engine_watch.run())]
            parts.loop.post(Looked(targets.sightings))
            for id_ in ids:
                parts.loop.post(BuildRequested(id_) if force else ImageNeeded(id_))
            await done.wait()
            for task in tasks:
                task.cancel()
        await parts.records.flush()
        return [_result(parts.loop.state, id_, ended) for id_ in ids]


def _warnings(targets: Targets, state: State) -> list[Line]:
    """Return what is to be known before the build: which credentials the image would have."""
    lines = []
    for sighting in targets.sightings:
        if isinstance(sighting.found, EnvironmentDefinition):
            sealed = has_secrets(sighting.settings.builder, state.engine.has_secrets)
            lines += [
                Line(redact(text), sighting.id, Level.WARNING) for text in leaks(sighting.found, has_secrets=sealed)
            ]
    return lines


def _is_settled(state: State, id_: str) -> bool:
    environment = state.environments.get(id_)
    if environment is None:
        return False
    # A registry that does not answer is not waited for; a service would ask it again.
    if environment.phase is Phase.QUEUED and silence(state.remote, environment.wanted or "") is not None:
        return True
    # Ready is believed only of an engine that has just been asked.
    ready = environment.phase is Phase.READY and state.engine.listed
    return ready or environment.phase in _SETTLED - {Phase.READY}


def _result(state: State, id_: str, ended: dict[str, BuildEnded]) -> Result:
    environment = state.environments[id_]
    name = environment.wanted
    conda_environment = environment.identity.conda_environment if environment.identity else None
    build = ended.get(name or "")
    if environment.phase is Phase.READY:
        built = build is not None and build.ending is Ending.BUILT
        seconds = build.seconds if build and built else None
        push = state.pushes.get(name or "")
        if push is not None and push.problem is not None:
            return Result(id_, "failed", name, conda_environment, seconds, push.problem)
        return Result(id_, "built" if built else "skipped", name, conda_environment, seconds, None)
    silent = silence(state.remote, name or "")
    problem = environment.problem or silent or (build.problem if build else None) or state.engine.problem
    return Result(id_, "failed", name, conda_environment, build.seconds if build else None, problem)
