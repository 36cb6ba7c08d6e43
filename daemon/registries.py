"""The registries of the settings as one: asked in order, and the first one is pushed to."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from envkiln.cache.errors import EnvkilnError
from envkiln.daemon.credentials import find_credentials
from envkiln.daemon.events import Answer, Problem, RegistryAnswered
from envkiln.daemon.registry_address import RegistryAddress
from envkiln.daemon.registry_client import RegistryClient
from envkiln.daemon.registry_errors import NoAnswer
from envkiln.daemon.registry_images import NotBelieved, find_image

P = ParamSpec("P")
T = TypeVar("T")

_AT_ONCE = 8
"""Questions at the same time, in threads of their own: a registry that hangs keeps nobody else's waiting."""


class Registries:
    """Asks several registries as if they were one; see `registry.Registry`."""

    def __init__(
        self,
        addresses: Sequence[RegistryAddress],
        docker_config: Path | None,
        platform: Callable[[], str],
        *,
        trust_azureml: bool = False,
    ) -> None:
        """`platform` says that of the engine, as `os/architecture`."""
        self._clients = [
            RegistryClient(address, lambda host=address.host: find_credentials(host, docker_config))  # type: ignore[misc]
            for address in addresses
        ]
        self._platform = platform
        self._trust_azureml = trust_azureml
        self._threads = ThreadPoolExecutor(_AT_ONCE, "registry")

    async def ask(self, name: str, platform: str | None) -> RegistryAnswered:
        wanted = platform or self._platform()
        return await self._run(ask_all, self._clients, name, wanted, trust_azureml=self._trust_azureml)

    def close(self) -> None:
        """Start nothing more; what is being asked ends with its time limit."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: call(*args, **kwargs))


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
