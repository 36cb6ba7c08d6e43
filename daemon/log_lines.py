"""Build output as lines that are safe to store and to show."""

import re

LONGEST_LINE = 16 * 1024
"""Longer lines are cut into pieces of this many characters: progress bars without a line end, minified text."""

_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class LineSplitter:
    """Cuts a stream of text into lines; LF, CR LF and a lone CR end one.

    `feed` returns the lines that are complete, `rest` what stands after the last line end. No line is longer than
    LONGEST_LINE, and no more than that is ever held back.
    """

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> list[str]:
        # A CR at the very end may be half of a CR LF: it stays until more comes.
        text = self._held + text
        held_return = text.endswith("\r")
        body = (text[:-1] if held_return else text).replace("\r\n", "\n").replace("\r", "\n")
        *lines, last = body.split("\n")
        pieces = [piece for line in lines for piece in _pieces(line)]
        if len(last) > LONGEST_LINE:
            *full, last = _pieces(last)
            pieces += full
        self._held = last + "\r" if held_return else last
        return pieces

    def rest(self) -> list[str]:
        held, self._held = self._held.rstrip("\r"), ""
        return _pieces(held) if held else []


def cleaned(line: str) -> str:
    """Return `line` without escape sequences, control characters other than tab, and line or direction marks."""
    return _CONTROL.sub("", _ESCAPE_SEQUENCE.sub("", line)).rstrip()


def _pieces(line: str) -> list[str]:
    return [line[start : start + LONGEST_LINE] for start in range(0, len(line), LONGEST_LINE)] or [line]
