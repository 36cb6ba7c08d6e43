"""Strict, bounded YAML 1.1 reading on libyaml, with a position for everything that is wrong.

What is read is what PyYAML's safe loader reads (that is what Azure ML's names are made from, FACTS §1.1), but a
duplicate key, an unknown tag, more than one document, a bomb of aliases and a text that is not UTF-8 are errors.
"""

import re
from collections.abc import Hashable
from typing import Any

import yaml
from yaml._yaml import CParser
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from envkiln.cache.errors import DefinitionError
from envkiln.cache.redact import quoted

MAX_BYTES = 1 << 19
MAX_DEPTH = 64
MAX_NODES = 100_000
"""Nodes after aliases are expanded; the largest published definition has about a thousand."""

_STRING = "tag:yaml.org,2002:str"
_AS_WRITTEN = frozenset(("tag:yaml.org,2002:merge", "tag:yaml.org,2002:value", _STRING))
_SCALARS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "timestamp", "binary"))
_PLAIN = "plain"
# libyaml parses without recursion, but the composer recurses once per level: a text this short cannot nest deeply
# enough to matter, a longer one is measured first.
_SHORT = 4096
_MAY_NOT_BE_TEXT = frozenset("-+.0123456789~=<")
_WORDS = frozenset(
    form
    for word in ("yes", "no", "true", "false", "on", "off", "null")
    for form in (word, word.capitalize(), word.upper())
) | {""}
_CONFLICT = re.compile(rb"^(<{7} |={7}\r?$|>{7} )", re.MULTILINE)
_TEMPLATE = re.compile(rb"\{\{.*?\}\}")


class YamlDocument:
    """One parsed document: `value` is plain data, `mark` gives positions."""

    __slots__ = ("_root", "file", "value")

    def __init__(self, value: Any, root: yaml.Node | None, file: str) -> None:
        self.value = value
        self.file = file
        self._root = root

    def mark(self, *path: Hashable) -> tuple[int, int]:
        """Return (line, column), from 1, of the node at `path` (keys and list indexes), or of its nearest parent.

        A mapping's entry is where its key is.
        """
        node = place = self._root
        for step in path:
            child = _child(node, step)
            if child is None:
                break
            place, node = child
        if place is None:
            return (1, 1)
        return (place.start_mark.line + 1, place.start_mark.column + 1)

    def error(self, message: str, *path: Hashable, hint: str | None = None) -> DefinitionError:
        """Return the error that says `message` about the node at `path`."""
        line, column = self.mark(*path)
        return DefinitionError(message, file=self.file, line=line, column=column, hint=hint)


def read_yaml(data: bytes, file: str) -> YamlDocument:
    """Return the single document of `data` (UTF-8, with or without a byte order mark).

    An empty text has the value None. Raises DefinitionError with line and column for anything else that is wrong.
    Time and memory are bounded by MAX_BYTES, MAX_DEPTH and MAX_NODES.
    """
    # libyaml takes UTF-8 bytes as they are: a text of ASCII only, the usual one, is never decoded here.
    if not data.isascii() or len(data) > MAX_BYTES:
        data = decode_text(data, file).encode()
    if b"<<<<<<< " in data:
        _refuse_conflict(data, file)
    try:
        if len(data) > _SHORT:
            _measure_depth(data, file)
        composer = _Composer(data)
        try:
            root = composer.get_single_node()
        finally:
            composer.dispose()
    except yaml.MarkedYAMLError as error:
        raise _marked(error, data, file) from None
    except yaml.YAMLError as error:  # libyaml's reader: a character that YAML does not allow
        raise _reader_error(error, data, file) from None
    value = None if root is None else _Builder(file).build(root, 0)
    return YamlDocument(value, root, file)


def decode_text(data: bytes, file: str) -> str:
    """Return `data` as text; raises DefinitionError when it is too large or not UTF-8."""
    if len(data) > MAX_BYTES:
        raise DefinitionError(
            f"the file has {len(data)} bytes, more than the {MAX_BYTES} that a definition may have",
            file=file,
            hint="is this really an environment definition?",
        )
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DefinitionError(
            "the file is UTF-16, Azure ML reads UTF-8 only",
            file=file,
            line=1,
            column=1,
            hint="save it as UTF-8, for example with: iconv -f UTF-16 -t UTF-8",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before) - (before.rfind(b"\n") + 1) + 1
        raise DefinitionError(
            f"byte 0x{data[error.start]:02x} is not UTF-8",
            file=file,
            line=line,
            column=column,
            hint="save the file as UTF-8",
        ) from None


class _Composer(CParser):
    """libyaml's composer, told only to say which scalars are plain: most need no further look."""

    def resolve(self, kind: type[yaml.Node], value: str, implicit: tuple[bool, bool]) -> str:  # noqa: ARG002
        return _PLAIN if kind is yaml.ScalarNode and implicit[0] else _STRING

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        pass

    def ascend_resolver(self) -> None:
        pass


