"""A value inside a document, and its place: what a reader needs to say where something is wrong."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Protocol

from envkiln.cache.errors import DefinitionError
from envkiln.cache.redact import harmless
from envkiln.cache.yaml_text import YamlDocument


class Place(Protocol):
    """Somewhere in a file of a definition."""

    def error(self, message: str, *, hint: str) -> DefinitionError: ...

    def warning(self, text: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Section:
    """The value at `path` in `document`."""

    document: YamlDocument
    path: tuple[Hashable, ...] = ()

    @property
    def value(self) -> Any:
        value = self.document.value
        for step in self.path:
            value = value[step]
        return value

    def at(self, *path: Hashable) -> "Section":
        """Return the section below this one; it need not exist to say where it is missed."""
        return Section(self.document, self.path + path)

    def line(self, *path: Hashable) -> int:
        """Return the line of the value at `path` below this one."""
        return self.document.mark(*self.path, *path)[0]

    def error(self, message: str, *, hint: str) -> DefinitionError:
        return self.document.error(message, *self.path, hint=hint)

    def warning(self, text: str) -> str:
        """Return `file:line: text`."""
        return f"{self.document.file}:{self.document.mark(*self.path)[0]}: {harmless(text)}"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a text file; `line` None means the whole file."""

    file: str
    line: int | None = None

    def error(self, message: str, *, hint: str) -> DefinitionError:
        return DefinitionError(message, file=self.file, line=self.line, hint=hint)

    def warning(self, text: str) -> str:
        """Return `file:line: text`, as far as the line is known."""
        return f"{self.file}:{self.line}: {harmless(text)}" if self.line else f"{self.file}: {harmless(text)}"
