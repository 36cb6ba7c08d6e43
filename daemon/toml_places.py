"""TOML with line numbers: `tomllib` reads the values, a small scanner finds the lines that it does not tell."""

import re
import tomllib
from typing import Any

# Strings and comments are taken whole, so that the marks inside them do not count. Only texts that tomllib has
# accepted are scanned; what is not matched here cannot end a statement.
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|'
    r"'''.*?'{3,5}|"
    r'"(?:[^"\\\n]|\\.)*"|'
    r"'[^'\n]*'|"
    r"#[^\n]*|"
    r"[\[\]{}=\n]",
    re.DOTALL,
)
Path = tuple[str | int, ...]
"""The way to a value: keys, and indexes of arrays of tables."""


class TomlSyntaxError(ValueError):
    """A text that is not TOML; `line` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class TomlDocument:
    """One parsed text: `value` is plain data."""

    __slots__ = ("_lines", "value")

    def __init__(self, value: dict[str, Any], lines: dict[Path, int]) -> None:
        self.value = value
        self._lines = lines

    def line(self, *path: str | int) -> int:
        """Return the line, from 1, of the key or header at `path`, or of its nearest parent."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._lines:
                return self._lines[path[:length]]
        return 1


def read_toml(data: bytes) -> TomlDocument:
    """Return the document of `data` (UTF-8, with or without a byte order mark); raises TomlSyntaxError."""
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TomlSyntaxError(f"byte 0x{data[error.start]:02x} is not UTF-8", line) from None
    try:
        value = tomllib.loads(text)
    except ValueError as error:  # also a number with more digits than Python converts
        raise _syntax_error(error, text) from None
    except RecursionError:
        raise TomlSyntaxError("arrays or tables are nested too deeply", 1) from None
    return TomlDocument(value, _lines(text))


def _syntax_error(error: ValueError, text: str) -> TomlSyntaxError:
    # tomllib tells the place only in its message: "... (at line 3, column 5)" or "... (at end of document)".
    message, _, place = str(error).partition(" (at ")
    found = re.match(r"line (\d+)", place)
    line = int(found[1]) if found else text.count("\n", 0, len(text.rstrip())) + 1
    return TomlSyntaxError(message[:1].lower() + message[1:], line)


def _lines(text: str) -> dict[Path, int]:
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    line, counted = 1, 0
    for start, end, equals in _statements(text):
        line += text.count("\n", counted, start)
        counted = start
        if equals is None:
            table = _header(text[start:end], counts)
            lines[table] = line
            if isinstance(table[-1], int):
                lines.setdefault(table[:-1], line)
        else:
            # The key alone, with another value: quoted and dotted keys are tomllib's to read.
            keys = _keys(tomllib.loads(f"{text[start:equals]}= 0"))
            for length in range(1, len(keys) + 1):
                lines.setdefault((*table, *keys[:length]), line)
    return lines


def _statements(text: str) -> list[tuple[int, int, int | None]]:
    """Return (start, end, position of the `=`) of each header (no `=`) and each key with its value."""
    statements: list[tuple[int, int, int | None]] = []
    start, depth, equals = 0, 0, None
    for token in [*_TOKEN.finditer(text), None]:
        mark = token[0] if token else "\n"
        position = token.start() if token else len(text)
        if mark in ("[", "{"):
            depth += 1
        elif mark in ("]", "}"):
            depth -= 1
        elif mark == "=" and equals is None:
            equals = position
        elif mark == "\n" and depth == 0:
            statement = text[start:position].lstrip()
            if statement and not statement.startswith("#"):
                statements.append((position - len(statement), position, equals))
            start, equals = position + 1, None
    return statements


def _header(statement: str, counts: dict[Path, int]) -> Path:
    keys = _keys(tomllib.loads(statement))
    is_array = statement.startswith("[[")
    path: Path = ()
    for index, key in enumerate(keys):
        path = (*path, key)
        if is_array and index == len(keys) - 1:
            counts[path] = counts.get(path, 0) + 1
        if path in counts:
            path = (*path, counts[path] - 1)
    return path


def _keys(nested: Any) -> list[str]:
    """Return the keys on the way into a value in which each table has one key."""
    keys = []
    while isinstance(nested, dict | list) and nested:
        if isinstance(nested, list):
            nested = nested[0]
        else:
            key, nested = next(iter(nested.items()))
            keys.append(key)
    return keys
