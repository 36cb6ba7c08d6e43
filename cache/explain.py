"""What differs between two texts that have a name, in words: pure."""

from collections import Counter
from difflib import SequenceMatcher
from typing import Any

import yaml

from envkiln.cache.redact import redact

_LONGEST = 200
_MOST = 50
_MOST_COMPARED = 1000
"""Lines whose places are compared; of longer texts only what came and went is told. Callers wait for the answer."""
_COMPARISONS = ("==", ">=", "<=", "!=", "~=", "=", ">", "<", " ", "[", ";", "@")


def changes(before: str, after: str) -> tuple[str, ...]:
    """Return what changed from one text to another; none if, and only if, they say the same.

    A text is a canonical conda specification, or the named text of an image (docs/names.md).
    """
    if before == after:
        return ()
    old, new = _specification(before), _specification(after)
    said = _of_lines(before, after) if old is None or new is None else _of_specifications(old, new)
    said = said or _of_lines(before, after)
    said = [redact(" ".join(sentence.split()))[:_LONGEST] for sentence in said]
    return (*said[:_MOST], *((f"and {len(said) - _MOST} more",) if len(said) > _MOST else ()))


def _specification(text: str) -> dict[str, Any] | None:
    try:
        # Canonical text has no aliases; with them a short text may be endless.
        if "*" in text and any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.CSafeLoader)):
            return None
        loaded = yaml.load(text, yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return loaded if isinstance(loaded, dict) and isinstance(loaded.get("dependencies"), list) else None


def _of_specifications(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    said = _of_lists("channel ", _texts(old.get("channels")), _texts(new.get("channels")))
    said += _of_lists("", _texts(old["dependencies"]), _texts(new["dependencies"]))
    said += _of_lists("pip: ", _pip(old["dependencies"]), _pip(new["dependencies"]))
    for key in sorted({*map(str, old), *map(str, new)} - {"channels", "dependencies"}):
        if old.get(key) != new.get(key):
            if isinstance(old.get(key), dict) and isinstance(new.get(key), dict):
                names = sorted({*map(str, old[key]), *map(str, new[key])})
                said += [f"{key}: {name} changed" for name in names if old[key].get(name) != new[key].get(name)]
            else:
                said.append(f"{key} changed")
    return said


def _of_lists(what: str, old: list[str], new: list[str]) -> list[str]:
    """Return what came, went, or is there in another version or order."""
    gone, come = Counter(old) - Counter(new), Counter(new) - Counter(old)
    by_name = {_name(item): item for item in gone}
    said = []
    for item in come.elements():
        earlier = by_name.pop(_name(item), None)
        if earlier is None:
            said.append(f"{what}added {item}")
        else:
            gone[earlier] -= 1
            said.append(f"{what}{_name(item)}: {_rest(earlier)} -> {_rest(item)}")
    said += [f"{what}removed {item}" for item in gone.elements()]
    if not said and old != new:
        said.append(f"{what or 'package '}order changed: {', '.join(new)}")
    return said


def _of_lines(before: str, after: str) -> list[str]:
    old, new = before.splitlines(), after.splitlines()
    same = next((at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), None)
    same = min(len(old), len(new)) if same is None else same
    old, new = old[same:], new[same:]
    while old and new and old[-1] == new[-1]:
        del old[-1], new[-1]
    if max(len(old), len(new)) > _MOST_COMPARED:
        changed = [("removed", [*(Counter(old) - Counter(new)).elements()])]
        changed.append(("added", [*(Counter(new) - Counter(old)).elements()]))
        nothing = "the order of the lines changed"
    else:
        # Not `ndiff`: it also looks for lines that are alike, for seconds where some hundred are.
        changed, nothing = [], "white space changed"
        for _, low, high, new_low, new_high in SequenceMatcher(None, old, new).get_opcodes():
            if old[low:high] != new[new_low:new_high]:
                changed += [("removed", old[low:high]), ("added", new[new_low:new_high])]
    return [f"{word}: {line.strip()}" for word, lines in changed for line in lines if line.strip()] or [nothing]


def _texts(items: Any) -> list[str]:
    return [str(item) for item in items if not isinstance(item, dict)] if isinstance(items, list) else []


def _pip(dependencies: list[Any]) -> list[str]:
    lists = (item.get("pip") for item in dependencies if isinstance(item, dict))
    return [text for items in lists for text in _texts(items)]


def _name(item: str) -> str:
    """Return the package that an item is about: what stands before the first comparison."""
    ends = [end for sign in _COMPARISONS if (end := item.find(sign)) > 0]
    return item[: min(ends)] if ends else item


def _rest(item: str) -> str:
    return item[len(_name(item)) :].strip().lstrip("=") or "any"
