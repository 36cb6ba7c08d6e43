"""A conda specification as canonical YAML text: the bytes that its name is a hash of (FACTS §1.1)."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

# A text that PyYAML writes plain and YAML 1.1 reads back as the same text: it starts with a letter or a slash (or as an
# option of pip does), is none of the words that mean true, false or null, and nothing in it can end a plain scalar.
# Everything else takes the slow path.
_PLAIN = re.compile(r"(?:--?)?[A-Za-z_/](?:[!-9;-~]| (?!#|$)|:(?! |$))*")
_WORDS = frozenset(("y", "n", "yes", "no", "true", "false", "on", "off", "null"))
_UNLIMITED = 1 << 30
# PyYAML writes a longer one with `? `.
_LONGEST_KEY = 120


class _Dumper(yaml.CSafeDumper):
    """PyYAML's safe dumper, without anchors: what was written twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def canonical_text(specification: Mapping[Any, Any], *, name: str = "") -> str:
    """Return `specification` with its name replaced by `name`, as block YAML with sorted keys, LF and one final LF.

    The text is byte for byte what PyYAML's `safe_dump(..., sort_keys=True, default_flow_style=False, width=huge)`
    writes. List order, duplicates and letter case are kept; a missing key stays missing, except `name`.
    """
    named = {**specification, "name": name}
    fast = _fast_text(named)
    if fast is not None:
        return fast
    text: str = yaml.dump(named, Dumper=_Dumper, sort_keys=True, default_flow_style=False, width=_UNLIMITED)
    return text


def _fast_text(named: Mapping[Any, Any]) -> str | None:
    """Return the text of the usual shape (texts, lists of texts, one nested mapping of lists), None for another."""
    lines: list[str] = []
    try:
        for key in sorted(named):
            if not _is_plain(key) or len(key) > _LONGEST_KEY:
                return None
            value = named[key]
            if type(value) is str:
                if value and not _is_plain(value):
                    return None
                lines.append(f"{key}: " + (value or "''"))
            elif type(value) is list and value:
                lines.append(f"{key}:")
                if not _add_items(lines, value, "- "):
                    return None
            else:
                return None
    except TypeError:  # keys of several types have no order
        return None
    lines.append("")
    return "\n".join(lines)


def _add_items(lines: list[str], items: list[Any], lead: str) -> bool:
    for item in items:
        if type(item) is str:
            if not _is_plain(item):
                return False
            lines.append(lead + item)
        elif type(item) is dict and len(item) == 1:
            ((key, nested),) = item.items()
            if not _is_plain(key) or len(key) > _LONGEST_KEY or type(nested) is not list or not nested:
                return False
            lines.append(f"{lead}{key}:")
            if not _add_items(lines, nested, f"{' ' * len(lead)}- "):
                return False
        else:
            return False
    return True


def _is_plain(text: Any) -> bool:
    return type(text) is str and _PLAIN.fullmatch(text) is not None and text.lower() not in _WORDS
