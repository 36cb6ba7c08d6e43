"""The errors of envkiln: what, where, what to do next, and whose turn it is."""

from enum import Enum

from envkiln.cache.redact import harmless, redact


class Turn(Enum):
    """Who can remove the cause of an error."""

    USER = "user"
    """The definition, the configuration or the command: nothing changes until somebody edits it."""

    SURROUNDINGS = "surroundings"
    """The engine, the network, the disk: the same step may succeed later."""

    BUG = "bug"
    """Ours."""


class EnvkilnError(Exception):
    """An error with a message for a person.

    `message` says what is wrong, in one sentence without a final stop; `hint` says what to do next. Both lose what
    looks like a credential, and what a terminal would obey, whatever they quote.
    """

    turn: Turn = Turn.USER

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = harmless(redact(message))
        super().__init__(self.message)
        self.hint = harmless(redact(hint)) if hint else hint

    def __str__(self) -> str:
        return self.message


class DefinitionError(EnvkilnError):
    """A definition that cannot be read: the user's file has to change.

    `file` is the path below the watched root; `line` and `column` count from 1 and are None where the whole
    file is meant. `str(error)` is `file:line:column: message`.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str,
        line: int | None = None,
        column: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.file = file
        self.line = line
        self.column = column

    @property
    def place(self) -> str:
        """`file`, `file:line` or `file:line:column`, as far as it is known."""
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"
