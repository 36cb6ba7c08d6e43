"""`wait`: until environments are ready, with the progress of their builds."""

import json
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from envkiln.cache.errors import EnvkilnError
from envkiln.daemon.cli_shared import plain_option, say_hint
from envkiln.daemon.client import Client
from envkiln.daemon.completion import ENVIRONMENT
from envkiln.daemon.errors import ExitCode, UnknownEnvironment
from envkiln.daemon.knowledge import find_running
from envkiln.daemon.paths import paths_from
from envkiln.daemon.text import one_line

_AT_A_TIME_S = 30.0
_LOOK_AGAIN_S = 0.1
_REDRAW_S = 0.5
_GOOD = ("ready", "named")
_BAD = ("failed", "invalid")


@click.command()
@click.argument("environments", type=ENVIRONMENT, nargs=-1, required=True, metavar="ENVIRONMENT...")
@click.option("--any", "any_", is_flag=True, help="Until the first of them is ready.")
@click.option("--timeout", type=click.FloatRange(min=0), default=None, metavar="S", help="Give up after S seconds.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object at the end.")
@plain_option
def wait(environments: tuple[str, ...], any_: bool, timeout: float | None, as_json: bool, plain: bool) -> int:
    """Wait until every ENVIRONMENT is ready, as its files are now; exit code 1 when one is failed or invalid, 5 when
    late.

    With --any one that is ready is enough. How far the builds are is told on standard error.

    Example: envkiln wait pytorch --timeout 600 && envkiln run pytorch -- python train.py
    """
    from envkiln.daemon.build_progress import BuildProgress

    client = Client(paths_from(os.environ).socket)
    deadline = None if timeout is None else time.monotonic() + timeout
    ids = list(dict.fromkeys(_id_of(client, environment, deadline) for environment in environments))
    waiting = _Waiting(client, ids, deadline)
    with BuildProgress(client, plain=plain) as progress:
        for id_, view in waiting.ends(lambda: progress.show(waiting.pending)):
            progress.clear()
            if not as_json:
                _say(id_, view)
            if any_ and view is not None and view["state"] in _GOOD:
                break
    code = waiting.code(any_=any_)
    waiting.ask_pending()
    if code is not ExitCode.DONE and not as_json:
        for id_ in waiting.pending:
            _say_late(id_, waiting.views.get(id_), timeout or 0.0)
    if as_json:
        views = [waiting.views.get(id_) for id_ in ids]
        outcome = code.name.lower()
        click.echo(json.dumps({"outcome": outcome, "environments": [view for view in views if view is not None]}))
    return code


@dataclass
class _Waiting:
    """One thread for each environment asks the service, which answers when the environment is settled."""

    client: Client
    ids: Sequence[str]
    deadline: float | None
    views: dict[str, Any] = field(default_factory=dict)
    """What is known of those that ended: null for one that is gone."""
    pending: list[str] = field(default_factory=list)

    def ends(self, idle: Callable[[], None]) -> Iterator[tuple[str, Any]]:
        """Yield (id, view) of each that ends; those that stay `pending` had no time to. Calls `idle` meanwhile."""
        answers: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self.pending = list(self.ids)
        for id_ in self.ids:
            threading.Thread(target=self._ask, args=(id_, answers), daemon=True).start()
        unanswered = len(self.pending)
        while unanswered:
            idle()
            try:
                id_, answer = answers.get(timeout=_REDRAW_S)
            except queue.Empty:
                continue
            if isinstance(answer, BaseException):
                raise answer
            unanswered -= 1
            if answer is None or answer["state"] in (*_GOOD, *_BAD):
                self.pending.remove(id_)
                self.views[id_] = answer
                yield id_, answer

    def _ask(self, id_: str, answers: "queue.SimpleQueue[tuple[str, Any]]") -> None:
        try:
            while True:
                left = _AT_A_TIME_S if self.deadline is None else self.deadline - time.monotonic()
                view = self.client.wait(id_, max(0.0, min(left, _AT_A_TIME_S)))
                over = self.deadline is not None and time.monotonic() >= self.deadline
                if view is None or view["state"] in (*_GOOD, *_BAD) or over:
                    answers.put((id_, view))
                    return
        except Exception as error:  # noqa: BLE001 -- raised again where it is waited for
            answers.put((id_, error))

    def ask_pending(self) -> None:
        for id_ in self.pending:
            try:
                self.views[id_] = self.client.environment(id_)
            except EnvkilnError:
                return  # the service went away meanwhile: what is known is said

    def code(self, *, any_: bool) -> ExitCode:
        ended = [self.views[id_] for id_ in self.ids if id_ in self.views and id_ not in self.pending]
        good = [view for view in ended if view is not None and view["state"] in _GOOD]
        if any_ and good:
            return ExitCode.DONE
        if any_ and self.pending:
            return ExitCode.TIMED_OUT
        if any(view is not None and view["state"] in _BAD for view in ended):
            return ExitCode.FAILED
        if any(view is None for view in ended):
            return ExitCode.UNKNOWN_ENVIRONMENT
        return ExitCode.TIMED_OUT if self.pending else ExitCode.DONE


def _say(id_: str, view: Any) -> None:
    shown = one_line(id_)
    if view is None:
        click.echo(f"{shown}: gone", err=True)
    elif view["state"] in _GOOD:
        click.echo(f"{shown}: {view['state']} {view['image']}")
    else:
        click.echo(f"{shown}: {view['state']}: {one_line(view['reason'])}", err=True)
        say_hint(view)


def _say_late(id_: str, view: Any, timeout: float) -> None:
    if view is not None:
        text = f"{one_line(id_)}: still {view['state']} after {timeout:g} s: {one_line(view['reason'])}"
        click.echo(text, err=True)


def _id_of(client: Client, environment: str, deadline: float | None) -> str:
    """Return the id of an environment; a service that is just starting may not have seen it yet."""
    looked = False
    while True:
        try:
            return str(find_running(client, environment)["environment"])
        except UnknownEnvironment:
            starting = looked and client.service()["starting"]
            if looked and (not starting or (deadline is not None and time.monotonic() >= deadline)):
                raise
        if not looked:
            client.rescan(None)  # it may have been made a moment ago
            looked = True
            continue
        time.sleep(_LOOK_AGAIN_S)
