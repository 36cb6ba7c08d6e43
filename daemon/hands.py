"""Does what `step` asks for: each effect becomes a task, each end of one an event."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path

import msgspec

from envkiln.cache.definition import EnvironmentDefinition
from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.daemon.builder import Builder, BuildRequest
from envkiln.daemon.builders import BuilderSettings, choose_builder
from envkiln.daemon.config import Config, EnvironmentSettings
from envkiln.daemon.digests import resolve_base
from envkiln.daemon.engine import Engine
from envkiln.daemon.engine_values import EngineImage
from envkiln.daemon.engine_watch import EngineWatch
from envkiln.daemon.events import (
    AliasSet,
    Answer,
    AskRegistry,
    BaseUnresolved,
    BuildEnded,
    CancelBuild,
    Effect,
    Ending,
    Event,
    Problem,
    PushEnded,
    PushImage,
    RegistryAnswered,
    ResolveBase,
    SetAlias,
    StartBuild,
)
from envkiln.daemon.fault_point import reach
from envkiln.daemon.history import History
from envkiln.daemon.known_images import is_derived
from envkiln.daemon.labels import is_ours, labels_for
from envkiln.daemon.logs import LogFiles
from envkiln.daemon.loop import Loop
from envkiln.daemon.messages import BuildView
from envkiln.daemon.obtain import Obtainer, ended_by
from envkiln.daemon.records import Records
from envkiln.daemon.registry import Registry
from envkiln.daemon.registry_errors import NoAnswer
from envkiln.daemon.registry_facts import asks_registries
from envkiln.daemon.roots import Roots
from envkiln.daemon.running_build import RunningBuild
from envkiln.daemon.state import Environment, movable_base


class Hands:
    """Performs effects on the event loop. `perform` returns at once; whatever it starts ends in a posted event."""

    def __init__(  # noqa: PLR0913 -- it joins the parts
        self,
        *,
        engine: Engine,
        obtainer: Obtainer,
        registry: Registry,
        config: Config,
        logs: LogFiles,
        records: Records,
        roots: Roots,
        loop: Loop,
        engine_watch: EngineWatch,
        history: History,
        steps: Path,
        announce: Callable[[BuildView], None],
    ) -> None:
        """`announce` is told of every build that begins or ends; `steps` is where containers of steps are noted."""
        self._engine = engine
        self._obtainer = obtainer
        self._registry = registry
        self.config = config
        self._logs = logs
        self._records = records
        self._roots = roots
        self._loop = loop
        self._engine_watch = engine_watch
        self._history = history
        self._steps = steps
        self._announce = announce
        self._builders: dict[BuilderSettings, Builder] = {}
        self._log_paths: dict[str, Path] = {}
        self._running: dict[str, RunningBuild] = {}
        self._builds: dict[str, asyncio.Task[BuildEnded]] = {}
        self._tasks: set[asyncio.Task[Event]] = set()
        self._tagging = asyncio.Lock()

    def reconfigure(self, config: Config) -> None:
        """Work by `config` from the next build on."""
        self.config = config

    def perform(self, effect: Effect) -> None:
        match effect:
            case StartBuild():
                self._start_build(effect)
            case CancelBuild(name):
                if name in self._builds:
                    self._builds[name].cancel()
            case AskRegistry(name, platform):
                self._answer(
                    self._registry.ask(name, platform),
                    lambda problem: RegistryAnswered(name, Answer.UNKNOWN, problem=problem),
                )
            case PushImage(name, image_id):
                self._answer(self._push(effect), lambda problem: PushEnded(name, image_id, problem=problem))
            case ResolveBase(reference):
                self._answer(
                    resolve_base(self._engine, reference, self._engine_watch.recorded_digest),
                    lambda problem: BaseUnresolved(reference, problem),
                )
            case SetAlias(alias, name):
                self._answer(self._set_alias(effect), lambda problem: AliasSet(alias, name, problem))

    async def close(self) -> None:
        """Stop every build and wait until it has stopped."""
        tasks = [*self._tasks, *self._builds.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _answer(self, work: Coroutine[None, None, Event], otherwise: Callable[[Problem], Event]) -> None:
        """Post the event that `work` returns; a bug in it is an answer too, and nobody waits for ever."""

        def ended(task: asyncio.Task[Event]) -> None:
            self._tasks.discard(task)
            if not task.cancelled():
                error = task.exception()
                self._loop.post(task.result() if error is None else otherwise(_bug(error)))

        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(ended)

    def _start_build(self, effect: StartBuild) -> None:
        name = effect.name
        running = RunningBuild(
            effect,
            self._loop.state.environments[effect.id],
            time.time(),
            estimate=self._history.estimate(effect.id),
            post=self._loop.post,
        )
        self._running[name] = running

        # A task that is cancelled before it began runs none of its code: only its end is sure to come.
        def ended(task: asyncio.Task[BuildEnded]) -> None:
            del self._builds[name]
            if task.cancelled():
                event = BuildEnded(name, Ending.CANCELLED)
            else:
                error = task.exception()
                if error is None:
                    event = task.result()
                elif isinstance(error, (EnvkilnError, OSError)):
                    event = ended_by(name, error)
                else:
                    event = BuildEnded(name, Ending.FAILED, problem=_bug(error))
            if event.ending is Ending.INTERRUPTED:
                self._engine_watch.doubt()
            self._note_build(effect, event, running)
            self._loop.post(event)

        task = asyncio.create_task(self._obtain(effect, running))
        self._builds[name] = task
        task.add_done_callback(ended)

    def _begun(self, request: BuildRequest) -> Path:
        """A builder begins: until now an image that is there could have been found."""
        name = request.identity.image
        self._announce(self._history.begin(self._running[name].begun(self._log_paths[name])))
        return self._log_paths[name]

    def _note_build(self, effect: StartBuild, ended: BuildEnded, running: RunningBuild) -> None:
        del self._running[effect.name]
        log = self._log_paths.pop(effect.name, None)
        begun = self._history.running(effect.name) is not None
        if not begun and ended.ending in (Ending.FOUND, Ending.CANCELLED, Ending.UNANSWERED):
            return
        build = running.ended(ended, log if begun else None)
        self._history.end(build)
        self._records.note_build(effect.id, msgspec.to_builtins(build))
        self._announce(build)

    async def _obtain(self, effect: StartBuild, running: RunningBuild) -> BuildEnded:
        request = build_request(running.environment, self._roots)
        self._log_paths[effect.name] = await asyncio.to_thread(self._logs.new, effect.name, running.started)
        reach("log-named")
        builder = await asyncio.to_thread(self._builder, running.environment.sighting.settings)
        asks = asks_registries(running.environment.sighting)
        shares = running.environment.sighting.settings.push == "ready"
        if effect.forced:
            request = replace(request, options=replace(request.options, no_cache=True))
        try:
            return await self._obtainer.obtain(
                builder, request, running.hear, forced=effect.forced, asks=asks, shares=shares
            )
        finally:
            running.close()

    def _builder(self, settings: EnvironmentSettings) -> Builder:
        """Return the builder that the settings ask for; it is kept, with what it has learnt of its caches."""
        wanted = BuilderSettings(
            kind=settings.builder,
            engine_url=self.config.docker_host,
            buildx_builder=settings.buildx_builder,
            docker_config=self.config.docker_config,
            time_limit_s=settings.time_limit_s or None,
            silence_limit_s=settings.silence_limit_s or None,
            steps=self._steps,
        )
        builder = self._builders.get(wanted)
        if builder is None:
            builder = choose_builder(wanted, self._engine_watch.info, self._begun)
            self._builders[wanted] = builder
        return builder

    async def _push(self, effect: PushImage) -> PushEnded:
        try:
            image = await self._registry.push(effect.name, effect.platform)
        except EnvkilnError as error:
            retry_after_s = error.retry_after_s if isinstance(error, NoAnswer) else None
            return PushEnded(effect.name, effect.image_id, problem=Problem.of(error), retry_after_s=retry_after_s)
        return PushEnded(effect.name, effect.image_id, image)

    async def _set_alias(self, effect: SetAlias) -> AliasSet:
        # One at a time: two changes of one alias keep their order.
        async with self._tagging:
            return await asyncio.to_thread(set_alias, self._engine, effect)


def _bug(error: BaseException) -> Problem:
    return Problem(f"internal error: {error!r}", "please report it with the log", turn=Turn.BUG)


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


def _may_move(engine: Engine, image: EngineImage) -> bool:
    """Return whether a tag may be taken away from the image: one of ours, or Azure ML's own."""
    if is_ours(image.labels):
        return not is_derived(engine, image)
    return image.environment.get("AZUREML_ENVIRONMENT_IMAGE") is not None


def set_alias(engine: Engine, effect: SetAlias) -> AliasSet:
    """Point the alias to the image; never away from an image that is not ours."""
    try:
        there = engine.inspect(effect.alias)
        if there is not None and not _may_move(engine, there):
            problem = Problem(
                f"the tag {effect.alias} belongs to an image that envkiln did not make",
                "rename the environment's directory, or set other `aliases` for it",
            )
            return AliasSet(effect.alias, effect.name, problem)
        reach("alias-checked")
        engine.tag(f"{effect.name}:latest", effect.alias)
        reach("alias-set")
    except EnvkilnError as error:
        return AliasSet(effect.alias, effect.name, Problem.of(error))
    return AliasSet(effect.alias, effect.name)
