"""Each step of the loop as entries of the journal."""

from collections.abc import Callable

from envkiln.daemon.events import Event, Progressed
from envkiln.daemon.journal import Journal, encoded
from envkiln.daemon.messages import BuildView, Gone, ServiceView
from envkiln.daemon.state import State
from envkiln.daemon.view_cache import ViewCache

MOST_ENTRIES = 200
"""A step that changes more (a start, a git checkout) makes followers begin anew: they want the result, and the loop
must not encode thousands of views in one go."""


class Telling:
    """Observes the loop, on its thread, and keeps the views up to date."""

    def __init__(
        self,
        journal: Journal,
        views: ViewCache,
        service: Callable[[], ServiceView],
        build_of: Callable[[str], BuildView | None],
    ) -> None:
        """`build_of` returns the running build of an image, with its progress."""
        self._journal = journal
        self._views = views
        self._service = service
        self._build_of = build_of
        self._state = State()

    def observe(self, event: Event, before: State, after: State) -> None:
        self._state = after
        few = len(after.changed) <= MOST_ENTRIES
        kept = {id_: self._views.kept(id_) for id_ in after.changed} if few else {}
        self._views.note(after)
        if not few:
            self._journal.reset()
        for id_ in sorted(kept):
            if id_ not in after.environments:
                self._journal.add("gone", encoded(Gone(id_)))
                continue
            view = self._views.view(id_)
            if view != kept[id_]:
                self._journal.add("environment", encoded(view))
        if isinstance(event, Progressed):
            build = self._build_of(event.name)
            if build is not None:
                self._journal.add("progress", encoded(build))
        if before.engine != after.engine or before.paused != after.paused:
            self.service_changed()

    def build_changed(self, build: BuildView) -> None:
        """A build has begun or ended. Which build runs is part of what is said of an environment."""
        self._journal.add("build", encoded(build))
        if build.state != "running":
            return  # that it has ended is a step of the loop, which tells what became of its environments
        waiting = self._state.wanted.get(build.image, frozenset())
        if len(waiting) > MOST_ENTRIES:
            self._journal.reset()
            return
        for id_ in sorted(waiting):
            self._journal.add("environment", encoded(self._views.view(id_)))

    def service_changed(self) -> None:
        """The service itself is not what it was."""
        self._journal.add("service", encoded(self._service()))
