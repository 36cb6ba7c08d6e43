"""Labels as instructions of a Dockerfile: the classic builder makes a step, and a container, of each one."""

import re
from collections.abc import Mapping

_ESCAPE_DIRECTIVE = re.compile(rb"\A(?:\s*#[^\n]*\n)*?\s*#\s*escape\s*=\s*(\S)", re.IGNORECASE)
# The parser reads physical lines of at most 64 KiB; a continued line may be longer.
_PIECE = 4096


def with_labels(dockerfile: bytes, labels: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """Return `dockerfile` with an instruction at its end that sets `labels`, and the labels that it could not take.

    A label with a line break cannot be written: it is the builder's to set.
    """
    left = {key: value for key, value in labels.items() if "\n" in value or "\r" in value}
    escape = _escape(dockerfile)
    pairs = [f"{_quoted(key, escape)}={_quoted(value, escape)}" for key, value in labels.items() if key not in left]
    if not pairs:
        return dockerfile, left
    return with_last_instruction(dockerfile, "LABEL " + f" {escape}\n  ".join(pairs)), left


def with_last_instruction(dockerfile: bytes, instruction: str) -> bytes:
    """Return `dockerfile` with `instruction` at its end, also where the text ends in the middle of a line."""
    escape = _escape(dockerfile).encode()
    text = dockerfile.rstrip()
    # The line goes on into the end of the file, which is no line; two of the character are no continuation.
    if text.endswith(escape) and not text.endswith(escape * 2):
        dockerfile = text[:-1]
    return dockerfile + b"\n\n" + instruction.encode() + b"\n"


def _escape(dockerfile: bytes) -> str:
    """Return the escape character of the text, which may choose its own."""
    directive = _ESCAPE_DIRECTIVE.match(dockerfile)
    return "`" if directive and directive[1] == b"`" else "\\"


def _quoted(text: str, escape: str) -> str:
    pieces = (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
    escaped = (re.sub(f'(["$]|{re.escape(escape)})', lambda found: escape + found[0], piece) for piece in pieces)
    # Between the pieces the line goes on: the parser joins them before it looks at quotes.
    return '"' + f"{escape}\n".join(escaped) + '"'
