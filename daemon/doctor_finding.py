"""What `envkiln doctor` finds: values, and what they come to. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from envkiln.cache.errors import Turn


class Verdict(Enum):
    OK = "ok"
    WARNING = "warning"
    """It works, and something is worse than it could be, or will be."""
    ERROR = "error"
    """It does not work before somebody does something."""
    UNKNOWN = "unknown"
    """It could not be looked at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `fix` says what to do, where there is something to do; `turn` whose turn it is."""

    check: str
    verdict: Verdict
    text: str
    fix: str | None = None
    turn: Turn = Turn.USER


def good(check: str, text: str) -> Finding:
    return Finding(check, Verdict.OK, text)


def warning(check: str, text: str, fix: str | None, turn: Turn = Turn.USER) -> Finding:
    return Finding(check, Verdict.WARNING, text, fix, turn)


def wrong(check: str, text: str, fix: str | None, turn: Turn = Turn.USER) -> Finding:
    return Finding(check, Verdict.ERROR, text, fix, turn)


def unknown(check: str, text: str, fix: str | None = None) -> Finding:
    return Finding(check, Verdict.UNKNOWN, text, fix, Turn.SURROUNDINGS)


def whose_turn(findings: Iterable[Finding]) -> Turn | None:
    """Return whose turn it is, the user's first; None when nothing is an error."""
    turns = {finding.turn for finding in findings if finding.verdict is Verdict.ERROR}
    return next((turn for turn in (Turn.BUG, Turn.USER, Turn.SURROUNDINGS) if turn in turns), None)
