"""The registries of the settings as one: asked in order, and the first one is pushed to."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from envkiln.cache.errors import EnvkilnError
from envkiln.daemon import engine_transfer
from envkiln.daemon.config import Config
from envkiln.daemon.credentials import Credentials, find_credentials
from envkiln.daemon.engine import Engine
from envkiln.daemon.events import Answer, Problem, RegistryAnswered, RegistryImage
from envkiln.daemon.own_thread import in_own_thread
from envkiln.daemon.registry import NoRegistry, Registry
from envkiln.daemon.registry_address import RegistryAddress
from envkiln.daemon.registry_claims import LONGEST_S, UNPUSHED_S, Claims
from envkiln.daemon.registry_client import RegistryClient
from envkiln.daemon.registry_errors import NoAnswer
from envkiln.daemon.registry_images import NotBelieved, find_image
from envkiln.daemon.registry_push import Pusher

_AT_ONCE = 8
"""So many questions, and half as many pushes, go on at the same time."""


def _pending(name: str) -> RegistryAnswered:
    return RegistryAnswered(name, Answer.PENDING)


def registry_of(
    config: Config,
    engine: Engine,
    platform: Callable[[], str] | None = None,
    *,
    docker_config: Callable[[], Path | None] | None = None,
) -> Registry:
    """Return the registries of the settings for one engine, on an event loop.

    `platform` says the engine's own (`os/architecture`); without it, the engine is asked each time. `docker_config`
    says where log-ins are, if that may change.
    """
    if not config.registries:
        return NoRegistry()
    return Registries(
        config.registries,
        engine,
        platform or (lambda: engine.ping().platform),
        docker_config=docker_config or (lambda: config.docker_config),
        trust_azureml=config.trust_azureml_images,
    )


def check_registries(config: Config) -> dict[str, Problem | None]:
    """Return, for each registry of the settings, why it does not let us in now; None where it does. Blocks."""
    found: dict[str, Problem | None] = {}
    for address in config.registries:
        try:
            RegistryClient(address, _login_of(address.host, lambda: config.docker_config)).check()
        except EnvkilnError as error:
            found[str(address)] = Problem.of(error)
        else:
            found[str(address)] = None
    return found


class Registries:
    """Several registries as if they were one, for one engine; see `registry.Registry`."""

    def __init__(
        self,
        addresses: Sequence[RegistryAddress],
        engine: Engine,
        platform: Callable[[], str],
        *,
        docker_config: Callable[[], Path | None] = lambda: None,
        trust_azureml: bool = False,
    ) -> None:
        """There is at least one address; `platform` says that of the engine, as `os/architecture`."""
        self._engine = engine
        self._platform = platform
        self._trust_azureml = trust_azureml
        self._clients = [RegistryClient(address, _login_of(address.host, docker_config)) for address in addresses]
        self._pusher = Pusher(self._clients[0], engine, trust_azureml=trust_azureml)
        self._claims = Claims(self._clients[0])
        self._asking = asyncio.Semaphore(_AT_ONCE)
        self._pushing = asyncio.Semaphore(_AT_ONCE // 2)

    async def ask(self, name: str, platform: str | None) -> RegistryAnswered:
        async with self._asking:
            wanted = await self._wanted(platform)
            said = await in_own_thread(
                f"ask for {name}",
                lambda: ask_all(self._clients, name, wanted, trust_azureml=self._trust_azureml),
            )
            # Where something else stands under the name, nobody will push an image.
            if said.answer is not Answer.NO or said.problem is not None:
                return said
            try:
                return _pending(name) if await self._claims.elsewhere(name) else said
            except EnvkilnError as error:
                return RegistryAnswered(name, Answer.UNKNOWN, problem=Problem.of(error))

    async def claim(self, name: str) -> RegistryAnswered | None:
        # Who may not write into the registry builds for himself alone.
        with suppress(EnvkilnError):
            return None if await self._claims.take(name) else _pending(name)
        return None

    def built(self, name: str) -> None:
        self._claims.keep(name, UNPUSHED_S)

    def abandon(self, name: str) -> None:
        self._claims.abandon(name)

    async def release(self, name: str) -> None:
        await self._claims.release(name)

    async def pull(self, image: RegistryImage) -> None:
        client = next(it for it in self._clients if it.address.repository(image.name) == image.repository)
        login = await in_own_thread("log-in", client.credentials)
        # By its digest: what has been believed is what comes.
        await engine_transfer.pull(self._engine, image.repository, image.digest, login)
        await asyncio.to_thread(self._take, image)

    async def push(self, name: str, platform: str | None) -> RegistryImage:
        self._claims.keep(name, LONGEST_S)
        async with self._pushing:
            try:
                return await self._pusher.push(name, await self._wanted(platform))
            finally:
                await self._claims.release(name)

    async def _wanted(self, platform: str | None) -> str:
        return await asyncio.to_thread(self._platform) if platform is None else platform

    def _take(self, image: RegistryImage) -> None:
        """Give the image that was pulled its name, and no other."""
        self._engine.tag(image.reference, f"{image.name}:latest")
        self._engine.remove(image.reference)


def _login_of(host: str, docker_config: Callable[[], Path | None]) -> Callable[[], Credentials | None]:
    return lambda: find_credentials(host, docker_config())


def ask_all(
    clients: Sequence[RegistryClient], name: str, platform: str, *, trust_azureml: bool = False
) -> RegistryAnswered:
    """Ask one registry after the other. The first yes counts; a no counts only if all of them say so."""
    problem: Problem | None = None
    silent: EnvkilnError | None = None
    for client in clients:
        try:
            image = find_image(client, name, platform, trust_azureml=trust_azureml)
        except NotBelieved as error:
            problem = problem or Problem.of(error)
            continue
        except EnvkilnError as error:
            silent = silent or error
            continue
        if image is not None:
            return RegistryAnswered(name, Answer.YES, image)
    if silent is not None:
        retry_after_s = silent.retry_after_s if isinstance(silent, NoAnswer) else None
        return RegistryAnswered(name, Answer.UNKNOWN, problem=Problem.of(silent), retry_after_s=retry_after_s)
    return RegistryAnswered(name, Answer.NO, problem=problem)
