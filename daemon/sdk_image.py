"""The image of a registered version: there already, made by the running service, or built here (FACTS §2.7)."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envkiln.cache.definition import EnvironmentDefinition
from envkiln.cache.errors import EnvkilnError
from envkiln.cache.identity import Identity, base_image_of
from envkiln.cache.redact import redact
from envkiln.cache.registered_version import RegisteredVersion
from envkiln.daemon.builder import BuildRequest
from envkiln.daemon.builders import BuilderSettings, choose_builder
from envkiln.daemon.client import Client
from envkiln.daemon.config import EnvironmentSettings
from envkiln.daemon.engine import Engine
from envkiln.daemon.events import Answer, BuildEnded, Ending, Problem, RegistryImage, SetAlias
from envkiln.daemon.hands import set_alias
from envkiln.daemon.labels import labels_for
from envkiln.daemon.logs import LogFiles
from envkiln.daemon.obtain import Obtainer
from envkiln.daemon.registries import registry_of
from envkiln.daemon.registry_facts import ASK_WHO_BUILDS_S
from envkiln.daemon.sdk_apart import run_apart
from envkiln.daemon.sdk_errors import BuildFailedException, UserErrorException
from envkiln.daemon.sdk_registered import definition_of, tree_of
from envkiln.daemon.sdk_workspace import Workspace
from envkiln.daemon.version_views import tag_of

_AT_A_TIME_S = 30.0
_GOING_ON = ("queued", "building")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What an image is made from, and how."""

    definition: EnvironmentDefinition
    identity: Identity
    settings: EnvironmentSettings


def ensure_image(workspace: Workspace, version: RegisteredVersion, say: Say) -> None:
    """See to it that the engine has the image of a version, under its name and the version's tag.

    A running service that builds the same name is waited for. Raises BuildFailedException, whose hint says why and
    where the log is.
    """
    workspace.paths.ensure()
    definition, identity = definition_of(workspace, version)
    settings = workspace.config.for_environment(workspace.root, version.name)
    wanted = _Wanted(definition, identity, settings)
    engine = Engine(workspace.config.docker_host)
    _wait_for_service(workspace, identity.image, say)
    log = LogFiles(workspace.paths.logs).new(identity.image, time.time())
    ended = run_apart(_obtain(workspace, version, wanted, engine, log, say))
    _judge(ended, log)
    if ended.ending is Ending.FOUND:
        say(f"Materialized image found on target: {identity.image}")
    tagged = set_alias(engine, SetAlias(tag_of(version), identity.image))
    if tagged.problem is not None:
        raise BuildFailedException(tagged.problem.message, hint=tagged.problem.hint, turn=tagged.problem.turn)


def _wait_for_service(workspace: Workspace, image: str, say: Say) -> None:
    """Return when no running service is on its way to the image: its order and limits count, and its history has it."""
    client = Client(workspace.paths.socket)
    try:
        known = [view for view in client.environments(text=image) if view["image"] == image]
        view: dict[str, Any] | None = known[0] if known else None
        while view is not None and view["image"] == image and view["state"] in _GOING_ON:
            if view["paused"] or client.service()["paused"]:
                return
            say(f"{view['environment']}: {view['state']} by the service")
            view = client.wait(str(view["environment"]), _AT_A_TIME_S)
    except EnvkilnError:
        # No service, or one that cannot say: the locks and the engine are enough to do it here.
        return


async def _obtain(
    workspace: Workspace, version: RegisteredVersion, wanted: _Wanted, engine: Engine, log: Path, say: Say
) -> BuildEnded:
    settings, config = wanted.settings, workspace.config

    def begun(request: BuildRequest) -> Path:
        say(f"Materialized image not found on target: {request.identity.image}")
        return log

    builder = choose_builder(
        BuilderSettings(
            kind=settings.builder,
            engine_url=config.docker_host,
            buildx_builder=settings.buildx_builder,
            docker_config=config.docker_config,
            time_limit_s=settings.time_limit_s or None,
            silence_limit_s=settings.silence_limit_s or None,
        ),
        None,
        begun,
    )
    request = BuildRequest(
        wanted.definition,
        wanted.identity,
        tree_of(workspace, version),
        labels_for(wanted.definition, wanted.identity, resolved=_is_resolved(wanted)),
        settings.build_options(),
    )
    obtainer = Obtainer(engine, registry_of(config, engine), workspace.paths.locks)
    while True:
        ended = await obtainer.obtain(builder, request, say, asks=settings.pull != "never")
        if ended.said is None or ended.said.answer is not Answer.PENDING:
            return ended
        say("Another machine builds it")
        await asyncio.sleep(ASK_WHO_BUILDS_S)


def _is_resolved(wanted: _Wanted) -> bool:
    """Return whether the digest of the base image is one that was looked up, not one that somebody wrote down."""
    base = wanted.identity.base_image
    asked = base_image_of(wanted.definition, wanted.settings.base_image)
    return base is not None and base.digest is not None and asked.digest is None


def _judge(ended: BuildEnded, log: Path) -> None:
    if ended.ending in (Ending.BUILT, Ending.FOUND):
        return
    problem = ended.problem or Problem("the build was stopped")
    hints = (redact(problem.message), problem.hint, f"log: {log}" if log.exists() else None)
    message = "Building environment failed with exit code: 1"
    raise BuildFailedException(message, hint="\n".join(filter(None, hints)), turn=problem.turn)


def push_image(workspace: Workspace, version: RegisteredVersion, say: Say) -> None:
    """See to it that the first registry of the settings has the image, whatever the setting `push` says.

    Raises UserErrorException without a registry, and BuildFailedException when the image is not there in the end.
    """
    config = workspace.config
    if not workspace.has_registry:
        message = f"there is no registry to push {version.image} to"
        raise UserErrorException(message, hint="set `registries` in the configuration")
    platform = config.for_environment(workspace.root, version.name).platform

    async def pushed() -> RegistryImage:
        return await registry_of(config, Engine(config.docker_host)).push(version.image, platform)

    try:
        say(f"Pushed {run_apart(pushed()).reference}")
    except EnvkilnError as error:
        message = f"Pushing {version.image} to {config.registries[0]} failed"
        hint = "\n".join(filter(None, [redact(str(error)), error.hint]))
        raise BuildFailedException(message, hint=hint, turn=error.turn) from error
