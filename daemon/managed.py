"""What the service manager is told while the service runs: that it answers, how it is, that its loop is alive."""

import asyncio
import time

from envkiln.daemon.marks import totals
from envkiln.daemon.messages import ServiceView
from envkiln.daemon.service_answers import ServiceAnswers
from envkiln.daemon.systemd import Manager

_PAUSE_S = 0.2
"""A git checkout is one status, not ten thousand."""
_STOP_SPARE_S = 30.0
"""What the end of a service takes besides its builds, many times over."""


def status_text(view: ServiceView) -> str:
    """Return the service on one line: `12 ready, 1 building`, and what keeps it from its work."""
    parts = ["looking at its directories" if view.starting else totals(view.counts)]
    if view.paused:
        parts.append("paused")
    if not view.starting and not view.engine.connected:
        parts.append("the engine does not answer")
    problems = len(view.problems) + sum(len(root.problems) for root in view.roots)
    if problems:
        parts.append(f"{problems} {'problem' if problems == 1 else 'problems'}, see `envkiln status`")
    return "; ".join(parts)


class Managed:
    """Lives on the event loop."""

    def __init__(self, manager: Manager, answers: ServiceAnswers) -> None:
        self._manager = manager
        self._answers = answers
        self._said = ""
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """The service may not be what it was."""
        self._changed.set()

    def ready(self) -> None:
        """Questions are answered from now on."""
        self._said = status_text(self._answers.service())
        self._manager.tell("READY=1", f"STATUS={self._said}")

    def reloading(self) -> None:
        self._manager.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, builds_s: float) -> None:
        """The service ends; its builds may take `builds_s` seconds more."""
        more = int((builds_s + _STOP_SPARE_S) * 1_000_000)
        self._manager.tell("STOPPING=1", f"EXTEND_TIMEOUT_USEC={more}", "STATUS=stopping")

    async def run(self) -> None:
        """Keep the status true and pat the watchdog, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._status())
            if self._manager.watchdog_s is not None:
                group.create_task(self._pat(self._manager.watchdog_s / 3))

    async def _status(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            text = status_text(self._answers.service())
            if text != self._said:
                self._manager.tell(f"STATUS={text}")
                self._said = text
            await asyncio.sleep(_PAUSE_S)

    async def _pat(self, interval_s: float) -> None:
        while True:
            # Not from a timer: an event has to come through the loop that owns the state.
            await self._answers.applied()
            self._manager.tell("WATCHDOG=1")
            await asyncio.sleep(interval_s)
