"""Which notice a step gives: pure, but for the memory of what is broken."""

from dataclasses import dataclass, field, replace
from hashlib import sha256

import msgspec

from envkiln.cache.redact import redact
from envkiln.daemon.config import EnvironmentSettings
from envkiln.daemon.events import Problem
from envkiln.daemon.state import Environment, Phase, State
from envkiln.daemon.step import CANCELLED

READY, FAILED, RECOVERED = "ready", "failed", "recovered"


class NoticeMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A notice as webhooks and commands get it. `event` is ready, failed or recovered.

    `state` is ready, failed or invalid. `image` is what the environment asks for, null for an invalid one. `id` is the
    same for the same notice, however often it is sent; `text` is all of it, for a person.
    """

    event: str
    environment: str
    state: str
    image: str | None
    reason: str
    hint: str | None
    time: float
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What somebody may want to hear of. Without credentials of URLs. `time` is in seconds since 1970."""

    kind: str
    environment: str
    state: str
    image: str | None
    reason: str
    hint: str | None
    time: float
    settings: EnvironmentSettings = field(repr=False, compare=False)

    @property
    def id(self) -> str:
        said = (self.kind, self.environment, self.state, str(self.image), self.reason, repr(self.time))
        return sha256("\0".join(said).encode(errors="surrogateescape")).hexdigest()[:32]

    @property
    def title(self) -> str:
        return f"{self.environment}: {'ready again' if self.kind == RECOVERED else self.state}"

    @property
    def body(self) -> str:
        return f"{self.reason} ({self.hint})" if self.hint else self.reason

    @property
    def message(self) -> NoticeMessage:
        return NoticeMessage(
            event=self.kind,
            environment=self.environment,
            state=self.state,
            image=self.image,
            reason=self.reason,
            hint=self.hint,
            time=self.time,
            id=self.id,
            text=f"{self.title}: {self.body}",
        )


@dataclass(slots=True)
class Notices:
    """Remembers which environments are broken, and by what: whoever is told of it once is not told at every retry."""

    broken: dict[str, tuple[str | None, Problem]] = field(default_factory=dict)

    def of(self, before: State, after: State) -> tuple[Notice, ...]:
        """Return the notices of the step from `before` to `after`, of the kinds that each `notify_on` names.

        What is seen for the first time gives none: a start is no news. Nor does what somebody cancelled.
        """
        found = []
        for id_ in after.changed:
            now = after.environments.get(id_)
            if now is None:
                self.broken.pop(id_, None)
                continue
            notice = self._of(before, before.environments.get(id_), now, after)
            if notice is not None:
                found.append(notice)
        return tuple(sorted(found, key=lambda notice: notice.environment))

    def _of(self, before: State, was: Environment | None, now: Environment, after: State) -> Notice | None:
        if now.phase is Phase.READY:
            recovered = self.broken.pop(now.sighting.id, None) is not None
            if was is None or not (recovered or _is_news(was, now)):
                return None
            return _asked_for(RECOVERED if recovered else READY, now, None)
        problem = _problem_of(now, after)
        if problem is None or problem == CANCELLED:
            return None
        known = self.broken.get(now.sighting.id)
        self.broken[now.sighting.id] = (now.wanted, problem)
        build = before.builds.get(now.wanted or "")
        asked = build is not None and build.forced and now.wanted not in after.builds
        if was is None or (known == (now.wanted, problem) and not asked):
            return None
        return _asked_for(FAILED, now, problem)


def _is_news(was: Environment, now: Environment) -> bool:
    """Return whether an environment that is ready has just been built, or has another image than it had."""
    if was.phase is Phase.READY and was.wanted == now.wanted:
        return False
    return was.phase is Phase.BUILDING or was.last_good not in (None, now.wanted)


def _problem_of(environment: Environment, state: State) -> Problem | None:
    if environment.phase is Phase.INVALID:
        return environment.problem
    if environment.phase is Phase.FAILED:
        return state.failures[environment.wanted or ""].problem
    return None


def _asked_for(kind: str, environment: Environment, problem: Problem | None) -> Notice | None:
    settings = environment.sighting.settings
    hint = redact(problem.hint) if problem is not None and problem.hint else None
    notice = Notice(
        kind,
        environment.sighting.id,
        environment.phase.value,
        environment.wanted,
        redact(environment.reason),
        hint,
        environment.since,
        settings,
    )
    if kind in settings.notify_on:
        return notice
    # Who wants to hear of ready alone hears of every ready.
    return replace(notice, kind=READY) if kind == RECOVERED and READY in settings.notify_on else None
