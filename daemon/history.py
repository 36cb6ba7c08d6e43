"""The builds of this machine: those that run, and the last ones of every environment."""

import bisect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from envkiln.cache.index import BUILDS_KEPT
from envkiln.daemon.estimate import estimate
from envkiln.daemon.messages import BuildView


class History:
    """Every method returns at once. Views of running builds have no progress: that is in the state."""

    def __init__(self, recorded: Mapping[str, Iterable[Mapping[str, Any]]]) -> None:
        """`recorded` are the builds that the index remembers, by environment, oldest first."""
        self._running: dict[str, BuildView] = {}
        self._ended: dict[str, list[BuildView]] = {}
        self._by_build: dict[str, BuildView] = {}
        self._order: list[tuple[float, str]] = []
        """(start, build) of every build that has ended, oldest first."""
        for id_, builds in recorded.items():
            for record in builds:
                build = _read(record)
                if build is not None and build.environment == id_:
                    self._keep(build)

    def begin(self, build: BuildView) -> BuildView:
        """A build has begun; returns it with an estimate of its length."""
        begun = msgspec.structs.replace(build, estimate=self.estimate(build.environment))
        self._running[build.image] = begun
        return begun

    def end(self, build: BuildView) -> None:
        """A build has ended, one that began or one that could not."""
        self._running.pop(build.image, None)
        self._keep(build)

    def running(self, image: str) -> BuildView | None:
        return self._running.get(image)

    def find(self, build: str) -> BuildView | None:
        found = self._by_build.get(build)
        return found or next((it for it in self._running.values() if it.build == build), None)

    def of(self, id_: str) -> list[BuildView]:
        """Return the builds of one environment, running ones first, then the newest first."""
        running = [build for build in self._running.values() if build.environment == id_]
        return [*running, *reversed(self._ended.get(id_, []))]

    def all(self) -> Iterator[BuildView]:
        """Yield every build, running ones first, then the newest first."""
        yield from sorted(self._running.values(), key=lambda build: (-build.started, build.build))
        yield from (self._by_build[build] for _, build in reversed(self._order))

    def count(self) -> int:
        return len(self._running) + len(self._by_build)

    def estimate(self, id_: str) -> float | None:
        """Return how long a build of the environment takes in all, None when none has ended well."""
        return estimate([it.seconds for it in self.of(id_) if it.state == "built" and it.seconds is not None])

    def seconds_of(self, image: str, id_: str) -> float | None:
        """Return how long the image took to build, or else what builds of the environment take."""
        took = [it.seconds for it in self.of(id_) if it.image == image and it.state == "built"]
        return took[0] if took and took[0] is not None else self.estimate(id_)

    def _keep(self, build: BuildView) -> None:
        builds = self._ended.setdefault(build.environment, [])
        builds.append(build)
        self._by_build[build.build] = build
        bisect.insort(self._order, (build.started, build.build))
        while len(builds) > BUILDS_KEPT:
            oldest = builds.pop(0)
            del self._by_build[oldest.build]
            self._order.remove((oldest.started, oldest.build))


def _read(record: Mapping[str, Any]) -> BuildView | None:
    try:
        build = msgspec.convert(record, BuildView)
    except msgspec.ValidationError:
        return None  # of an earlier layout, or damaged
    return build
