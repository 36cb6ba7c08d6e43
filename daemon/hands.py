"""Does what `step` asks for: each effect becomes a task, each end of one an event."""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path

from envkiln.cache.definition import EnvironmentDefinition
from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.cache.index import Index
from envkiln.daemon.builder import Builder, BuildRequest
from envkiln.daemon.builders import BuilderSettings, choose_builder
from envkiln.daemon.config import Config, EnvironmentSettings
from envkiln.daemon.digests import resolve_base
from envkiln.daemon.engine import Engine, EngineInfo
from envkiln.daemon.engine_watch import EngineWatch
from envkiln.daemon.events import (
    AliasSet,
    BuildEnded,
    CancelBuild,
    Effect,
    Ending,
    Problem,
    ResolveBase,
    SetAlias,
    StartBuild,
)
from envkiln.daemon.labels import is_ours, labels_for
from envkiln.daemon.logs import LogFiles
from envkiln.daemon.loop import Loop
from envkiln.daemon.obtain import Obtainer
from envkiln.daemon.roots import Roots
from envkiln.daemon.state import Environment, movable_base


class Hands:
    """Performs effects on the event loop. `perform` returns at once; what it starts ends in a posted event."""

    def __init__(
        self,
        *,
        engine: Engine,
        obtainer: Obtainer,
        config: Config,
        logs: LogFiles,
        index: Index,
        roots: Roots,
        loop: Loop,
        engine_watch: EngineWatch,
    ) -> None:
        self._engine = engine
        self._obtainer = obtainer
        self._config = config
        self._logs = logs
        self._index = index
        self._roots = roots
        self._loop = loop
        self._engine_watch = engine_watch
        self._builds: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._tagging = asyncio.Lock()

    def perform(self, effect: Effect) -> None:
        match effect:
            case StartBuild(name):
                task = self._run(self._build(effect, self._loop.state.environments[effect.id]))
                self._builds[name] = task
                task.add_done_callback(lambda _: self._builds.pop(name, None))
            case CancelBuild(name):
                if name in self._builds:
                    self._builds[name].cancel()
            case ResolveBase(reference):
                self._run(self._resolve(reference))
            case SetAlias():
                self._run(self._set_alias(effect))

    async def close(self) -> None:
        """Stop every build and wait until it has stopped."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _run(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _build(self, effect: StartBuild, environment: Environment) -> None:
        started = time.time()
        path = self._logs.new(effect.name, started)
        try:
            ended = await self._obtain(effect, environment, path)
        except asyncio.CancelledError:
            ended = BuildEnded(effect.name, Ending.CANCELLED)
        except EnvkilnError as error:
            passing = error.turn is Turn.SURROUNDINGS
            ended = BuildEnded(effect.name, Ending.FAILED, problem=Problem.of(error), passing=passing)
        except Exception as error:  # noqa: BLE001 -- our bug: shown on the environment, and everything else goes on
            problem = Problem(f"internal error: {error!r}", "please report it with the log", turn=Turn.BUG)
            ended = BuildEnded(effect.name, Ending.FAILED, problem=problem)
        self._loop.post(ended)
        if ended.ending is not Ending.FOUND:
            record = {"image": effect.name, "started": started, "ending": ended.ending.value}
            record |= {"seconds": ended.seconds, "log": str(path), "problem": ended.problem and str(ended.problem)}
            await asyncio.to_thread(self._index.add_build, effect.id, record)

    async def _obtain(self, effect: StartBuild, environment: Environment, log_path: Path) -> BuildEnded:
        settings = environment.sighting.settings
        request = build_request(environment, self._roots)
        builder = await asyncio.to_thread(make_builder, settings, self._config, self._engine_watch.info, log_path)
        if effect.forced:
            request = replace(request, options=replace(request.options, no_cache=True))
        return await self._obtainer.obtain(builder, request, lambda _: None, forced=effect.forced)

    async def _resolve(self, reference: str) -> None:
        event = await resolve_base(self._engine, reference, self._engine_watch.digests)
        self._loop.post(event)

    async def _set_alias(self, effect: SetAlias) -> None:
        # One at a time: two changes of one alias keep their order.
        async with self._tagging:
            self._loop.post(await asyncio.to_thread(set_alias, self._engine, effect))


def build_request(environment: Environment, roots: Roots) -> BuildRequest:
    """Return what to build for an environment that has a valid definition."""
    definition, identity = environment.sighting.found, environment.identity
    if not isinstance(definition, EnvironmentDefinition) or identity is None:
        raise TypeError(f"{environment.sighting.id} has no valid definition")
    resolved = movable_base(environment.sighting) is not None
    return BuildRequest(
        definition,
        identity,
        roots.tree(environment.sighting.root),
        labels_for(definition, identity, resolved=resolved),
        environment.sighting.settings.build_options(),
    )


def make_builder(settings: EnvironmentSettings, config: Config, info: EngineInfo | None, log_path: Path) -> Builder:
    """Return the builder that the settings ask for, writing its log to `log_path`; may look for programs."""
    kind = settings.builder
    wanted = BuilderSettings(
        kind="buildx" if kind == "buildx" else "classic" if kind == "classic" else "auto",
        engine_url=config.docker_host,
        buildx_builder=settings.buildx_builder,
        docker_config=config.docker_config,
        time_limit_s=settings.time_limit_s or None,
        silence_limit_s=settings.silence_limit_s or None,
    )
    return choose_builder(wanted, info, lambda _: log_path)


def set_alias(engine: Engine, effect: SetAlias) -> AliasSet:
    """Point the alias to the image; never away from an image that is not ours."""
    try:
        there = engine.inspect(effect.alias)
        if (
            there is not None
            and not is_ours(there.labels)
            and there.environment.get("AZUREML_ENVIRONMENT_IMAGE") is None
        ):
            problem = Problem(
                f"the tag {effect.alias} belongs to an image that envkiln did not make",
                "rename the environment's directory, or set other `aliases` for it",
            )
            return AliasSet(effect.alias, effect.name, problem)
        engine.tag(f"{effect.name}:latest", effect.alias)
    except EnvkilnError as error:
        return AliasSet(effect.alias, effect.name, Problem.of(error))
    return AliasSet(effect.alias, effect.name)
