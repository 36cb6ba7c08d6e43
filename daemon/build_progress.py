"""How far builds are, on standard error: one line that is drawn anew on a terminal, a line per phase elsewhere."""

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from envkiln.daemon import terminal
from envkiln.daemon.client import Client
from envkiln.daemon.progress_text import progress_text
from envkiln.daemon.text import one_line

_ASK_S = 1.0
_MOST = 3
"""Environments asked about at a time: a line has no room for more."""


class BuildProgress:
    """Asks a service about environments that are waited for. Leaving it removes the line."""

    def __init__(self, client: Client, *, plain: bool = False) -> None:
        self._client = client
        self._redraws = terminal.redraws(sys.stderr, plain=plain)
        self._drawn = ""
        self._phases: dict[str, str] = {}
        self._known: list[tuple[str, dict[str, Any], dict[str, Any] | None]] = []
        self._ask_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.clear()

    def show(self, ids: Sequence[str]) -> None:
        """Show how far the builds of these environments are."""
        if time.monotonic() >= self._ask_at:
            self._known = [known for id_ in ids[:_MOST] if (known := self._ask(id_)) is not None]
            self._ask_at = time.monotonic() + _ASK_S
        shown = [it for it in self._known if it[0] in ids]
        if self._redraws:
            others = f"; {len(ids) - len(shown)} more" if len(ids) > len(shown) else ""
            self._draw("; ".join(_line(*it) for it in shown) + others if shown else "")
            return
        for id_, view, build in shown:
            phase = ((build or {}).get("progress") or {}).get("phase") or view["state"]
            if self._phases.get(id_) != phase and view["state"] in ("queued", "building"):
                self._phases[id_] = phase
                sys.stderr.write(f"{_line(id_, view, build)}\n")
                sys.stderr.flush()

    def clear(self) -> None:
        """Remove the line, so that something else can be printed."""
        self._draw("")

    def _ask(self, id_: str) -> tuple[str, dict[str, Any], dict[str, Any] | None] | None:
        view = self._client.environment(id_)
        if view is None:
            return None
        return id_, view, self._client.build_view(view["build"]) if view["build"] else None

    def _draw(self, text: str) -> None:
        if not self._redraws or text == self._drawn:
            return
        self._drawn = text
        sys.stderr.write(f"\r\x1b[K{terminal.fit(text, terminal.width_of(sys.stderr) - 1)}")
        sys.stderr.flush()


def _line(id_: str, view: dict[str, Any], build: dict[str, Any] | None) -> str:
    text = progress_text(build, time.time()) if build is not None else f"{view['state']}: {view['reason']}"
    return one_line(f"{id_}: {text}")
