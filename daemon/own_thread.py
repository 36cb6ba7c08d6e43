"""Blocking work in a thread of its own, for which nobody waits when the program ends."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def in_own_thread(name: str, work: Callable[[], T]) -> T:
    """Return or raise what `work` does. A cancelled caller is let go at once, and the thread goes on to its end.

    The loop's own pool has few threads, and the interpreter waits for them: what hangs there keeps everybody waiting.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[T] = loop.create_future()

    def settle(how: Callable[[], None]) -> None:
        if not ended.done():
            how()

    def run() -> None:
        try:
            result = work()
            how = partial(ended.set_result, result)
        except BaseException as error:  # noqa: BLE001 -- it is raised where it is waited for
            how = partial(ended.set_exception, error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, how)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await ended
