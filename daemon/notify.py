"""Tells people: each notice to the desktop, a webhook, a command, without ever holding up the loop."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol

from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.daemon.config import EnvironmentSettings
from envkiln.daemon.events import Event
from envkiln.daemon.notices import Notice, Notices
from envkiln.daemon.state import State

QUEUED = 100
"""Notices that wait for one channel; what comes when it is full is dropped, and counted."""


class NotifyError(EnvkilnError):
    """A notice that could not be delivered. Says nothing of a webhook's URL or secret."""

    turn = Turn.SURROUNDINGS


class Channel(Protocol):
    """A way to one receiver. Two that are equal are the same receiver."""

    @property
    def name(self) -> str:
        """What it is, for people: with the place where it was configured, without secrets."""

    async def send(self, notice: Notice) -> None:
        """Deliver; returns when it is done or raises NotifyError. May be cancelled at any time."""

    async def close(self) -> None: ...


def channels_of(settings: EnvironmentSettings, desktop: Channel | None) -> Iterator[Channel]:
    """Yield the channels that a notice of an environment with these settings goes to."""
    # Not at the top: most services notify nobody.
    if settings.notify_desktop and desktop is not None:
        yield desktop
    if settings.notify_webhook is not None:
        from envkiln.daemon.notify_webhook import Webhook  # noqa: PLC0415

        source = settings.sources.get("notify_webhook", "")
        secret_file = settings.notify_webhook_secret_file
        yield Webhook(settings.notify_webhook, settings.notify_webhook_secret, secret_file, source)
    if settings.notify_command:
        from envkiln.daemon.notify_command import Command  # noqa: PLC0415

        yield Command(settings.notify_command, settings.sources.get("notify_command", ""))


def _desktop() -> Channel:
    from envkiln.daemon.notify_desktop import Desktop  # noqa: PLC0415 -- most services notify nobody

    return Desktop()


class Notifier:
    """Observes the loop, on its thread. Each channel has its own queue and task: a slow one holds up no other.

    `say` is told, in one line each, what goes wrong, when it begins to.
    """

    def __init__(
        self, say: Callable[[str], None] = lambda _: None, *, make_desktop: Callable[[], Channel] = _desktop
    ) -> None:
        self._say = say
        self._make_desktop = make_desktop
        self._desktop: Channel | None = None
        self._notices = Notices()
        self._lanes: dict[Channel, _Lane] = {}

    @property
    def problems(self) -> tuple[str, ...]:
        """What keeps notices from arriving, as far as is known now."""
        return tuple(lane.problem for lane in self._lanes.values() if lane.problem)

    def observe(self, _event: Event, before: State, after: State) -> None:
        """Queue what the step gives, and return at once."""
        for notice in self._notices.of(before, after):
            if notice.settings.notify_desktop and self._desktop is None:
                self._desktop = self._make_desktop()
            for channel in channels_of(notice.settings, self._desktop):
                if channel not in self._lanes:
                    self._lanes[channel] = _Lane(channel, self._say)
                self._lanes[channel].put(notice)

    async def close(self) -> None:
        """End now: what waits is not sent any more, and a command that runs is ended."""
        await asyncio.gather(*(lane.close() for lane in self._lanes.values()))


class _Lane:
    """The notices for one channel, in order."""

    def __init__(self, channel: Channel, say: Callable[[str], None]) -> None:
        self.problem = ""
        self._channel = channel
        self._say = say
        self._dropped = 0
        self._queue: asyncio.Queue[Notice] = asyncio.Queue(QUEUED)
        self._task = asyncio.get_running_loop().create_task(self._run())

    def put(self, notice: Notice) -> None:
        try:
            self._queue.put_nowait(notice)
        except asyncio.QueueFull:
            self._dropped += 1
            text = f"{self._channel.name}: too many notices wait; {self._dropped} dropped"
            if self._dropped == 1:
                self._say(text)
            self.problem = text

    async def close(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self._channel.close()

    async def _run(self) -> None:
        while True:
            notice = await self._queue.get()
            try:
                await self._channel.send(notice)
            except NotifyError as error:
                hint = f" ({error.hint})" if error.hint else ""
                self._fails(f"{self._channel.name}: {error.message}{hint}")
            except Exception as error:  # noqa: BLE001 -- no receiver ends the service; its text may hold a secret
                self._fails(f"{self._channel.name}: internal error: {type(error).__name__}")
            else:
                self.problem = ""
            if self._queue.empty():
                self._dropped = 0

    def _fails(self, problem: str) -> None:
        if problem != self.problem:
            self._say(problem)
        self.problem = problem
