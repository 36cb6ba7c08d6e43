"""Server-sent events: frames, and the answer that sends them for as long as somebody reads."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractContextManager, aclosing

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

STREAM = "text/event-stream"
HEARTBEAT_S = 15.0
HEARTBEAT = b":\n\n"
"""A comment. It keeps proxies from closing, and shows that a client is gone."""
RETRY = b"retry: 1000\n\n"


def frame(kind: str, data: bytes, id_: str | None = None) -> bytes:
    """Return one event; `data` is one line."""
    number = b"" if id_ is None else b"id: %b\n" % id_.encode()
    return b"event: %b\n%bdata: %b\n\n" % (kind.encode(), number, data)


class EventResponse(StreamingResponse):
    """Sends `frames`, in the time of the client: while it does not read, nothing more is made for it.

    `during` is entered while it lasts; whoever is gone is let go at once.
    """

    _FRESH: Mapping[str, str] = {"cache-control": "no-store", "x-accel-buffering": "no"}

    def __init__(self, frames: AsyncGenerator[bytes, None], during: AbstractContextManager[None]) -> None:
        super().__init__(frames, media_type=STREAM, headers=self._FRESH)
        self._frames = frames
        self._during = during

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._during:
            async with aclosing(self._frames):
                await super().__call__(scope, receive, send)
