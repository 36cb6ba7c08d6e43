"""Asks a running service over its Unix socket. Imports little: every query starts here."""

import http.client
import json
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.daemon.version import API, VERSION

PAGE = 1000
_LOOK_S = 60.0
"""A look at everything may take this long."""
_CLEAN_UP_S = 3600.0
_QUIET_S = 90.0
"""A stream that says nothing for so long is asked for again, from where it was."""
_AGAIN_S = 0.5
_OPENED = ""
_RESTART = "restart the service: stop it, then `envkiln up`"

View = dict[str, Any]
Warn = Callable[[str], None]


class ServiceDown(EnvkilnError):  # noqa: N818 -- what it is
    """No service answers on the socket."""

    turn = Turn.SURROUNDINGS


class NotAllowed(EnvkilnError):  # noqa: N818 -- what it is
    """The service is somebody else's, and does not answer this user."""

    turn = Turn.USER


class OtherApi(EnvkilnError):  # noqa: N818 -- what it is
    """The service speaks another API: its answers would be misread."""

    turn = Turn.SURROUNDINGS


class ServiceRefused(EnvkilnError):  # noqa: N818 -- what it is
    """The service answers and does not do what it was asked; `status` is that of HTTP."""

    def __init__(self, message: str, *, status: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.turn = Turn.USER if status < 500 else Turn.SURROUNDINGS


def _to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")


class Client:
    """One service. Every method raises ServiceDown when nobody answers, OtherApi when it is of another kind, NotAllowed
    when it is somebody else's.

    The answers are the messages of `messages.py` as dicts.
    """

    def __init__(self, path: Path, *, timeout_s: float = 5.0, warn: Warn = _to_stderr) -> None:
        """`warn` gets one line, once, when the service is of another version."""
        self._path = path
        self._timeout_s = timeout_s
        self._warn: Warn | None = warn

    def service(self) -> View:
        """Return the `ServiceView`."""
        return self._there(self._ask("GET", "/v1/service"))

    def environments(
        self, *, states: Sequence[str] = (), name: str | None = None, text: str | None = None
    ) -> list[View]:
        """Return the `EnvironmentView` of all that fit, by id."""
        filters = [("state", state) for state in states]
        filters += [(key, value) for key, value in (("name", name), ("text", text)) if value is not None]
        return self._pages("/v1/environments", filters)

    def environment(self, id_: str) -> View | None:
        """Return the `EnvironmentDetail`, None when there is none of that id."""
        return self._ask("GET", _of(id_)) if id_ else None

    def wait(self, id_: str, timeout_s: float) -> View | None:
        """Look at the files; return the detail when the environment is settled, or after `timeout_s` (at most a
        minute)."""
        return self._ask("GET", f"{_of(id_)}?wait={timeout_s:.3f}", wait_s=timeout_s + _LOOK_S) if id_ else None

    def build(self, id_: str) -> View | None:
        """Ask for a build of an environment; its view, None when there is none of that id."""
        return self._ask("POST", f"{_of(id_)}/build")

    def push(self, id_: str) -> View | None:
        """Ask for a push of the image of an environment; its view, None when there is none of that id."""
        return self._ask("POST", f"{_of(id_)}/push")

    def cancel(self, id_: str) -> View | None:
        """End the build of an environment; its view, None when there is none of that id."""
        return self._ask("POST", f"{_of(id_)}/cancel")

    def use(self, id_: str) -> View | None:
        """Note that the image of an environment is used; its view, None when there is none of that id."""
        return self._ask("POST", f"{_of(id_)}/use")

    def pause(self, id_: str | None) -> View | None:
        """Start no more builds of one environment (its view, or None) or of any (the service's)."""
        return self._of_one_or_all(id_, "pause")

    def resume(self, id_: str | None) -> View | None:
        return self._of_one_or_all(id_, "resume")

    def rescan(self, id_: str | None) -> View | None:
        return self._of_one_or_all(id_, "rescan", wait_s=_LOOK_S)

    def images(self) -> list[View]:
        """Return every `ImageView`, by name."""
        return self._pages("/v1/images", [])

    def versions(self) -> list[View]:
        """Return the `VersionView` of every registered version that is not archived, by name and number."""
        return self._pages("/v1/versions", [])

    def builds(
        self, *, environment: str | None = None, states: Sequence[str] = (), most: int | None = None
    ) -> list[View]:
        """Return builds, running ones first, then the newest first; at most `most`."""
        filters = [("state", state) for state in states]
        if environment is not None:
            filters.append(("environment", environment))
        return self._pages("/v1/builds", filters, most)

    def build_view(self, build: str) -> View | None:
        """Return the `BuildView`, None when there is none of that id."""
        return self._ask("GET", f"/v1/builds/{_quoted(build)}")

    def log(self, build: str, tail: int | None = None) -> bytes | None:
        """Return the log of a build, or its last `tail` lines; None when there is none."""
        query = f"?tail={tail}" if tail is not None else ""
        return self._body("GET", f"/v1/builds/{_quoted(build)}/log{query}")

    def follow_log(self, build: str, tail: int | None = None) -> Iterator[tuple[str, View]]:
        """Yield (`lines`, {"lines": [...]}) as they come, and at the end (`end`, the BuildView)."""
        target = f"/v1/builds/{_quoted(build)}/log?follow=true" + (f"&tail={tail}" if tail is not None else "")
        for _, kind, data in self._following(target, None, None):
            if kind in ("lines", "end"):
                yield kind, data
            if kind == "end":
                return

    def stats(self) -> View:
        """Return the `StatsView`."""
        return self._there(self._ask("GET", "/v1/stats", wait_s=_LOOK_S))

    def clean_up(self, *, dry_run: bool) -> View:
        """Remove the images that nobody needs, or say which would go; return the `CleanUpView`."""
        query = f"?dry_run={str(dry_run).lower()}"
        return self._there(self._ask("POST", f"/v1/gc{query}", wait_s=_CLEAN_UP_S))

    def events(
        self, last_id: str | None = None, *, lost: Callable[[ServiceDown], None] | None = None
    ) -> Iterator[tuple[str | None, str, View]]:
        """Yield (id, kind, message) of what happens, without an end: after a snapshot, or after the event `last_id`.

        When the service goes away after the first event, `lost` is told, and the stream goes on when there is one
        again; without `lost`, ServiceDown is raised.
        """
        return self._following("/v1/events", last_id, lost)

    def web(self) -> str:
        """Open the web page's port; return the page's address with its token."""
        return str(self._there(self._ask("POST", "/v1/web", wait_s=_LOOK_S))["url"])

    def _of_one_or_all(self, id_: str | None, action: str, *, wait_s: float = 0.0) -> View | None:
        target = "/v1" if id_ is None else _of(id_)
        return self._ask("POST", f"{target}/{action}", wait_s=wait_s)

    def _pages(self, target: str, filters: list[tuple[str, str]], most: int | None = None) -> list[View]:
        items: list[View] = []
        after: list[tuple[str, str]] = []
        while most is None or len(items) < most:
            limit = ("limit", str(PAGE if most is None else min(PAGE, most - len(items))))
            query = urlencode([*filters, limit, *after], errors="surrogateescape")
            page = self._there(self._ask("GET", f"{target}?{query}"))
            items += page["items"]
            if page["next"] is None:
                break
            after = [("after", page["next"])]
        return items

    def _there(self, answer: View | None) -> View:
        if answer is None:
            raise ServiceDown("the service is another program", hint=f"what listens on {self._path}?")
        return answer

    def _ask(self, method: str, target: str, *, wait_s: float = 0.0) -> View | None:
        body = self._body(method, target, wait_s=wait_s)
        if body is None:
            return None
        try:
            found = json.loads(body)
        except ValueError as error:
            raise self._down(error) from error
        return found if isinstance(found, dict) else None

    def _body(self, method: str, target: str, *, wait_s: float = 0.0) -> bytes | None:
        """Return the answer, None when what was asked for does not exist."""
        connection = _UnixConnection(self._path, self._timeout_s + wait_s)
        try:
            response = self._open(connection, method, target, {})
            return response.read() if response is not None else None
        except (OSError, http.client.HTTPException) as error:
            raise self._down(error) from error
        finally:
            connection.close()

    def _open(
        self, connection: http.client.HTTPConnection, method: str, target: str, headers: dict[str, str]
    ) -> http.client.HTTPResponse | None:
        """Return a good answer whose body is not read yet, None when what was asked for does not exist."""
        connection.request(method, target, headers={"Envkiln-Version": VERSION, **headers})
        response = connection.getresponse()
        good = False
        try:
            self._shake_hands(response)
            if response.status >= 400 and response.status != 404:
                raise _refusal(response)
            good = response.status < 400
        finally:
            if not good:
                response.close()
        return response if good else None

    def _shake_hands(self, response: http.client.HTTPResponse) -> None:
        api, version = response.getheader("Envkiln-Api"), response.getheader("Envkiln-Version")
        if api is None:
            raise OtherApi(
                f"what answers on {self._path} is an older envkiln, or another program",
                hint=f"if it is envkiln: {_RESTART}",
            )
        if api != str(API):
            raise OtherApi(f"the service speaks API {api}, this command speaks API {API}", hint=_RESTART)
        if version != VERSION and self._warn is not None:
            self._warn(f"the service is envkiln {version}, this command is {VERSION}; {_RESTART}")
            self._warn = None

    def _following(
        self, target: str, last_id: str | None, lost: Callable[[ServiceDown], None] | None
    ) -> Iterator[tuple[str | None, str, View]]:
        begun = False
        while True:
            problem: Exception = EOFError("it ended")
            try:
                for id_, kind, data in self._stream(target, last_id):
                    begun = True
                    last_id = id_ or last_id
                    if kind != _OPENED:
                        yield id_, kind, data
            except (OSError, http.client.HTTPException, ValueError) as error:
                problem = error
            if not isinstance(problem, TimeoutError) or not begun:
                if lost is None or not begun:
                    raise self._down(problem) from problem
                lost(self._down(problem))
                time.sleep(_AGAIN_S)

    def _stream(self, target: str, last_id: str | None) -> Iterator[tuple[str | None, str, View]]:
        connection = _UnixConnection(self._path, _QUIET_S)
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id is not None else {})
        try:
            response = self._open(connection, "GET", target, headers)
            if response is None:
                raise ServiceRefused("the service does not have that", status=404)
            with response:
                yield None, _OPENED, {}
                yield from _frames(response)
        finally:
            connection.close()

    def _down(self, error: Exception) -> ServiceDown:
        return ServiceDown(f"no envkiln service answers on {self._path} ({error})", hint="start it with: envkiln up")


