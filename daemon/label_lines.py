"""Labels as one instruction of a Dockerfile: the classic builder makes a step, and a container, of each one."""

import re
from collections.abc import Mapping

_ESCAPE_DIRECTIVE = re.compile(rb"\A(?:\s*#[^\n]*\n)*?\s*#\s*escape\s*=", re.IGNORECASE)
# The parser reads physical lines of at most 64 KiB; a continued line may be longer.
_PIECE = 4096


def with_labels(dockerfile: bytes, labels: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """Return `dockerfile` with an instruction at its end that sets `labels`, and the labels that it could not take.

    A label with a line break cannot be written, nor can any where the text ends in the middle of an instruction or
    chooses its own escape character: these are the builder's to set.
    """
    if dockerfile.rstrip().endswith(b"\\") or _ESCAPE_DIRECTIVE.match(dockerfile):
        return dockerfile, dict(labels)
    left = {key: value for key, value in labels.items() if "\n" in value or "\r" in value}
    pairs = [f"{_quoted(key)}={_quoted(value)}" for key, value in labels.items() if key not in left]
    if not pairs:
        return dockerfile, left
    return dockerfile + b"\n\nLABEL " + " \\\n  ".join(pairs).encode() + b"\n", left


def _quoted(text: str) -> str:
    pieces = (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
    escaped = (re.sub(r'([\\"$])', r"\\\1", piece) for piece in pieces)
    # Between the pieces the line goes on: the parser joins them before it looks at quotes.
    return '"' + "\\\n".join(escaped) + '"'
