"""How long a build will take, by those before it: pure."""

import statistics
from collections.abc import Sequence

_COUNTED = 5


def estimate(seconds_of_earlier: Sequence[float]) -> float | None:
    """Return how long a build takes in all, None where nothing is known.

    `seconds_of_earlier` are those of builds that ended well, newest first. The median of the last few: one build
    with everything cached, or one on a slow day, does not count.
    """
    return statistics.median(seconds_of_earlier[:_COUNTED]) if seconds_of_earlier else None


def remaining(estimated: float | None, elapsed: float) -> float | None:
    """Return how many seconds are left by an estimate, 0 for a build that takes longer than that."""
    return None if estimated is None else max(0.0, estimated - elapsed)
