"""How a person names a registered version: `NAME`, `NAME:VERSION` or `NAME@LABEL`."""

import re
from typing import NamedTuple

from envkiln.cache.registered_version import VersionError, checked_name, checked_number

LATEST = "latest"
"""The label that the highest version has which is not archived."""
_HINT = "write NAME, NAME:VERSION or NAME@latest"
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


class VersionReference(NamedTuple):
    """`number` says which version; where it is None, `label` does."""

    name: str
    number: int | None = None
    label: str = LATEST

    @classmethod
    def parse(cls, text: str) -> "VersionReference":
        """Return what `text` means; raises VersionError."""
        name, at, label = text.partition("@")
        if at:
            if not _LABEL.fullmatch(label):
                raise VersionError(f"{label[:80]!r} is not a label", hint=_HINT)
            return cls(checked_name(name), None, label)
        name, colon, number = text.partition(":")
        if not colon:
            return cls(checked_name(name))
        if not (number.isascii() and number.isdecimal() and len(number) < 11):
            raise VersionError(f"{number[:80]!r} is not a version", hint=_HINT)
        return cls(checked_name(name), checked_number(int(number)))
