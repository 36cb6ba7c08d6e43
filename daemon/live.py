"""The live view of `up`: a table that follows the state, with the log above it."""

import asyncio
import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from envkiln.cache.names import short_name
from envkiln.daemon.narrate import Level, Line
from envkiln.daemon.schedule import why_waiting
from envkiln.daemon.state import Environment, Phase, State
from envkiln.daemon.text import ago, one_line

REFRESH_S = 0.25
_STYLES = {Level.INFO: "", Level.GOOD: "green", Level.WARNING: "yellow", Level.ERROR: "red"}
_PHASES = {
    Phase.READY: ("+", "green"),
    Phase.BUILDING: ("*", "cyan"),
    Phase.QUEUED: (".", "blue"),
    Phase.INVALID: ("x", "red"),
    Phase.FAILED: ("x", "red"),
    Phase.NAMED: ("-", "dim"),
}
# What needs a look comes first; what is ready fills the rest.
_ORDER = (Phase.BUILDING, Phase.INVALID, Phase.FAILED, Phase.QUEUED, Phase.NAMED, Phase.READY)


class LiveView:
    """Shows a state on a terminal until `stop`. Everything runs on the event loop."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._task: asyncio.Task[None] | None = None

    def start(self, state: Callable[[], State]) -> None:
        self._live.start()
        self._task = asyncio.create_task(self._refresh(state))

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._live.stop()

    def say(self, lines: list[Line]) -> None:
        """Print lines above the table."""
        for line in lines:
            subject = f"{line.subject}: " if line.subject else ""
            text = Text(f"{time.strftime('%H:%M:%S')} {subject}{line.text}", style=_STYLES[line.level])
            self._console.print(text, soft_wrap=True)

    async def _refresh(self, state: Callable[[], State]) -> None:
        while True:
            rows = max(3, self._console.size.height - 6)
            self._live.update(table_of(state(), time.time(), rows), refresh=True)
            await asyncio.sleep(REFRESH_S)


def table_of(state: State, now: float, rows: int) -> Table:
    """Return the state as a table of at most `rows` environments and a line of totals; `now` is wall time."""
    engine = "engine up" if state.engine.connected else f"engine: {state.engine.problem or 'connecting'}"
    counts = dict.fromkeys(_ORDER, 0)
    for environment in state.environments.values():
        counts[environment.phase] += 1
    totals = ", ".join(f"{count} {phase.value}" for phase, count in counts.items() if count) or "no environments"
    table = Table(box=None, pad_edge=False, caption=f"{totals}; {engine}", caption_justify="left", expand=True)
    table.add_column("", width=1)
    table.add_column("environment", no_wrap=True, overflow="ellipsis", ratio=2)
    table.add_column("state", width=8)
    table.add_column("image", width=12)
    table.add_column("for", width=5, justify="right")
    table.add_column("why", no_wrap=True, overflow="ellipsis", ratio=5)
    chosen = sorted(state.environments.values(), key=lambda it: (_ORDER.index(it.phase), -it.since, it.sighting.id))[
        :rows
    ]
    for environment in chosen:
        mark, style = _PHASES[environment.phase]
        table.add_row(
            Text(mark, style=style),
            one_line(environment.sighting.id),
            Text(environment.phase.value, style=style),
            short_name(environment.wanted) if environment.wanted else "",
            ago(now - environment.since),
            one_line(_why(state, environment)),
        )
    return table


def _why(state: State, environment: Environment) -> str:
    if environment.phase is Phase.QUEUED and environment.wanted is not None:
        return why_waiting(state, environment.wanted)
    return environment.reason
