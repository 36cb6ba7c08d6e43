"""The single writer: events in, one at a time; effects and the new state out."""

import asyncio
import time
from collections.abc import Callable

from envkiln.daemon.events import Effect, Event, Now, Tick
from envkiln.daemon.state import State, next_wake
from envkiln.daemon.step import step

Observer = Callable[[Event, State, State], None]
"""Told (event, state before, state after), in the loop's thread, after the effects were handed out."""


def clock() -> Now:
    """Return this instant on both clocks."""
    return Now(time.time(), time.monotonic())


class Loop:
    """Owns the state. `post` may be called from any thread; everything else runs on the event loop."""

    def __init__(self, state: State, perform: Callable[[Effect], None] = lambda _: None) -> None:
        self.state = state
        self.perform = perform
        self._observers: list[Observer] = []
        self._events: asyncio.Queue[Event | asyncio.Event] = asyncio.Queue()
        self._running = asyncio.get_running_loop()

    def observe(self, observer: Observer) -> None:
        self._observers.append(observer)

    def post(self, event: Event) -> None:
        """Hand in an event; it is applied soon, in the order of posting."""
        self._running.call_soon_threadsafe(self._events.put_nowait, event)

    async def drained(self) -> None:
        """Return when every event that was posted before has been applied."""
        done = asyncio.Event()
        self._running.call_soon_threadsafe(self._events.put_nowait, done)
        await done.wait()

    async def run(self) -> None:
        """Apply events until cancelled."""
        while True:
            now = clock()
            wake = next_wake(self.state)
            try:
                async with asyncio.timeout(None if wake is None else max(0.0, wake - now.monotonic)):
                    event = await self._events.get()
            except TimeoutError:
                event = Tick()
            if isinstance(event, asyncio.Event):
                event.set()
            else:
                self._apply(event)

    def _apply(self, event: Event) -> None:
        before = self.state
        self.state, effects = step(before, event, clock())
        for effect in effects:
            self.perform(effect)
        for observer in self._observers:
            observer(event, before, self.state)
