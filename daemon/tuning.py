"""The garbage collector's pace: a daemon's state is large, lives long and has no cycles."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG = 50_000


def tune_collector() -> None:
    """Collect less often: by default every 700 new objects start a pass, and the full ones walk the whole state."""
    gc.set_threshold(_YOUNG, 20, 100)


@contextmanager
def uncollected() -> Iterator[None]:
    """Collect nothing meanwhile, and never again look at what was made: for the start, which makes what stays."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
