"""One setting: where it may be set, how its value is read and shown, and what a wrong one raises."""

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from envkiln.cache.errors import EnvkilnError
from envkiln.cache.redact import redact
from envkiln.daemon.kinds import Kind


class ConfigError(EnvkilnError):
    """A configuration that cannot be used.

    `source` says where: `file:line`, `env NAME` or `flag --name`; `str(error)` is `source: message`. Credentials in
    URLs are replaced by `***` in the message.
    """

    def __init__(self, message: str, *, source: str | None = None, hint: str | None = None) -> None:
        super().__init__(redact(message), hint=hint)
        self.source = source

    def __str__(self) -> str:
        return f"{self.source}: {self.message}" if self.source else self.message


class Scope(Enum):
    """For how much one value of a setting holds."""

    SERVICE = "service"
    """The whole daemon."""

    ROOT = "root"
    """A watched root."""

    ENVIRONMENT = "environment"
    """Set for all, per root and per pattern."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One row. `default` is as TOML has it; None means that the setting may be absent, and `""` makes it so again.

    A `secret` value is never repeated in an error. A `hidden` one is never shown at all. One that is `users_only` is
    refused in a root's own file, which may come from somebody else's repository: it starts programs or calls out.
    """

    name: str
    kind: Kind
    default: Any
    scope: Scope
    doc: str
    option: str = ""
    secret: bool = False
    hidden: bool = False
    users_only: bool = False

    @property
    def environment_variable(self) -> str:
        return f"ENVKILN_{self.name.upper()}"

    @property
    def flag(self) -> str:
        """The flag of the command line; that of a list may be given more than once."""
        return self.option or f"--{self.name.replace('_', '-')}"

    def shown(self, value: Any) -> Any:
        """Return a typed value as JSON has it, fit to be seen."""
        return "***" if self.hidden and value is not None else plain(value)

    def read(self, value: Any, source: str) -> Any:
        """Return the typed value of what TOML gave; raises ConfigError."""
        if self.default is None and value in ("", None):
            return None
        try:
            return self.kind.check(value)
        except ValueError as error:
            shown = "" if self.secret else f", not {redact(toml_text(value))[:120]}"
            reason = f": {error}" if str(error) else ""
            raise ConfigError(f"{self.name} expects {self.kind.expects}{shown}{reason}", source=source) from None

    def read_text(self, text: str, source: str) -> Any:
        """Return the typed value of a variable's or flag's text; raises ConfigError."""
        try:
            value = self.kind.from_text(text)
        except ValueError:
            value = text
        return self.read(value, source)


def nearest(word: str, words: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the one of `words` that `word` was probably meant to be."""
    found = difflib.get_close_matches(word.lower().replace("-", "_"), list(words), n=1, cutoff=cutoff)
    return found[0] if found else None


def toml_text(value: Any) -> str:
    """Return `value` (plain, as `plain` has it) as it would be written in TOML; None is `""`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps("" if value is None else value, ensure_ascii=False, default=str)


def plain(value: Any) -> Any:
    """Return a typed value as JSON has it, with credentials hidden."""
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else redact(str(value))
