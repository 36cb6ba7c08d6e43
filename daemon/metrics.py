"""The service in numbers, for Prometheus.

What happens is counted here, in plain numbers; prometheus-client is imported when somebody asks for them.
"""

import bisect
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING

from envkiln.daemon.answers import LONGEST_PAGE, Answers
from envkiln.daemon.events import BuildEnded, Event, PushEnded

if TYPE_CHECKING:
    from prometheus_client import Metric

_BUILD_BUCKETS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0)
_LAG_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_RAN = frozenset({"built", "failed"})


class Histogram:
    """How many values fell below each bound."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect.bisect_left(self._bounds, value)] += 1
        self.sum += value

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """The bounds with the number of values up to each."""
        names = [*map(str, self._bounds), "+Inf"]
        return list(zip(names, map(float, accumulate(self._counts)), strict=True))


class Metrics:
    """What the service counts. Everything runs on the event loop and returns at once."""

    def __init__(self, *, watches: Callable[[], int] | None = None) -> None:
        """`watches` says how many directories are watched by inotify; None leaves that number out."""
        self.watches = watches
        self.followers = 0
        self.skips = 0
        self.pulls = 0
        self.pushes: Counter[str] = Counter()
        self.removed = 0
        self.freed_bytes = 0
        self.builds: Counter[str] = Counter()
        self.build_seconds = Histogram(_BUILD_BUCKETS)
        self.lag_seconds = Histogram(_LAG_BUCKETS)

    def build_ended(self, state: str, seconds: float) -> None:
        """A build has ended in `state` (`messages.BuildView`)."""
        self.builds[state] += 1
        if state in _RAN:
            self.build_seconds.add(seconds)

    def note(self, event: Event) -> None:
        """Count what events tell of pulls and pushes."""
        if isinstance(event, BuildEnded) and event.pulled is not None:
            self.pulls += 1
        elif isinstance(event, PushEnded):
            self.pushes["failed" if event.image is None else "pushed"] += 1

    def skipped(self) -> None:
        """A new or changed text needed no build."""
        self.skips += 1

    def cleaned(self, images: int, freed_bytes: int) -> None:
        """A clean-up has removed so many images."""
        self.removed += images
        self.freed_bytes += freed_bytes

    def event_lag(self, seconds: float) -> None:
        """This long it took from a save that had come to rest until it was known what it says."""
        self.lag_seconds.add(seconds)

    @contextmanager
    def following(self) -> Iterator[None]:
        """While somebody follows events or a log."""
        self.followers += 1
        try:
            yield
        finally:
            self.followers -= 1


class _Collector:
    def __init__(self, metrics: Metrics, answers: Answers) -> None:
        self._metrics = metrics
        self._answers = answers

    def collect(self) -> "Iterator[Metric]":
        from prometheus_client.core import (  # noqa: PLC0415 -- see above
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        metrics, service = self._metrics, self._answers.service()
        running = self._answers.builds(states=("running",), limit=LONGEST_PAGE).total
        environments = GaugeMetricFamily("envkiln_environments", "Environments by state.", labels=["state"])
        for state, count in service.counts.items():
            environments.add_metric([state], count)
        yield environments
        yield GaugeMetricFamily("envkiln_queue_length", "Images that wait for a build.", service.queue)
        yield GaugeMetricFamily("envkiln_builds_running", "Builds that run now.", running)
        yield GaugeMetricFamily("envkiln_engine_up", "Whether the engine answers.", int(service.engine.connected))
        yield GaugeMetricFamily("envkiln_followers", "Streams of events and logs that are open.", metrics.followers)
        if metrics.watches is not None:
            yield GaugeMetricFamily("envkiln_watches", "Directories watched by inotify.", metrics.watches())
        builds = CounterMetricFamily("envkiln_builds", "Builds that have ended, by how.", labels=["state"])
        for state, count in metrics.builds.items():
            builds.add_metric([state], count)
        yield builds
        yield CounterMetricFamily("envkiln_pulls", "Images that were pulled from a registry.", metrics.pulls)
        pushes = CounterMetricFamily("envkiln_pushes", "Pushes that have ended, by how.", labels=["state"])
        for state, count in metrics.pushes.items():
            pushes.add_metric([state], count)
        yield pushes
        yield CounterMetricFamily("envkiln_skips", "Texts that needed no build: the image was there.", metrics.skips)
        yield CounterMetricFamily("envkiln_removed_images", "Images that clean-ups have removed.", metrics.removed)
        yield CounterMetricFamily("envkiln_freed_bytes", "Bytes that clean-ups have freed.", metrics.freed_bytes)
        for name, text, histogram in (
            ("envkiln_build_seconds", "Seconds of builds that were built or failed.", metrics.build_seconds),
            ("envkiln_event_lag_seconds", "Seconds from a save to knowing what it says.", metrics.lag_seconds),
        ):
            yield HistogramMetricFamily(name, text, buckets=histogram.buckets, sum_value=histogram.sum)


def import_client() -> None:
    """Import prometheus-client: some 60 ms, so not on the event loop."""
    import prometheus_client.core  # noqa: F401, PLC0415 -- see above


def exposition(metrics: Metrics, answers: Answers) -> tuple[bytes, str]:
    """Return all numbers in Prometheus's text format, and its media type; `import_client` was called before."""
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest  # noqa: PLC0415 -- see above

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(metrics, answers))
    return generate_latest(registry), CONTENT_TYPE_LATEST