def _refusal(response: http.client.HTTPResponse) -> ServiceRefused:
    message: Any = None
    with suppress(ValueError):
        message = json.loads(response.read())
    message = message if isinstance(message, dict) else {}
    text = message.get("error") or f"the service answered {response.status}"
    return ServiceRefused(str(text), status=response.status, hint=message.get("hint"))


def _frames(response: http.client.HTTPResponse) -> Iterator[tuple[str | None, str, View]]:
    """Yield the server-sent events of an answer until it ends."""
    id_, kind, data = None, "message", b""
    while line := response.readline():
        line = line.rstrip(b"\r\n")
        if not line:
            if data:
                yield id_, kind, json.loads(data)
            id_, kind, data = None, "message", b""
            continue
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data = data + b"\n" + value if data else value
        elif name == b"event":
            kind = value.decode()
        elif name == b"id":
            id_ = value.decode()


def _of(id_: str) -> str:
    return f"/v1/environments/{_quoted(id_)}"


def _quoted(id_: str) -> str:
    return quote(id_, errors="surrogateescape")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("envkiln", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(str(self._path))
        except PermissionError:
            raise NotAllowed(
                f"the service on {self._path} does not answer this user",
                hint="the machine's service answers its group: sudo usermod -aG envkiln $USER, then log in again",
            ) from None
