"""What the terminal can show and the user wants to see: colour, redrawing, width."""

import os
import sys
import unicodedata
from typing import TextIO

PLAIN_VARIABLE = "ENVKILN_PLAIN"
_WIDEST = 10_000
_COLOURS = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "cyan": 36}


def is_plain(asked: bool = False) -> bool:
    """Whether to print only words on lines that stay: for screen readers, logs and terminals that cannot redraw."""
    return asked or os.environ.get("TERM") == "dumb" or os.environ.get(PLAIN_VARIABLE, "") not in ("", "0")


def redraws(stream: TextIO, *, plain: bool) -> bool:
    """Whether lines on `stream` may be drawn anew."""
    return stream.isatty() and not is_plain(plain)


def has_colour(stream: TextIO, *, plain: bool = False) -> bool:
    return redraws(stream, plain=plain) and not os.environ.get("NO_COLOR")


def width_of(stream: TextIO) -> int:
    """Return the columns of a terminal; what is no terminal is as wide as needed."""
    if not stream.isatty():
        return _WIDEST
    chosen = os.environ.get("COLUMNS", "")
    if chosen.isdecimal() and int(chosen) > 0:
        return int(chosen)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80


def display_width(text: str) -> int:
    """Return the columns that `text` takes: wide characters take two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def coloured(text: str, colour: str) -> str:
    """Return `text` in a colour of `_COLOURS`."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def fit(text: str, width: int) -> str:
    """Return `text` on at most `width` columns; what is cut ends in an ellipsis."""
    if display_width(text) <= width:
        return text
    ellipsis = "…" if (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf") else "..."
    room = width - len(ellipsis)
    if room < 0:
        return ellipsis[: max(0, width)]
    kept, used = [], 0
    for character in text:
        used += _columns(character)
        if used > room:
            break
        kept.append(character)
    return "".join(kept) + ellipsis


def pad(text: str, width: int) -> str:
    """Return `text` on exactly `width` columns."""
    text = fit(text, width)
    return text + " " * (width - display_width(text))


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
