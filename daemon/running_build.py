"""One build while it runs: what is heard of it becomes progress, and its end a record."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from envkiln.cache.definition import EnvironmentDefinition
from envkiln.cache.redact import redact
from envkiln.cache.shown import definition_text
from envkiln.daemon.events import BuildEnded, Event, Progressed, StartBuild
from envkiln.daemon.logs import build_id
from envkiln.daemon.messages import BuildView
from envkiln.daemon.progress import Progress
from envkiln.daemon.state import Environment

TELL_S = 0.2
"""Progress is told this often at most: the state's copies are not free, and nobody reads faster."""
_LONGEST_DEFINITION = 64 * 1024


class RunningBuild:
    """Belongs to one StartBuild; lives on the event loop."""

    def __init__(
        self,
        effect: StartBuild,
        environment: Environment,
        started: float,
        *,
        estimate: float | None,
        post: Callable[[Event], None],
    ) -> None:
        """`started` is wall time; `environment` is what is built, whatever becomes of its file meanwhile."""
        self.environment = environment
        self.started = started
        self._effect = effect
        self._estimate = estimate
        self._post = post
        self._loop = asyncio.get_running_loop()
        self._progress = Progress()
        self._telling: asyncio.TimerHandle | None = None
        self._told = 0.0
        self._began = self._loop.time()

    def hear(self, line: str) -> None:
        """Take one line of the build's output."""
        now = self._loop.time()
        if self._progress.note(line, now) and self._telling is None:
            self._telling = self._loop.call_at(max(now, self._told + TELL_S), self._tell)

    def close(self) -> None:
        """Tell nothing more."""
        if self._telling is not None:
            self._telling.cancel()

    def begun(self, log: Path) -> BuildView:
        """Return what is known of the build when it begins; `log` is where its output goes."""
        return BuildView(
            build=build_id(self._effect.name, self.started),
            environment=self._effect.id,
            image=self._effect.name,
            state="running",
            started=self.started,
            forced=self._effect.forced,
            log=str(log),
            definition=_definition(self.environment),
        )

    def ended(self, ended: BuildEnded, log: Path | None) -> BuildView:
        """Return the record of the build, with its log if it came to one."""
        problem = ended.problem
        return BuildView(
            build=build_id(self._effect.name, self.started),
            environment=self._effect.id,
            image=self._effect.name,
            state="built" if ended.ending.value == "found" else ended.ending.value,
            started=self.started,
            forced=self._effect.forced,
            seconds=ended.seconds,
            problem=redact(str(problem)) if problem else None,
            hint=redact(problem.hint) if problem and problem.hint else None,
            turn=problem.turn.value if problem else None,
            log=str(log) if log else None,
            size=ended.image.size if ended.image else None,
            phases={phase: round(took, 3) for phase, took in self._progress.seconds(self._loop.time()).items()},
            definition=_definition(self.environment),
        )

    def _tell(self) -> None:
        self._telling = None
        self._told = self._loop.time()
        progress = msgspec.structs.replace(self._progress.view(), estimate=self._estimate)
        self._post(Progressed(self._effect.name, progress, self._told - self._began))


def _definition(environment: Environment) -> str | None:
    """Return the text that the name stands for, without credentials."""
    found, identity = environment.sighting.found, environment.identity
    if not isinstance(found, EnvironmentDefinition) or identity is None:
        return None
    text = definition_text(found, identity)
    return text if len(text) <= _LONGEST_DEFINITION else None
