"""The views of all environments, kept between questions: a page of a list costs what is on it."""

import bisect
import fnmatch
import re
from collections.abc import Callable, Sequence

from envkiln.daemon.messages import EnvironmentPage, EnvironmentView
from envkiln.daemon.search_text import SearchText
from envkiln.daemon.state import Environment, Phase, State
from envkiln.daemon.views import environment_view


class ViewCache:
    """Follows the state by `note`; everything else answers from what was noted last."""

    def __init__(self, build_of: Callable[[str], str | None]) -> None:
        """`build_of` returns the build that runs for an image's name."""
        self._build_of = build_of
        self._state = State()
        self._views: dict[str, EnvironmentView] = {}
        self._texts = SearchText()
        self._phases: dict[str, Phase] = {}
        self._ids: list[str] | None = []
        self._counts = {phase.value: 0 for phase in Phase}

    @property
    def counts(self) -> dict[str, int]:
        """The number of environments in each state, zeros included."""
        return dict(self._counts)

    def note(self, state: State) -> None:
        """Take over the state after a step."""
        same = state.paused == self._state.paused and state.engine.has_secrets == self._state.engine.has_secrets
        self._state = state
        if not same:
            self._views.clear()
        for id_ in state.changed:
            self._views.pop(id_, None)
            environment = state.environments.get(id_)
            before = self._phases.get(id_)
            if before is not None:
                self._counts[before.value] -= 1
            if environment is None:
                self._texts.drop(id_)
                self._phases.pop(id_, None)
                self._ids = None
                continue
            if before is None:
                self._ids = None
            self._phases[id_] = environment.phase
            self._counts[environment.phase.value] += 1
            self._texts.set(id_, _text(id_, environment))

    def kept(self, id_: str) -> EnvironmentView | None:
        """Return the view of an environment if it was asked for and still holds."""
        return self._views.get(id_)

    def view(self, id_: str) -> EnvironmentView:
        """Return one view; raises KeyError when there is no environment of that id."""
        environment = self._state.environments[id_]
        if environment.phase in (Phase.QUEUED, Phase.BUILDING):
            # Why it waits and which build runs change without it.
            return environment_view(self._state, id_, self._build_of(environment.wanted or ""))
        view = self._views.get(id_)
        if view is None:
            view = self._views[id_] = environment_view(self._state, id_)
        return view

    def page(
        self, *, states: Sequence[str], name: str | None, text: str | None, after: str | None, limit: int
    ) -> EnvironmentPage:
        """Return a page (`answers.Answers.environments`)."""
        if self._ids is None:
            self._ids = sorted(self._phases)
        found: Sequence[str] = self._texts.find(text) if text else self._ids
        if states:
            chosen = {phase for phase in Phase if phase.value in states}
            found = [id_ for id_ in found if self._phases[id_] in chosen]
        if name is not None:
            # No ignoring of case: ids are paths.
            matches = re.compile(fnmatch.translate(name)).match
            found = [id_ for id_ in found if matches(id_)]
        start = bisect.bisect_right(found, after) if after is not None else 0
        chosen_ids = found[start : start + limit]
        more = start + limit < len(found)
        return EnvironmentPage(
            items=tuple(map(self.view, chosen_ids)),
            total=len(found),
            counts=self.counts,
            next=chosen_ids[-1] if more and chosen_ids else None,
        )


def _text(id_: str, environment: Environment) -> str:
    """Return what a search for text looks at."""
    parts = (id_, environment.sighting.file, environment.wanted or "", environment.reason)
    return "\n".join(parts)
