"""What a running service answers over HTTP, by the table in `routes.py`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.daemon.answers import Answers
from envkiln.daemon.event_stream import EventStream
from envkiln.daemon.journal import encoded
from envkiln.daemon.log_stream import follow, pieces, place_in
from envkiln.daemon.messages import BuildView, EnvironmentView, ErrorView, WebLink
from envkiln.daemon.metrics import Metrics, exposition, import_client
from envkiln.daemon.routes import LONGEST_WAIT_S, OPERATIONS, TEXT, VERSION_HEADERS, BadRequest, Operation
from envkiln.daemon.sse import STREAM, EventResponse
from envkiln.daemon.version import VERSION

_STATUS = {Turn.USER: 400, Turn.SURROUNDINGS: 503, Turn.BUG: 500}

Query = Mapping[str, Any]
Handler = Callable[[Request, str, Query], Awaitable[Response]]


class _IdConvertor(StringConvertor):
    regex = "(?s:.*)"  # an id has any characters: slashes, and line ends too


register_url_convertor("id", _IdConvertor())


class Unknown(EnvkilnError):  # noqa: N818 -- what it is
    """There is nothing of this id."""


def make_api(answers: Answers, *, metrics: Metrics, extra: Sequence[BaseRoute] = ()) -> Starlette:
    """Return the application: all operations of the table, and behind them the routes of `extra`."""
    handlers = _Handlers(answers, metrics).by_name
    app = Starlette(
        routes=[*(_route(operation, handlers[operation.name]) for operation in OPERATIONS), *extra],
        middleware=[Middleware(_Versioned)],
        exception_handlers={HTTPException: _refused, EnvkilnError: _failed, Exception: _bug},
    )
    # Not a redirect but a plain no: `/v1/service/` is not a thing that is elsewhere.
    app.router.redirect_slashes = False
    return app


class _Handlers:
    """One coroutine for each operation: the request, what stands in the path's braces, the query."""

    def __init__(self, answers: Answers, metrics: Metrics) -> None:
        self._answers = answers
        self._metrics = metrics
        self._events = EventStream(answers)
        self.by_name: dict[str, Handler] = {
            "service": self._service,
            "environments": self._environments,
            "environment": self._environment,
            "build": self._asking(answers.request_build),
            "push": self._asking(answers.request_push),
            "cancel": self._asking(answers.cancel),
            "pause": self._asking(answers.pause),
            "resume": self._asking(answers.resume),
            "use": self._asking(answers.use),
            "rescan": self._rescan,
            "pause_all": self._asking_all(answers.pause),
            "resume_all": self._asking_all(answers.resume),
            "rescan_all": self._rescan_all,
            "images": self._images,
            "builds": self._builds,
            "one_build": self._build,
            "log": self._log,
            "versions": self._versions,
            "version": self._version,
            "events": self._follow_events,
            "stats": self._stats,
            "clean_up": self._clean_up,
            "web": self._web,
            "openapi": self._openapi,
            "healthz": self._healthz,
            "readyz": self._readyz,
            "metrics": self._scrape,
        }

    async def _service(self, _request: Request, _item: str, _query: Query) -> Response:
        return _json(self._answers.service())

    async def _environments(self, _request: Request, _item: str, query: Query) -> Response:
        return _json(self._answers.environments(**_with_states(query)))

    async def _environment(self, _request: Request, id_: str, query: Query) -> Response:
        if "wait" in query:
            await self._answers.look(id_)
            self._answers.need_image(id_)
            await self._answers.applied()
            await self._settled(id_, min(max(0.0, query["wait"]), LONGEST_WAIT_S))
            if self._answers.is_settled(id_):
                self._answers.use(id_)
        detail = await self._answers.detail(id_)
        if detail is None:
            raise _no_environment()
        return _json(detail)

    async def _settled(self, id_: str, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._answers.is_settled(id_):
                    await self._answers.changed()

    def _asking(self, ask: Callable[[str], None]) -> Handler:
        async def asked(_request: Request, id_: str, _query: Query) -> Response:
            self._view(id_)
            ask(id_)
            await self._answers.applied()
            return _json(self._view(id_))

        return asked

    def _asking_all(self, ask: Callable[[None], None]) -> Handler:
        async def asked(_request: Request, _item: str, _query: Query) -> Response:
            ask(None)
            await self._answers.applied()
            return _json(self._answers.service())

        return asked

    async def _rescan(self, _request: Request, id_: str, _query: Query) -> Response:
        await self._answers.look(id_)
        return _json(self._view(id_))

    async def _rescan_all(self, _request: Request, _item: str, _query: Query) -> Response:
        await self._answers.look(None)
        return _json(self._answers.service())

    def _view(self, id_: str) -> EnvironmentView:
        view = self._answers.environment(id_)
        if view is None:
            raise _no_environment()
        return view

    async def _images(self, _request: Request, _item: str, query: Query) -> Response:
        return _json(self._answers.images(**query))

    async def _builds(self, _request: Request, _item: str, query: Query) -> Response:
        return _json(self._answers.builds(**_with_states(query)))

    async def _build(self, _request: Request, build: str, _query: Query) -> Response:
        return _json(self._known(build))

    def _known(self, build: str) -> BuildView:
        view = self._answers.build(build)
        if view is None:
            raise _no_build()
        return view

    async def _versions(self, _request: Request, _item: str, query: Query) -> Response:
        return _json(self._answers.versions(**query))

    async def _version(self, _request: Request, reference: str, _query: Query) -> Response:
        version = self._answers.version(reference)
        if version is None:
            raise Unknown("no such version is registered", hint="GET /v1/versions lists them")
        return _json(version)

    async def _log(self, request: Request, build: str, query: Query) -> Response:
        path = self._answers.logs.of_build(build)
        if path is None:
            raise _no_build()
        following = bool(query.get("follow"))
        seen = _offset(_last_id(request, query)) if following else None
        try:
            start = await place_in(path, tail=query.get("tail"), seen=seen)
        except OSError as error:
            raise Unknown("the log of this build is not there", hint="only the last logs of an image stay") from error
        if request.method == "HEAD":
            return _empty(STREAM if following else TEXT)
        if following:
            frames = follow(path, start, self._known(build), self._answers.build)
            return EventResponse(frames, self._metrics.following())
        return StreamingResponse(pieces(path, start), media_type=TEXT)

    async def _follow_events(self, request: Request, _item: str, query: Query) -> Response:
        if request.method == "HEAD":
            return _empty(STREAM)
        return EventResponse(self._events.frames(_last_id(request, query)), self._metrics.following())

    async def _stats(self, _request: Request, _item: str, _query: Query) -> Response:
        return _json(await self._answers.stats())

    async def _clean_up(self, _request: Request, _item: str, query: Query) -> Response:
        return _json(await self._answers.clean_up(**query))

    async def _web(self, _request: Request, _item: str, _query: Query) -> Response:
        return _json(WebLink(await self._answers.web_link()))

    async def _openapi(self, _request: Request, _item: str, _query: Query) -> Response:
        return Response(self._document, media_type="application/json")

    @cached_property
    def _document(self) -> bytes:
        from envkiln.daemon.openapi import openapi  # noqa: PLC0415 -- for the few who ask for it

        return msgspec.json.encode(openapi(OPERATIONS, VERSION))

    async def _healthz(self, _request: Request, _item: str, _query: Query) -> Response:
        return Response(b"ok\n", media_type=TEXT)

    async def _readyz(self, _request: Request, _item: str, _query: Query) -> Response:
        if self._answers.service().starting:
            return _error(503, "the first look at the roots is not done", "ask again in a moment")
        return Response(b"ready\n", media_type=TEXT)

    async def _scrape(self, _request: Request, _item: str, _query: Query) -> Response:
        await asyncio.to_thread(import_client)
        text, media = exposition(self._metrics, self._answers)
        return Response(text, headers={"content-type": media})


def _route(operation: Operation, handler: Handler) -> Route:
    async def endpoint(request: Request) -> Response:
        query = operation.query(request.scope["query_string"])
        return await handler(request, operation.item(request.scope["raw_path"]), query)

    path = operation.path.replace("{id}", "{id:id}")
    return Route(path, endpoint, methods=[operation.method], name=operation.name)


def _with_states(query: Query) -> dict[str, Any]:
    """Return `query` with the name that `Answers` has for the states."""
    rest = dict(query)
    return {"states": rest.pop("state"), **rest} if "state" in rest else rest


def _last_id(request: Request, query: Query) -> str | None:
    # The header first: a browser that reconnects sends it to the address it had.
    found = request.headers.get("last-event-id") or query.get("last_event_id")
    return None if found is None else str(found)


def _offset(last_id: str | None) -> int | None:
    """Return the offset in a log that an event's id names, None if it is none."""
    if last_id is None or not (last_id.isascii() and last_id.isdecimal() and len(last_id) < 19):
        return None
    return int(last_id)


def _no_environment() -> Unknown:
    return Unknown("no environment of this id", hint="GET /v1/environments lists them")


def _no_build() -> Unknown:
    return Unknown("no build of this id", hint="GET /v1/builds lists those that are remembered")


def _json(value: msgspec.Struct, *, status: int = 200) -> Response:
    return Response(encoded(value), status, media_type="application/json")


def _empty(media: str) -> Response:
    return Response(media_type=media)


def _error(status: int, error: str, hint: str | None, headers: Mapping[str, str] | None = None) -> Response:
    response = _json(ErrorView(error, hint), status=status)
    response.headers.update(headers or {})
    return response


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    hint = "GET /v1/openapi.json says what can be asked"
    return _error(error.status_code, error.detail.lower(), hint, error.headers)


async def _failed(_request: Request, error: Exception) -> Response:
    if not isinstance(error, EnvkilnError):
        raise error
    if isinstance(error, BadRequest):
        return _error(400, error.message, error.hint)
    if isinstance(error, Unknown):
        return _error(404, error.message, error.hint)
    return _error(_STATUS[error.turn], error.message, error.hint)


async def _bug(_request: Request, error: Exception) -> Response:
    # Made outside of all middleware.
    return _error(500, f"an error of envkiln: {error!r}", "please report it", VERSION_HEADERS)


class _Versioned:
    """Says the version with every answer, so that a client of another one can say what to do."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = [(name.encode(), value.encode()) for name, value in VERSION_HEADERS.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers]
            await send(message)

        await self._app(scope, receive, sending)
