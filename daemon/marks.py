"""How states look: a mark and a colour, always beside the word."""

from collections.abc import Mapping

MARKS: Mapping[str, tuple[str, str | None]] = {
    "ready": ("+", "green"),
    "building": ("*", "cyan"),
    "queued": (".", "blue"),
    "invalid": ("x", "red"),
    "failed": ("x", "red"),
    "named": ("-", None),
}
"""Mark and colour of every state, in the order of the totals."""

# What needs a look comes first; what is ready fills the rest.
_FIRST = ("building", "invalid", "failed", "queued", "named", "ready")
_RANK = {state: rank for rank, state in enumerate(_FIRST)}


def mark_of(state: str) -> tuple[str, str | None]:
    return MARKS.get(state, ("?", None))


def rank_of(state: str) -> int:
    """Return the place of a state among those that need a look first."""
    return _RANK.get(state, 0)


def totals(counts: Mapping[str, int]) -> str:
    """Return the numbers of environments by state on one line."""
    known = [state for state in MARKS if counts.get(state)]
    others = [state for state in counts if state not in MARKS and counts[state]]
    return ", ".join(f"{counts[state]} {state}" for state in (*known, *others)) or "no environments"
