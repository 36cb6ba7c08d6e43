"""Strict JSON reading with positions, for the definitions that the v1 client writes (FACTS §2.4)."""

import json
from collections.abc import Hashable
from typing import Any, NoReturn

import yaml

from envkiln.cache.errors import DefinitionError
from envkiln.cache.redact import quoted
from envkiln.cache.yaml_text import YamlDocument, decode_text, read_yaml


class JsonDocument(YamlDocument):
    """One parsed JSON text; positions are looked for only when they are asked for."""

    __slots__ = ("_text",)

    def __init__(self, value: Any, text: str, file: str) -> None:
        super().__init__(value, None, file)
        self._text = text

    def mark(self, *path: Hashable) -> tuple[int, int]:
        if self._root is None:
            try:
                self._root = yaml.compose(self._text, Loader=yaml.CSafeLoader)
            except yaml.YAMLError:  # JSON that is no YAML, such as escaped surrogates
                return (1, 1)
        return super().mark(*path)


class _DuplicateKeyError(Exception):
    pass


def read_json(data: bytes, file: str) -> JsonDocument:
    """Return the document of `data` (UTF-8). Raises DefinitionError with line and column for anything wrong."""
    text = decode_text(data, file)
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise DefinitionError(
            f"this is not valid JSON: {error.msg}",
            file=file,
            line=error.lineno,
            column=error.colno,
            hint="correct the JSON at this place",
        ) from None
    except _DuplicateKeyError as error:
        read_yaml(data, file)  # says the same, and where
        hint = "JSON keeps only the last one: remove one"
        raise DefinitionError(f"the key {quoted(error.args[0])} is there twice", file=file, hint=hint) from None
    except (ValueError, RecursionError) as error:  # NaN, an endless number, a thousand brackets
        message = f"this is not usable JSON: {str(error)[:80]}"
        raise DefinitionError(message, file=file, hint="write plain values") from None
    return JsonDocument(value, text, file)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        raise _DuplicateKeyError(next(name for name in names if names.count(name) > 1))
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
