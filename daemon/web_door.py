"""The web page's way in: a port of 127.0.0.1, open only when somebody asks for it, behind a token."""

import asyncio
import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.daemon.access import behind_token
from envkiln.daemon.fault_point import reach
from envkiln.daemon.instance import UNFINISHED
from envkiln.daemon.quiet_server import QuietServer

_TOKEN_BYTES = 32


class NoPort(EnvkilnError):  # noqa: N818 -- what it is
    """The web page's port cannot be had."""

    turn = Turn.SURROUNDINGS


class WebDoor:
    """Lives on the event loop."""

    def __init__(self, make_app: Callable[[], ASGIApp], token_file: Path, port: int) -> None:
        """`make_app` is called when the door opens; with `port` 0 it is any that is free."""
        self._make_app = make_app
        self._token_file = token_file
        self._port = port
        self._token = ""
        self._server: QuietServer | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> str:
        """Listen, if that is not so yet, and return the page's address with its token. Raises NoPort."""
        if self._server is None:
            listener = socket.socket()
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(("127.0.0.1", self._port))
            except OSError as error:
                listener.close()
                raise NoPort(
                    f"port {self._port} of 127.0.0.1 cannot be had: {error.strerror or error}",
                    hint="set `web_port` to another one, or to 0 for any",
                ) from error
            self._port = listener.getsockname()[1]
            self._token = await asyncio.to_thread(_token, self._token_file)
            app = behind_token(self._make_app(), token=self._token, port=self._port)
            self._server = QuietServer(uvicorn.Config(app, log_config=None, lifespan="off", access_log=False))
            self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        return f"http://127.0.0.1:{self._port}/?token={self._token}"

    async def close(self) -> None:
        if self._server is not None and self._task is not None:
            await self._server.end(self._task)


def _token(file: Path) -> str:
    """Return the token of this state directory; it stays over restarts, so that a bookmark does."""
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        token = ""
    if len(token) >= _TOKEN_BYTES:
        return token
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    new = file.with_name(f"{file.name}{UNFINISHED}")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(f"{token}\n")
        stream.flush()
        os.fsync(stream.fileno())
    reach("token-written")
    new.replace(file)
    return token
