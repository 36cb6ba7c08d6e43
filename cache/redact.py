"""Text without secrets: what may stand in a log, a label or a message."""

import re

# `scheme://user:password@host` and `scheme://token@host`, where the password may hold an `@`; the token in the path of
# a conda channel (`https://host/t/<token>/channel`); query values that are keys by their name.
_CREDENTIALS = re.compile(r"(?<=://)[^\s/'\"]+@")
_CHANNEL = re.compile(r"(://[^\s'\"]{0,255}?/t/)[^\s/'\"]+")
_KEYS = "sig|signature|token|access_token|api_key|apikey|key|password|secret"
_QUERY = re.compile(rf"([?&](?:{_KEYS})=)[^&\s'\"]+", re.IGNORECASE)


def redact(text: str) -> str:
    """Return `text` with the credentials of URLs replaced by `***`."""
    return _QUERY.sub(r"\1***", _CHANNEL.sub(r"\1***", _CREDENTIALS.sub("***@", text)))
