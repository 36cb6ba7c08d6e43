"""What a follower of the event stream knows: pure but for its own memory, without a terminal."""

import heapq
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from envkiln.cache.names import short_name
from envkiln.daemon.live_table import Row
from envkiln.daemon.marks import rank_of, totals
from envkiln.daemon.progress_text import progress_text
from envkiln.daemon.text import ago

View = Mapping[str, Any]


class WatchModel:
    """Takes the messages of `/v1/events` in their order."""

    def __init__(self, states: Collection[str] = (), only: str | None = None) -> None:
        """Shows environments in `states` (none: in all), or `only` the one of that id."""
        self.views: dict[str, View] = {}
        self.builds: dict[str, View] = {}
        """The builds that run, by id."""
        self.service: View | None = None
        self.problem: str | None = None
        """Why nothing new is heard."""
        self._states = frozenset(states)
        self._only = only
        self._parts: dict[str, View] = {}

    def take(self, kind: str, data: View) -> None:
        """Note one event."""
        self.problem = None
        if kind == "snapshot":
            self._parts |= {view["environment"]: view for view in data["environments"]}
            if not data["more"]:
                self.views, self._parts = self._parts, {}
                self.builds = {build["build"]: build for build in data["builds"] if build["state"] == "running"}
                self.service = data["service"]
        elif kind == "environment":
            self.views[data["environment"]] = data
        elif kind == "gone":
            self.views.pop(data["environment"], None)
        elif kind in ("build", "progress"):
            if data["state"] == "running":
                self.builds[data["build"]] = data
            else:
                self.builds.pop(data["build"], None)
        elif kind == "service":
            self.service = data

    def lose(self, problem: str) -> None:
        """The stream has ended; another one begins with a snapshot, or goes on where it was."""
        self.problem = problem
        self._parts = {}

    def is_shown(self, view: View) -> bool:
        if self._only is not None:
            return bool(view["environment"] == self._only)
        return not self._states or view["state"] in self._states

    def build_of(self, view: View) -> View | None:
        return self.builds.get(view["build"]) if view["build"] else None

    def rows(self, most: int, now: float) -> list[Row]:
        """Return the rows that need a look first; what there is no room for costs one comparison."""
        chosen = heapq.nsmallest(
            most,
            filter(self.is_shown, self.views.values()),
            key=lambda it: (rank_of(it["state"]), -it["since"], it["environment"]),
        )
        return [self._row(view, now) for view in chosen]

    def caption(self) -> str:
        """Return the totals, and what is wrong with the service."""
        parts = [totals(Counter(str(view["state"]) for view in self.views.values()))]
        if self.problem is not None:
            parts.append(f"{self.problem}; waiting for it")
        elif self.service is not None:
            engine = self.service["engine"]
            parts.append("engine up" if engine["connected"] else f"engine: {engine['problem'] or 'connecting'}")
            parts += ["paused: no build starts"] if self.service["paused"] else []
            parts += ["starting"] if self.service["starting"] else []
            parts += self.service["problems"]
        return "; ".join(parts)

    def _row(self, view: View, now: float) -> Row:
        build = self.build_of(view)
        why = progress_text(build, now) if build is not None else str(view["reason"])
        if view["paused"] and view["state"] == "queued":
            why = f"paused; {why}"
        image = short_name(view["image"]) if view["image"] else ""
        return Row(view["environment"], view["state"], image, ago(now - view["since"]), why)
