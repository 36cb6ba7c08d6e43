"""The interpreter's settings for a service: how often it collects garbage, how many calls may wait side by side."""

import asyncio
import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

_YOUNG = 50_000
_THREADS = 64


def tune_collector() -> None:
    """Collect less often: the state is large, lives long and has no cycles.

    By default every 700 new objects start a pass, and the full ones walk the whole state.
    """
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


def provide_threads() -> None:
    """Give the running loop threads enough: calls that an engine or a registry lets hang must not hold up a look.

    They are started when they are needed. asyncio's own number is six on a machine with two processors.
    """
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "envkiln"))
