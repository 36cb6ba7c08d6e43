"""`status --watch`: the event stream as a table on a terminal, or as lines."""

import os
import signal
import sys
import threading
import time
from collections.abc import Collection
from typing import Any

import click

from envkiln.daemon import terminal
from envkiln.daemon.client import Client, ServiceDown
from envkiln.daemon.errors import ExitCode
from envkiln.daemon.knowledge import find_running
from envkiln.daemon.live_table import live_table
from envkiln.daemon.marks import totals
from envkiln.daemon.paths import paths_from
from envkiln.daemon.progress_text import progress_text
from envkiln.daemon.text import one_line
from envkiln.daemon.watch_model import WatchModel

REFRESH_S = 0.1
"""At most so often is anything drawn; when nothing is heard, ages and durations move every second."""
_TICK_S = 1.0


def watch(environment: str | None, states: Collection[str], *, plain: bool) -> int:
    """Show what happens until Ctrl-C, which is the good end."""
    client = Client(paths_from(os.environ).socket)
    only = str(find_running(client, environment)["environment"]) if environment is not None else None
    model = WatchModel(states, only)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # which leaves the terminal as it was
    try:
        if terminal.redraws(sys.stdout, plain=plain):
            _draw(client, model)
        else:
            _print(client, model)
    except KeyboardInterrupt:
        pass
    return ExitCode.DONE


def _draw(client: Client, model: WatchModel) -> None:
    from rich.console import Console  # noqa: PLC0415 -- only where something is drawn
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    follower = _Follower(client, model)
    drawn: Any = None
    with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        follower.start()
        while True:
            follower.wait()
            size = console.size
            with follower.lock:
                caption = one_line(model.caption())
                below = len(Text(caption).wrap(console, size.width))
                rows = model.rows(max(1, size.height - 1 - below), time.time())
            if (rows, caption, size) != drawn:
                drawn = (rows, caption, size)
                live.update(live_table(rows, caption), refresh=True)
            time.sleep(REFRESH_S)


class _Follower:
    """Reads the stream in a thread, so that drawing never holds it up."""

    def __init__(self, client: Client, model: WatchModel) -> None:
        self.lock = threading.Lock()
        self._client = client
        self._model = model
        self._heard = threading.Event()
        self._failure: BaseException | None = None

    def start(self) -> None:
        threading.Thread(target=self._follow, daemon=True).start()

    def wait(self) -> None:
        """Return when something was heard, or after a moment; raises what ended the stream."""
        self._heard.wait(_TICK_S)
        self._heard.clear()
        if self._failure is not None:
            raise self._failure

    def _follow(self) -> None:
        try:
            for _, kind, data in self._client.events(lost=self._lose):
                with self.lock:
                    self._model.take(kind, data)
                self._heard.set()
        except BaseException as error:  # noqa: BLE001 -- raised again where it is waited for
            self._failure = error
            self._heard.set()

    def _lose(self, problem: ServiceDown) -> None:
        with self.lock:
            self._model.lose(str(problem))
        self._heard.set()


def _print(client: Client, model: WatchModel) -> None:
    """Print a line for everything that changes, in words."""
    told: dict[str, tuple[str, str]] = {}

    def lost(problem: ServiceDown) -> None:
        if model.problem is None:
            _line(f"{problem}; waiting for it")
        model.lose(str(problem))

    for _, kind, data in client.events(lost=lost):
        if kind == "gone" and told.pop(data["environment"], None) is not None:
            _line(f"{data['environment']}: gone")
        model.take(kind, data)
        if kind == "snapshot" and data["more"]:
            continue
        for id_ in sorted(_touched(model, kind, data)):
            view = model.views[id_]
            build = model.build_of(view)
            phase = ((build or {}).get("progress") or {}).get("phase") or ""
            if told.get(id_) == (view["state"], phase) or not model.is_shown(view):
                continue
            told[id_] = (view["state"], phase)
            why = progress_text(build, time.time()) if build is not None else view["reason"]
            _line(f"{id_}: {view['state']}: {why}")
        if kind == "snapshot":
            for id_ in told.keys() - model.views.keys():
                del told[id_]
                _line(f"{id_}: gone")
            _line(totals(_counts(model)))


def _touched(model: WatchModel, kind: str, data: Any) -> Collection[str]:
    if kind == "snapshot":
        return model.views.keys()
    if kind == "environment":
        return [data["environment"]]
    if kind in ("build", "progress") and data["state"] == "running":  # of its end the environment tells
        return [id_ for id_, view in model.views.items() if view["build"] == data["build"]]
    return []


def _counts(model: WatchModel) -> dict[str, int]:
    counts: dict[str, int] = {}
    for view in model.views.values():
        counts[view["state"]] = counts.get(view["state"], 0) + 1
    return counts


def _line(text: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {one_line(text)}")
    sys.stdout.flush()
