"""Images on their way between the engine and a registry. The engine moves them; layers that are there stay."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.cache.redact import redact
from envkiln.daemon.credentials import Credentials
from envkiln.daemon.engine import Engine
from envkiln.daemon.engine_errors import EngineRefused
from envkiln.daemon.engine_stream import interrupt
from envkiln.daemon.own_thread import in_own_thread

if TYPE_CHECKING:
    import docker
    import requests

_Start = Callable[["docker.APIClient"], Iterable[Mapping[str, Any]]]


class TransferFailed(EnvkilnError):  # noqa: N818 -- what it is
    """The engine could not pull or push an image."""

    turn = Turn.SURROUNDINGS


async def pull(engine: Engine, repository: str, digest: str, credentials: Credentials | None) -> None:
    """Bring `repository@digest` into the engine; raises TransferFailed and EngineUnavailable.

    Cancelling it ends it: CancelledError comes out when the engine has been told.
    """
    login = credentials.for_engine() if credentials else None
    await _run(
        engine,
        f"pull {repository}@{digest}",
        lambda client: client.pull(repository, tag=digest, stream=True, decode=True, auth_config=login),
    )


async def push(engine: Engine, repository: str, tag: str, credentials: Credentials | None) -> None:
    """Bring the engine's `repository:tag` into the registry; raises and is cancelled as `pull`."""
    login = credentials.for_engine() if credentials else None
    await _run(
        engine,
        f"push {repository}:{tag}",
        lambda client: client.push(repository, tag=tag, stream=True, decode=True, auth_config=login),
    )


async def _run(engine: Engine, what: str, start: _Start) -> None:
    stop = _Stop()
    moving = asyncio.ensure_future(in_own_thread(what, lambda: engine.transfer(what, start, stop.receive)))
    try:
        await asyncio.shield(moving)
    except asyncio.CancelledError:
        stop.now()
        with suppress(EnvkilnError):
            await moving
        raise
    except EngineRefused as refused:
        said = redact(refused.message)
        login = any(word in said for word in ("unauthorized", "denied", "no basic auth", "authentication required"))
        host = what.rsplit(maxsplit=1)[-1].partition("/")[0]
        raise TransferFailed(
            said, hint=f"docker login {host}; it is tried again" if login else "it is tried again by itself"
        ) from refused


class _Stop:
    """The way to end an answer of the engine, whether it has begun or not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._responses: list[requests.Response] = []
        self._asked = False

    def now(self) -> None:
        with self._lock:
            self._asked = True
            responses = list(self._responses)
        for response in responses:
            interrupt(response)

    def receive(self, response: "requests.Response") -> None:
        with self._lock:
            self._responses.append(response)
            asked = self._asked
        if asked:
            interrupt(response)
