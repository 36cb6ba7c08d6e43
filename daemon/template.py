"""Templates of `status --format`: plain fields in braces, and nothing that reaches further."""

from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any

from envkiln.cache.names import short_name
from envkiln.daemon.marks import mark_of
from envkiln.daemon.text import ago, one_line

View = Mapping[str, Any]

FIELDS: Mapping[str, Callable[[View, float], str]] = {
    "environment": lambda view, _: view["environment"],
    "id": lambda view, _: view["environment"],
    "name": lambda view, _: view["environment"].rpartition("/")[2],
    "state": lambda view, _: view["state"],
    "mark": lambda view, _: mark_of(view["state"])[0],
    "image": lambda view, _: view["image"] or "",
    "short": lambda view, _: short_name(view["image"]) if view["image"] else "",
    "age": lambda view, now: ago(now - view["since"]),
    "reason": lambda view, _: view["reason"],
    "build": lambda view, _: view["build"] or "",
}


class Template:
    """A text with fields. Raises ValueError with what is wrong when it is made, never when it is filled in."""

    def __init__(self, text: str) -> None:
        self._parts: list[str | Callable[[View, float], str]] = []
        for literal, name, spec, conversion in Formatter().parse(text):
            if literal:
                self._parts.append(literal)
            if name is None:
                continue
            if spec or conversion or name not in FIELDS:
                wrong = f"{{{name}{'!' + conversion if conversion else ''}{':' + spec if spec else ''}}}"
                known = ", ".join(f"{{{field}}}" for field in FIELDS)
                raise ValueError(f"{wrong} is no field; there are {known}")
            self._parts.append(FIELDS[name])

    def fill(self, view: View, now: float) -> str:
        """Return the text for one environment at wall time `now`, on one line."""
        return "".join(part if isinstance(part, str) else one_line(part(view, now)) for part in self._parts)
