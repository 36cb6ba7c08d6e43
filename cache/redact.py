"""Text without secrets: what may stand in a log, a label or a message."""

import re
from collections.abc import Iterable

# `scheme://user:password@host` and `scheme://token@host`, where the password may hold an `@` or an apostrophe; the
# token in the path of a conda channel (`https://host/t/<token>/channel`); query values that are keys by their name.
_CREDENTIALS = re.compile(r"(?<=://)[^\s/\"]+@")
_ADDRESS = re.compile(r"://[^\s'\"]+")
_CHANNEL = re.compile(r"(?<=/t/)[^/]+")
_KEYS = "sig|signature|token|access_token|api_key|apikey|key|password|secret"
_QUERY = re.compile(rf"([?&](?:{_KEYS})=)[^&\s'\"]+", re.IGNORECASE)
SHAPES = (
    r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}|glpat-[A-Za-z0-9_-]{20,255}"
    r"|pypi-AgE[A-Za-z0-9_-]{16,1024}|hf_[A-Za-z0-9]{30,255}|xox[abprs]-[A-Za-z0-9-]{10,255}|AKIA[0-9A-Z]{16})"
    r"(?![A-Za-z0-9])"
)
"""Tokens that are told by their shape: GitHub, GitLab, PyPI, Hugging Face, Slack, AWS."""
_SHAPES = re.compile(SHAPES)
_SHORTEST = 4
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def redact(text: str, credentials: Iterable[str] = ()) -> str:
    """Return `text` with the credentials of URLs, tokens of a known shape, and `credentials` replaced by `***`.

    A credential shorter than four characters is replaced in its URL only: anywhere else it would be any word.
    """
    for value in sorted({value for value in credentials if len(value) >= _SHORTEST}, key=len, reverse=True):
        text = text.replace(value, "***")
    text = _QUERY.sub(r"\1***", _ADDRESS.sub(_without_channel_tokens, _CREDENTIALS.sub("***@", text)))
    return _SHAPES.sub("***", text)


def _without_channel_tokens(address: re.Match[str]) -> str:
    return _CHANNEL.sub("***", address[0])


def harmless(text: str) -> str:
    """Return `text` with `?` for what a terminal would obey or that turns the direction of writing."""
    return text if text.isascii() and text.isprintable() else _CONTROL.sub("?", text)


def quoted(value: object, longest: int = 80) -> str:
    """Return a value of a definition as a message may quote it: redacted, escaped, and cut only then.

    Cut first, a URL could lose the `@` by which its password is told.
    """
    return repr(redact(value)[:longest] if isinstance(value, str) else value)[: longest + 20]
