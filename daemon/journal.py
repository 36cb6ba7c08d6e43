"""What happens, kept for a while: followers read at their own pace, and one that is slow costs nothing."""

import asyncio
import secrets
from collections import deque
from dataclasses import dataclass

import msgspec

KEPT = 5000
"""Entries kept. A follower that is further behind begins anew, with a snapshot."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event. `kind` is environment, gone, saved, build, progress, service; `data` is its message as JSON."""

    number: int
    kind: str
    data: bytes


class Journal:
    """The last events of this process. Everything runs on the event loop; `add` returns at once."""

    def __init__(self, *, kept: int = KEPT) -> None:
        self._epoch = secrets.token_hex(4)
        self._entries: deque[Entry] = deque(maxlen=kept)
        self._last = 0
        self._added = asyncio.Event()

    @property
    def position(self) -> int:
        """The number of the last entry."""
        return self._last

    def add(self, kind: str, data: bytes) -> None:
        self._last += 1
        self._entries.append(Entry(self._last, kind, data))
        added, self._added = self._added, asyncio.Event()
        added.set()

    def reset(self) -> None:
        """More has happened than is worth telling one by one: every follower begins anew, with a snapshot."""
        self._entries.clear()
        self._last += 1
        added, self._added = self._added, asyncio.Event()
        added.set()

    def since(self, position: int) -> list[Entry] | None:
        """Return the entries after `position`, None when some of them are gone (or it is not a position of ours)."""
        missing = self._last - position
        if missing < 0 or missing > len(self._entries):
            return None
        if missing == 0:
            return []
        return [self._entries[index] for index in range(len(self._entries) - missing, len(self._entries))]

    async def more(self, position: int) -> None:
        """Return when there is an entry after `position`."""
        while self._last <= position:
            await self._added.wait()

    def id_of(self, position: int) -> str:
        """Return the id that a server-sent event of that position carries."""
        return f"{self._epoch}-{position}"

    def position_of(self, id_: str) -> int | None:
        """Return the position that an id names, None when it is of another process or no id at all."""
        epoch, _, number = id_.partition("-")
        return int(number) if epoch == self._epoch and number.isascii() and number.isdecimal() else None


def encoded(message: msgspec.Struct) -> bytes:
    """Return `message` as JSON on one line; paths that are not UTF-8 are written with escapes."""
    try:
        return msgspec.json.encode(message)
    except UnicodeEncodeError:
        import json  # noqa: PLC0415 -- hardly ever

        return json.dumps(msgspec.to_builtins(message)).encode()