class _Builder:
    """Nodes to plain data, with duplicate keys, depth and size judged on the way."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._left = MAX_NODES

    def build(self, node: yaml.Node, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            limit = f"more than {MAX_NODES} values" if self._left < 0 else f"more than {MAX_DEPTH} levels"
            raise self._error(node, f"the document has {limit}", hint="do its aliases refer to themselves?")
        if isinstance(node, yaml.ScalarNode):
            if node.tag == _PLAIN:
                value: str = node.value
                if value in _WORDS or value[0] in _MAY_NOT_BE_TEXT:
                    return self._typed(node, _implicit_tag(value))
                return value
            return node.value if node.tag == _STRING else self._typed(node, node.tag)
        if isinstance(node, yaml.SequenceNode):
            if node.tag not in (_STRING, "tag:yaml.org,2002:seq"):
                raise self._unknown_tag(node)
            return [self.build(item, depth + 1) for item in node.value]
        if not isinstance(node, yaml.MappingNode) or node.tag not in (_STRING, "tag:yaml.org,2002:map"):
            raise self._unknown_tag(node)
        return self._mapping(node, depth)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        merged: list[dict[Any, Any]] | None = None
        for key_node, value_node in node.value:
            if key_node.tag == _PLAIN and key_node.value == "<<":
                if merged is not None:
                    raise self._error(key_node, "the key '<<' is there twice", hint="merge a list: <<: [*a, *b]")
                merged = self._merges(value_node, depth)
                continue
            key = self.build(key_node, depth + 1)
            if not isinstance(key, Hashable):
                hint = "quote a template such as {{ name }}, or fill it in"
                raise self._error(key_node, "a key must be a text, not a list or a mapping", hint=hint)
            if key in result:
                raise self._error(
                    key_node,
                    f"the key {quoted(key)} is there twice",
                    hint="YAML keeps only the last one: join them or remove one",
                )
            result[key] = self.build(value_node, depth + 1)
        for mapping in merged or ():
            for key, value in mapping.items():
                result.setdefault(key, value)
        return result

    def _merges(self, node: yaml.Node, depth: int) -> list[dict[Any, Any]]:
        value = self.build(node, depth + 1)
        mappings = value if isinstance(value, list) else [value]
        if not all(isinstance(mapping, dict) for mapping in mappings):
            raise self._error(node, "`<<` needs a mapping", hint="merge an anchor of a mapping")
        return mappings

    def _typed(self, node: yaml.ScalarNode, tag: str) -> Any:
        if tag in _AS_WRITTEN:
            return node.value
        construct = SafeConstructor.yaml_constructors.get(tag) if tag in _SCALARS else None
        if construct is None:
            raise self._unknown_tag(node)
        try:
            return construct(SafeConstructor(), yaml.ScalarNode(tag, node.value, node.start_mark, node.end_mark))
        except (ValueError, LookupError, AttributeError, OverflowError, yaml.YAMLError):
            raise self._error(node, f"{quoted(node.value, 60)} is not a valid {tag.rpartition(':')[2]}") from None

    def _unknown_tag(self, node: yaml.Node) -> DefinitionError:
        return self._error(node, f"the YAML tag {quoted(node.tag)} is not known here", hint="write the plain value")

    def _error(self, node: yaml.Node, message: str, *, hint: str | None = None) -> DefinitionError:
        return _at(node.start_mark, message, self._file, hint=hint)


def _at(mark: Any, message: str, file: str, *, hint: str | None = None) -> DefinitionError:
    return DefinitionError(message, file=file, line=mark.line + 1, column=mark.column + 1, hint=hint)


def _implicit_tag(value: str) -> str:
    """Return the tag that YAML 1.1 (PyYAML's resolver) gives a plain scalar."""
    for tag, pattern in Resolver.yaml_implicit_resolvers.get(value[:1], []):
        if pattern.match(value):
            return str(tag)
    return _STRING


def _child(node: yaml.Node | None, step: Hashable) -> tuple[yaml.Node, yaml.Node] | None:
    """Return where a child is and what it is: of a mapping's entry the key and the value."""
    children: list[tuple[yaml.Node, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        children = [(key, value) for key, value in node.value if key.value == step]
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        children = [(item, item) for item in node.value[step : step + 1]]
    return children[0] if children else None


def _measure_depth(data: bytes, file: str) -> None:
    parser = CParser(data)
    depth = 0
    try:
        while parser.check_event():
            event = parser.get_event()
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    raise _at(event.start_mark, f"the document has more than {MAX_DEPTH} levels", file)
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    finally:
        parser.dispose()


def _refuse_conflict(data: bytes, file: str) -> None:
    found = _CONFLICT.search(data)
    if found:
        raise DefinitionError(
            "the file has a git conflict marker",
            file=file,
            line=data.count(b"\n", 0, found.start()) + 1,
            column=1,
            hint="resolve the merge and remove the <<<<<<<, ======= and >>>>>>> lines",
        )


def _marked(error: yaml.MarkedYAMLError, data: bytes, file: str) -> DefinitionError:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
    problem = str(error.problem or error.context or "this is not valid YAML")
    hint = None
    lines = data.splitlines()
    here = b"\n".join(lines[max(0, (line or 1) - 2) : line or 1])
    if b"\t" in here:
        hint = "YAML does not allow a tab for indentation: use spaces"
    elif _TEMPLATE.search(here):
        hint = "an unfilled template? quote it or fill it in"
    elif "found undefined alias" in problem:
        hint = "a text that starts with * must be quoted"
    elif "but found another document" in problem:
        hint = "a definition file holds one document: remove what follows the second ---"
    elif "mapping values are not allowed" in problem:
        hint = "check the indentation of this line and of the line before, and quote texts that hold a colon"
    return DefinitionError(problem, file=file, line=line, column=column, hint=hint or "correct the YAML at this place")


def _reader_error(error: yaml.YAMLError, data: bytes, file: str) -> DefinitionError:
    position = getattr(error, "position", 0) or 0  # in bytes
    before = data[:position].decode("utf-8", "replace")
    character = getattr(error, "character", None)
    what = f"the character U+{character:04X}" if isinstance(character, int) else "a control character"
    return DefinitionError(
        f"{what} is not allowed in YAML",
        file=file,
        line=before.count("\n") + 1,
        column=len(before) - (before.rfind("\n") + 1) + 1,
        hint="remove it, or write it as an escape in a double-quoted text",
    )
