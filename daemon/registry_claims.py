"""The notes of this service in the registry, and what those of others say."""

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import suppress

from envkiln.cache.errors import EnvkilnError
from envkiln.daemon.own_thread import in_own_thread
from envkiln.daemon.registry_claim import Claim, drop_claim, read_claim, write_claim
from envkiln.daemon.registry_client import RegistryClient

BEAT_S = 10.0
GONE_S = 40.0
"""Who has not changed a note for so long has gone."""
LONGEST_S = 3 * 3600.0
"""A note is not kept up for longer: no build or push takes so long without a reason."""
UNPUSHED_S = 60.0
"""Nor for an image that nobody begins to push."""


class Claims:
    """Everything runs on the event loop. `who` is the token of this service, made when it starts."""

    def __init__(self, client: RegistryClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.who = secrets.token_hex(8)
        self._client = client
        self._clock = clock
        self._seen: dict[str, tuple[Claim, float]] = {}
        self._mine: dict[str, Claim] = {}
        self._beating: dict[str, asyncio.Task[None]] = {}
        self._until: dict[str, float] = {}

    async def elsewhere(self, name: str) -> bool:
        """Return whether another service builds `name` now; raises NoAnswer."""
        return self._lives(name, await in_own_thread(f"builder of {name}", lambda: read_claim(self._client, name)))

    async def take(self, name: str) -> bool:
        """Say that `name` is built here, until `release`; False when another service was quicker. Raises NoAnswer."""
        if name in self._mine:
            return True
        mine = Claim(self.who)

        def write() -> Claim | None:
            write_claim(self._client, name, mine)
            return read_claim(self._client, name)

        if self._lives(name, await in_own_thread(f"claim {name}", write)):
            return False
        self._mine[name] = mine
        self.keep(name, LONGEST_S)
        self._beating[name] = asyncio.create_task(self._beat(name))
        return True

    def keep(self, name: str, seconds: float) -> None:
        """Keep the note of this service up for so long at most, if there is one."""
        if name in self._mine:
            self._until[name] = self._clock() + seconds

    def abandon(self, name: str) -> None:
        """Keep the note up no more; the others see that after a while."""
        if name in self._mine:
            self._beating.pop(name).cancel()
            del self._mine[name]

    async def release(self, name: str) -> None:
        """The build has failed, or its image has been pushed: the others need not wait."""
        beating = self._beating.pop(name, None)
        if beating is None:
            return
        beating.cancel()
        await asyncio.wait({beating})
        mine = self._mine.pop(name)
        with suppress(EnvkilnError):
            await in_own_thread(f"end of {name}", lambda: drop_claim(self._client, name, mine))

    async def _beat(self, name: str) -> None:
        while self._clock() < self._until[name]:
            await asyncio.sleep(BEAT_S)
            later = self._mine[name].next()
            # In a thread that is waited for: nothing may be written after the note has been dropped.
            writing = asyncio.ensure_future(
                in_own_thread(f"claim {name}", lambda later=later: write_claim(self._client, name, later))  # type: ignore[misc]
            )
            self._mine[name] = later
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                await asyncio.wait({writing})
                raise
            except EnvkilnError:
                continue  # the others wait for a while before they believe that nobody is here

        mine = self._mine.pop(name)
        del self._beating[name]
        with suppress(EnvkilnError):
            await in_own_thread(f"end of {name}", lambda: drop_claim(self._client, name, mine))

    def _lives(self, name: str, claim: Claim | None) -> bool:
        if claim is None or claim.who == self.who or claim.ended:
            self._seen.pop(name, None)
            return False
        now = self._clock()
        known, since = self._seen.get(name, (None, now))
        if known != claim:
            since = now
        self._seen[name] = (claim, since)
        return now - since < GONE_S
