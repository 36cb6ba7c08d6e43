"""The live view of `up`: a table that follows the state, with the log above it."""

import asyncio
import heapq
import time
from collections import Counter
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from envkiln.cache.names import short_name
from envkiln.daemon.live_table import Row, live_table
from envkiln.daemon.marks import rank_of, totals
from envkiln.daemon.narrate import Level, Line
from envkiln.daemon.progress_text import elapsed_text, step_text
from envkiln.daemon.schedule import why_waiting
from envkiln.daemon.state import EVERYTHING, Environment, Phase, State
from envkiln.daemon.text import ago

REFRESH_S = 0.25
_STYLES = {Level.INFO: "", Level.GOOD: "green", Level.WARNING: "yellow", Level.ERROR: "red"}


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
    if EVERYTHING in state.paused:
        engine += "; paused: no build starts"
    counts = Counter(environment.phase.value for environment in state.environments.values())
    chosen = heapq.nsmallest(
        rows, state.environments.values(), key=lambda it: (rank_of(it.phase.value), -it.since, it.sighting.id)
    )
    shown = (
        Row(
            environment.sighting.id,
            environment.phase.value,
            short_name(environment.wanted) if environment.wanted else "",
            ago(now - environment.since),
            _why(state, environment, now),
        )
        for environment in chosen
    )
    return live_table(shown, f"{totals(counts)}; {engine}")


def _why(state: State, environment: Environment, now: float) -> str:
    name = environment.wanted
    if name is not None and environment.phase is Phase.QUEUED:
        return why_waiting(state, name)
    progress = state.progress.get(name or "") if environment.phase is Phase.BUILDING else None
    if progress is not None:
        where = step_text(progress.phase, progress.step, progress.steps)
        where += f", {elapsed_text(now - environment.since, progress.estimate)}"
        return f"{where}: {progress.text}" if progress.text else where
    return environment.reason
