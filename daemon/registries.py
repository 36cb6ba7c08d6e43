"""The registries of the settings as one: asked in order, and the first one is pushed to."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from envkiln.cache.errors import EnvkilnError
from envkiln.daemon import engine_transfer
from envkiln.daemon.credentials import Credentials, find_credentials
from envkiln.daemon.engine import Engine
from envkiln.daemon.events import Answer, Problem, RegistryAnswered, RegistryImage
from envkiln.daemon.own_thread import in_own_thread
from envkiln.daemon.registry_address import RegistryAddress
from envkiln.daemon.registry_client import RegistryClient
from envkiln.daemon.registry_errors import NoAnswer
from envkiln.daemon.registry_images import NotBelieved, find_image
from envkiln.daemon.registry_push import Pusher

T = TypeVar("T")

_AT_ONCE = 8
"""So many questions, and half as many pushes, go on at the same time."""


class Registries:
    """Several registries as if they were one, for one engine; see `registry.Registry`."""

    def __init__(
        self,
        addresses: Sequence[RegistryAddress],
        engine: Engine,
        platform: Callable[[], str],
        *,
        docker_config: Path | None = None,
        trust_azureml: bool = False,
    ) -> None:
        """There is at least one address; `platform` says that of the engine, as `os/architecture`."""
        self._engine = engine
        self._platform = platform
        self._docker_config = docker_config
        self._trust_azureml = trust_azureml
        self._clients = [RegistryClient(address, self._login_of(address.host)) for address in addresses]
        self._pusher = Pusher(self._clients[0], engine, trust_azureml=trust_azureml)
        self._asking = asyncio.Semaphore(_AT_ONCE)
        self._pushing = asyncio.Semaphore(_AT_ONCE // 2)

    async def ask(self, name: str, platform: str | None) -> RegistryAnswered:
        wanted = platform or self._platform()
        async with self._asking:
            return await in_own_thread(
                f"ask for {name}",
                lambda: ask_all(self._clients, name, wanted, trust_azureml=self._trust_azureml),
            )

    async def pull(self, image: RegistryImage) -> None:
        client = next(it for it in self._clients if it.address.repository(image.name) == image.repository)
        login = await in_own_thread("log-in", client.credentials)
        # By its digest: what has been believed is what comes.
        await engine_transfer.pull(self._engine, image.repository, image.digest, login)
        await asyncio.to_thread(self._take, image)

    async def push(self, name: str, platform: str | None) -> RegistryImage:
        async with self._pushing:
            return await self._pusher.push(name, platform or self._platform())

    def _take(self, image: RegistryImage) -> None:
        """Give the image that was pulled its name, and no other."""
        self._engine.tag(image.reference, f"{image.name}:latest")
        self._engine.remove(image.reference)

    def _login_of(self, host: str) -> Callable[[], Credentials | None]:
        return lambda: find_credentials(host, self._docker_config)


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
