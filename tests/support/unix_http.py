"""Asks over a Unix socket, and reads streams of events there.

On `pythonpath` (pyproject.toml): test files import it as `unix_http`.
"""

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMIT_S = 10.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Event:
    kind: str
    id: str | None
    data: Any


class Connection(http.client.HTTPConnection):
    """To a Unix socket, or a port of 127.0.0.1."""

    def __init__(self, place: Path | int) -> None:
        super().__init__("127.0.0.1", place if isinstance(place, int) else None, timeout=LIMIT_S)
        self._place = place

    def connect(self) -> None:
        if isinstance(self._place, int):
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT_S)
        self.sock.connect(str(self._place))


def ask(place: Path | int, method: str, target: str, headers: Mapping[str, str | bytes] | None = None) -> Answer:
    """Return the answer to one request; its headers by lower-case name."""
    connection = Connection(place)
    try:
        connection.request(method, target, headers=headers or {})
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())
    finally:
        connection.close()


class Stream:
    """A stream of events that is open. Reading past what comes within LIMIT_S raises TimeoutError."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self.headers = {name.lower(): value for name, value in response.getheaders()}

    def frame(self) -> list[str]:
        """Return the lines of the next frame, none at the end of the stream."""
        lines: list[str] = []
        while line := self._response.readline().decode().rstrip("\n"):
            lines.append(line)
        return lines

    def event(self) -> Event:
        """Return the next event."""
        while lines := self.frame():
            fields = dict(line.partition(": ")[::2] for line in lines)
            if "event" in fields:
                return Event(fields["event"], fields.get("id"), json.loads(fields["data"]))
        raise EOFError

    def until(self, kind: str) -> list[Event]:
        """Return the next events up to the first of this kind."""
        events = [self.event()]
        while events[-1].kind != kind:
            events.append(self.event())
        return events


@contextmanager
def following(place: Path | int, target: str, last_id: str | None = None) -> Iterator[Stream]:
    connection = Connection(place)
    try:
        connection.request("GET", target, headers={} if last_id is None else {"Last-Event-ID": last_id})
        response = connection.getresponse()
        assert response.status == 200, response.read()
        yield Stream(response)
    finally:
        connection.close()
