"""Text without secrets: what may stand in a log, a label or a message."""

import re

# `scheme://user:password@host` and `scheme://token@host`; query values that are keys by their name.
_CREDENTIALS = re.compile(r"(?<=://)[^\s/@'\"]+@")
_KEYS = "sig|signature|token|access_token|api_key|apikey|key|password|secret"
_QUERY = re.compile(rf"([?&](?:{_KEYS})=)[^&\s'\"]+", re.IGNORECASE)


def redact(text: str) -> str:
    """Return `text` with the credentials of URLs replaced by `***`."""
    return _QUERY.sub(r"\1***", _CREDENTIALS.sub("***@", text))
