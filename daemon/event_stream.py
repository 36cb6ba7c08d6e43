"""The journal as server-sent events: what is, then what happens.

A follower is one coroutine with a place in the journal. It reads there when its client has taken what was sent, so
a client that is slow or gone keeps nothing but its place.
"""

import asyncio
from collections.abc import AsyncGenerator

from envkiln.daemon.answers import LONGEST_PAGE, Answers
from envkiln.daemon.journal import encoded
from envkiln.daemon.messages import EnvironmentView, Snapshot
from envkiln.daemon.sse import HEARTBEAT, HEARTBEAT_S, RETRY, frame

_PART = 100
"""Environments in one part of a snapshot: well below a millisecond of the loop's time."""
_BATCH = 100
_LONGEST_ID = 64
_GAP_S = 0.05
"""After it has been told something, a follower is told the next together with all that comes within this time."""


class EventStream:
    """The streams of one service. Everything runs on the event loop."""

    def __init__(self, answers: Answers, *, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._answers = answers
        self._heartbeat_s = heartbeat_s
        self._making = asyncio.Lock()

    async def frames(self, last_id: str | None = None) -> AsyncGenerator[bytes, None]:
        """Yield what came after the event `last_id`, or where that cannot be known a snapshot; then what comes."""
        journal = self._answers.journal
        position = journal.position_of(last_id) if last_id and len(last_id) <= _LONGEST_ID else None
        yield RETRY
        while True:
            entries = None if position is None else journal.since(position)
            if entries is None or position is None:
                # First the position: what changes while the snapshot is made is told again after it.
                position = journal.position
                async for part in self._snapshot(journal.id_of(position)):
                    yield part
            elif entries:
                some = entries[:_BATCH]
                position = some[-1].number
                yield b"".join(frame(entry.kind, entry.data, journal.id_of(entry.number)) for entry in some)
                await asyncio.sleep(_GAP_S if len(entries) <= _BATCH else 0)
            else:
                try:
                    async with asyncio.timeout(self._heartbeat_s):
                        await journal.more(position)
                except TimeoutError:
                    yield HEARTBEAT

    async def _snapshot(self, id_: str) -> AsyncGenerator[bytes, None]:
        after: str | None = None
        more = True
        while more:
            # All followers begin anew together (`Journal.reset`); between two parts, whoever only asks has a turn.
            async with self._making:
                page = self._answers.environments(after=after, limit=_PART)
                after, more = page.next, page.next is not None
                snapshot = Snapshot(environments=page.items, more=True) if more else self._last_part(page.items)
                part = frame("snapshot", encoded(snapshot), None if more else id_)
                await asyncio.sleep(0)
            yield part

    def _last_part(self, environments: tuple[EnvironmentView, ...]) -> Snapshot:
        running = self._answers.builds(states=("running",), limit=LONGEST_PAGE)
        return Snapshot(environments=environments, builds=running.items, service=self._answers.service())
