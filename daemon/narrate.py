"""What happened, in lines for a person who follows along: pure."""

from collections import Counter
from dataclasses import dataclass
from enum import Enum

from envkiln.cache.names import short_name
from envkiln.cache.redact import redact
from envkiln.daemon.events import Answer, EngineConnected, EngineLost, Event, Progressed, PushEnded, RegistryAnswered
from envkiln.daemon.messages import CleanUpView
from envkiln.daemon.progress_text import elapsed_text, step_text
from envkiln.daemon.state import Environment, Phase, State
from envkiln.daemon.text import size
from envkiln.daemon.watched_root import LookReport

MOST_LINES = 50
"""A step that changes more environments (a start, a git checkout) is told in numbers."""


class Level(Enum):
    INFO = "info"
    GOOD = "good"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `subject` is an environment's id, or empty for the service itself; `image` what it asks for."""

    text: str
    subject: str = ""
    level: Level = Level.INFO
    image: str = ""


_LEVELS = {
    Phase.READY: Level.GOOD,
    Phase.INVALID: Level.ERROR,
    Phase.FAILED: Level.ERROR,
}


def narrate(event: Event, before: State, after: State) -> list[Line]:
    """Return the lines about one step."""
    lines = []
    if isinstance(event, EngineConnected):
        lines.append(Line(f"engine: {event.description}", level=Level.GOOD))
    elif isinstance(event, EngineLost) and before.engine.problem != event.problem:
        hint = f" ({event.problem.hint})" if event.problem.hint else ""
        lines.append(Line(f"engine: {event.problem}{hint}; what is ready stays known", level=Level.WARNING))
    elif isinstance(event, RegistryAnswered | PushEnded):
        lines += _registry(event, before, after)
    elif isinstance(event, Progressed):
        lines += _progress(event, before, after)
    about = (
        _line(id_, before.environments.get(id_), after.environments.get(id_), after) for id_ in sorted(after.changed)
    )
    return lines + _shortened([line for line in about if line is not None], after)


def narrate_look(report: LookReport) -> list[Line]:
    """Return the lines about a look that was more than routine."""
    same = [
        Line(f"saved; nothing that counts has changed ({report.seconds * 1000:.0f} ms)", id_) for id_ in report.same
    ]
    return same if len(same) <= 20 else [Line(f"{len(same)} definitions read again, none has changed")]


def narrate_clean_up(view: CleanUpView) -> list[Line]:
    """Return the lines about a clean-up; none about one that had nothing to do."""
    lines = [Line(f"clean-up: {problem}", level=Level.WARNING) for problem in view.problems]
    if view.removed or view.logs or view.cache_bytes:
        lines.insert(0, Line(f"clean-up: {removed_text(view)}"))
    return lines


def removed_text(view: CleanUpView) -> str:
    """Return what a clean-up removed, in numbers."""
    count = len(view.removed)
    parts = [f"removed {count} {'image' if count == 1 else 'images'}, {size(view.freed_bytes)} freed"]
    if view.cache_bytes:
        parts.append(f"{size(view.cache_bytes)} of the build cache")
    if view.logs:
        parts.append(f"{view.logs} old {'log' if view.logs == 1 else 'logs'}, {size(view.log_bytes)}")
    return "; ".join(parts)


def _progress(event: Progressed, before: State, after: State) -> list[Line]:
    """Return a line when a build comes to another phase: steps alone are many, and told where lines are drawn over."""
    build, earlier, now = after.builds.get(event.name), before.progress.get(event.name), event.progress
    if build is None or (earlier is not None and earlier.phase == now.phase):
        return []
    text = f"{step_text(now.phase, now.step, now.steps)}, {elapsed_text(event.elapsed, now.estimate)}"
    return [Line(text, build.id, image=build.name)]


def _registry(event: RegistryAnswered | PushEnded, before: State, after: State) -> list[Line]:
    """Return what a person wants to know of registries: a trouble once, however many images it is about."""
    known, ids = before.remote.get(event.name), sorted(after.wanted.get(event.name, ()))[:1]
    if isinstance(event, PushEnded) and event.image is not None:
        push = before.pushes.get(event.name)
        came_from_there = known is not None and known.image == event.image and push is not None and push.count == 0
        text = f"in the registry: {event.image.reference}"
        return [] if came_from_there else [Line(text, id_, Level.GOOD) for id_ in ids]
    if isinstance(event, RegistryAnswered) and event.answer is Answer.PENDING:
        told = known is not None and known.answer is Answer.PENDING
        return [] if told else [Line("another machine builds it: waits for the image", id_) for id_ in ids]
    problem = event.problem
    if problem is None or (known is not None and known.problem == problem):
        return []
    if any(before.remote[name].problem == problem for name in before.silent):
        return []
    if isinstance(event, PushEnded) and any(push.problem == problem for push in before.pushes.values()):
        return []
    hint = f" ({problem.hint})" if problem.hint else ""
    return [Line(redact(f"registry: {problem}{hint}"), level=Level.WARNING)]


def _shortened(lines: list[Line], state: State) -> list[Line]:
    """Return the lines, or, of more than anybody reads, what is wrong and the numbers."""
    if len(lines) <= MOST_LINES:
        return lines
    wrong = [line for line in lines if line.level is Level.ERROR][:MOST_LINES]
    numbers = Counter(environment.phase for environment in state.environments.values())
    counted = ", ".join(f"{numbers[phase]} {phase.value}" for phase in Phase if numbers[phase])
    return [*wrong, Line(f"{len(lines)} environments changed; now {counted}")]


def _line(id_: str, before: Environment | None, after: Environment | None, state: State) -> Line | None:
    if after is None:
        return Line("gone; its image stays", id_)
    if before is not None and (before.phase, before.wanted, before.problem) == (
        after.phase,
        after.wanted,
        after.problem,
    ):
        return None
    if after.phase is Phase.QUEUED and not state.engine.listed and state.engine.problem is None:
        return None  # nothing is known yet: the first answer of the engine says more
    text = after.phase.value
    if after.reason != text:
        text += f": {after.reason}"
    problem = after.problem
    if after.phase is Phase.FAILED:
        problem = state.failures[after.wanted or ""].problem
    if problem is not None and problem.hint:
        text += f" ({problem.hint})"
    if after.phase is Phase.INVALID and after.last_good:
        text += f"; {short_name(after.last_good)} stays"
    elif after.wanted is not None and after.phase is not Phase.INVALID:
        text += f" [{short_name(after.wanted)}]"
    return Line(redact(text), id_, _LEVELS.get(after.phase, Level.INFO), after.wanted or "")
