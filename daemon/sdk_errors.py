"""The errors of the Python API: the classes that azureml.core raises, with its messages (FACTS §2)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from envkiln.cache.errors import EnvkilnError, Turn


class AzureMLException(EnvkilnError):  # noqa: N818 -- its name in azureml.exceptions
    """What the API raises; `str` is of the shape that azureml.core's has, `message` the sentence in it."""

    code = "SystemError"

    def __str__(self) -> str:
        response = json.dumps({"error": {"code": self.code, "message": self.message}}, indent=4)
        lines = [f"{type(self).__name__}:", f"\tMessage: {self.message}", "\tInnerException None", "\tErrorResponse "]
        return "\n".join([*lines, response, *filter(None, [self.hint])])


class UserErrorException(AzureMLException):
    """The caller's turn: an argument, a file or the order of calls."""

    code = "UserError"


class BuildFailedException(AzureMLException):
    """An image or a conda environment that could not be made; the hint says whose turn it is, and the log."""

    def __init__(self, message: str, *, hint: str | None = None, turn: Turn = Turn.USER) -> None:
        super().__init__(message, hint=hint)
        self.turn = turn


@contextmanager
def translated() -> Iterator[None]:
    """Raise what envkiln raises inside as an error of the API, with the same hint and turn."""
    try:
        yield
    except AzureMLException:
        raise
    except EnvkilnError as error:
        kind = UserErrorException if error.turn is Turn.USER else AzureMLException
        raised = kind(str(error), hint=error.hint)
        raised.turn = error.turn
        raise raised from error
