"""How a person names a registered version: `NAME`, `NAME:VERSION` or `NAME@latest`."""

from typing import NamedTuple

from envkiln.cache.registered_version import VersionError, checked_name, checked_number

_HINT = "write NAME, NAME:VERSION or NAME@latest"


class VersionReference(NamedTuple):
    """`number` None stands for the latest version."""

    name: str
    number: int | None = None

    @classmethod
    def parse(cls, text: str) -> "VersionReference":
        """Return what `text` means; raises VersionError."""
        name, at, label = text.partition("@")
        if at:
            if label != "latest":
                raise VersionError(f"{label!r} is not a label: there is only `latest`", hint=_HINT)
            return cls(checked_name(name))
        name, colon, number = text.partition(":")
        if not colon:
            return cls(checked_name(name))
        if not (number.isascii() and number.isdecimal() and len(number) < 11):
            raise VersionError(f"{number[:80]!r} is not a version", hint=_HINT)
        return cls(checked_name(name), checked_number(int(number)))
