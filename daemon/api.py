"""The questions that a running service answers, over HTTP on its Unix socket."""

import asyncio
import json
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from envkiln.daemon.views import EnvironmentView, ServiceView

LONGEST_WAIT_S = 60.0
"""A question waits this long at most; whoever wants to wait longer asks again."""


class Answers(Protocol):
    """What the service can say; every method runs on the event loop and returns at once, except `settled`."""

    def service(self) -> ServiceView: ...

    def environment(self, id_: str) -> EnvironmentView | None: ...

    def is_settled(self, id_: str) -> bool:
        """Whether nothing more will happen to an environment by itself, its aliases included."""
        ...

    def request_build(self, id_: str) -> None: ...

    async def look(self, id_: str) -> None: ...

    async def changed(self) -> None:
        """Return when the state has changed."""
        ...


def make_api(answers: Answers) -> Starlette:
    """Return the application: `GET /v1/service`, `GET` and `POST` of one environment.

    `GET .../{id}?wait=SECONDS` looks at the environment's files first and answers when it is settled, or late.
    """

    async def service(_request: Request) -> Response:
        return _json(answers.service())

    async def environment(request: Request) -> Response:
        id_ = _id(request)
        if "wait" in request.query_params:
            await answers.look(id_)
            await _settled(answers, id_, _seconds(request.query_params["wait"]))
        return _answer(answers.environment(id_))

    async def build(request: Request) -> Response:
        id_ = _id(request)
        view = answers.environment(id_)
        if view is not None:
            answers.request_build(id_)
        return _answer(view)

    return Starlette(
        routes=[
            Route("/v1/service", service),
            Route("/v1/environments/{id:path}/build", build, methods=["POST"]),
            Route("/v1/environments/{id:path}", environment),
        ]
    )


async def _settled(answers: Answers, id_: str, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not answers.is_settled(id_):
                await answers.changed()


def _id(request: Request) -> str:
    """Return the id in the path. Starlette's own decoding loses the bytes of a path that is not UTF-8."""
    path = unquote_to_bytes(request.scope["raw_path"]).decode(errors="surrogateescape")
    id_ = path.removeprefix("/v1/environments/")
    return id_.removesuffix("/build") if request.method == "POST" else id_


def _seconds(text: str) -> float:
    try:
        return min(max(0.0, float(text)), LONGEST_WAIT_S)
    except ValueError:
        return LONGEST_WAIT_S


def _answer(view: EnvironmentView | None) -> Response:
    if view is None:
        return _json({"error": "no environment of this id"}, status=404)
    return _json(view)


def _json(value: Any, *, status: int = 200) -> Response:
    try:
        body = msgspec.json.encode(value)
    except UnicodeEncodeError:  # an id or a message with a path that is not UTF-8: written with escapes
        body = json.dumps(msgspec.to_builtins(value)).encode()
    return Response(body, status, media_type="application/json")
