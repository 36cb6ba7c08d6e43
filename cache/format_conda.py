"""A conda specification under the rules of the v1 client (FACTS §2.3).

The content is never changed: no python, pip or channel is added (FACTS §6), a missing key stays missing.
"""

import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain
from typing import Any

import yaml

from envkiln.cache.canonical import canonical_text
from envkiln.cache.credentials import Carrier, Credential, collected, in_line, in_variables, may_hold_credentials
from envkiln.cache.definition import CondaSpecification, EnvironmentDefinition, Format, SourceFile
from envkiln.cache.pip_items import PipFiles, needs_a_look, pip_files
from envkiln.cache.redact import quoted
from envkiln.cache.section import Section
from envkiln.cache.source import SourceTree, directory_of
from envkiln.cache.yaml_text import YamlDocument

KEYS = ("name", "channels", "dependencies", "prefix", "variables")
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\$\{\{.*?\}\}|<[A-Za-z_][\w .-]*>")
_PYTHON = re.compile(r"(?:[^\s:]+::)?python(?![\w.-])")


@dataclass(frozen=True, slots=True)
class SpecificationPart:
    """The conda part of a definition, whatever format it came from."""

    conda: CondaSpecification
    extra_files: tuple[SourceFile, ...]
    warnings: tuple[str, ...]
    credentials: tuple[Credential, ...] = ()


def read_conda(tree: SourceTree, document: YamlDocument) -> EnvironmentDefinition:
    """Return the definition of a conda file; raises DefinitionError with the v1 client's messages."""
    directory = directory_of(document.file)
    part = read_specification(tree, Section(document), directory)
    return EnvironmentDefinition(
        format=Format.CONDA,
        file=document.file,
        directory=directory,
        declared_name=part.conda.declared_name,
        conda=part.conda,
        extra_files=part.extra_files,
        warnings=part.warnings,
        credentials=part.credentials,
    )


def read_specification(
    tree: SourceTree, section: Section, directory: str, *, other_keys: bool = False
) -> SpecificationPart:
    """Return the conda specification in `section`, whose local files start in `directory`.

    `other_keys` lets unknown top-level keys pass, as v2 does (FACTS §6). Raises DefinitionError.
    """
    value = section.value
    if not isinstance(value, dict):
        raise section.error(
            "Environment error: not a valid YAML structure",
            hint="write `dependencies:` and below it a list of packages, each after `- `",
        )
    if not other_keys:
        _judge_keys(section, value)
    _judge_head(section, value)
    dependencies = _judge_dependencies(section, value)
    warnings = list(_doubts(section, dependencies))
    local = PipFiles()
    texts = [text for item in dependencies if isinstance(item, dict) for text in _pip_texts(item)]
    if texts and needs_a_look(texts):
        local = pip_files(tree, directory, _pip_places(section.at("dependencies"), dependencies))
        warnings += local.warnings
    name = value.get("name")
    declared = str(name) if name is not None else None
    canonical = _canonical(section, value)
    own = _credentials(section, value) if may_hold_credentials(canonical) else ()
    return SpecificationPart(
        CondaSpecification(canonical, declared), local.files, tuple(warnings), collected(chain(own, local.credentials))
    )


def _canonical(section: Section, value: dict[Any, Any]) -> str:
    try:
        return canonical_text(value)
    except (yaml.YAMLError, UnicodeError, RecursionError) as error:
        message = f"the specification cannot be written as YAML: {str(error)[:80]}"
        raise section.error(message, hint="remove unusual characters and values") from None


def _credentials(section: Section, value: dict[Any, Any]) -> Iterator[Credential]:
    """Yield the credentials of the whole specification, whichever key they stand under."""
    file = section.document.file
    variables = value.get("variables")
    if isinstance(variables, dict):
        yield from in_variables(variables, file, lambda name: section.line("variables", name))
    for path, text in _texts_of(value):
        if path[0] != "variables":
            yield from in_line(text, file, section.line(*path), Carrier.SPECIFICATION)


def _texts_of(value: dict[Any, Any]) -> Iterator[tuple[tuple[Hashable, ...], str]]:
    """Yield (path, text) of every text that may hold a credential. A stack, as nesting has no small bound."""
    stack: list[tuple[tuple[Hashable, ...], Any]] = [((key,), inner) for key, inner in value.items()]
    while stack:
        path, inner = stack.pop()
        if isinstance(inner, str):
            if may_hold_credentials(inner):
                yield path, inner
        elif isinstance(inner, dict):
            stack += [((*path, key), below) for key, below in inner.items()]
            stack += [((*path, key), key) for key in inner if isinstance(key, str)]
        elif isinstance(inner, list):
            stack += [((*path, index), below) for index, below in enumerate(inner)]


def _judge_keys(section: Section, value: dict[Any, Any]) -> None:
    for key in value:
        if key not in KEYS:
            near = get_close_matches(str(key).lower(), KEYS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys are {', '.join(KEYS)}"
            message = f"Environment error: unknown {key} key in environment specification"
            raise section.at(key).error(message, hint=hint)


def _judge_head(section: Section, value: dict[Any, Any]) -> None:
    """Judge everything but the dependencies."""
    for key in ("name", "prefix"):
        if isinstance(value.get(key), (list, dict)):
            raise section.at(key).error(f"`{key}` must be a text", hint="write one text after the colon")
    if "channels" in value:
        channels = value["channels"]
        if not isinstance(channels, list):
            hint = "write each channel on a line of its own, after `- `, or remove the key"
            raise section.at("channels").error("`channels` must be a list of texts", hint=hint)
        for index, channel in enumerate(channels):
            if not isinstance(channel, str):
                message = f"a channel must be a text, this is {_kind(channel)}"
                raise section.at("channels", index).error(message, hint="quote it, or remove it")
    variables = value.get("variables")
    if variables is not None and not isinstance(variables, dict):
        raise section.at("variables").error("`variables` must be a mapping", hint="write NAME: value")


def _judge_dependencies(section: Section, value: dict[Any, Any]) -> list[Any]:
    if "dependencies" not in value:
        return []
    dependencies = value["dependencies"]
    place = section.at("dependencies")
    if dependencies is None:
        raise place.error("`dependencies` is empty", hint="list at least one package, such as `- python=3.11`")
    if not isinstance(dependencies, list):
        message = f"`dependencies` must be a list, this is {_kind(dependencies)}"
        raise place.error(message, hint="write each package on a line of its own, after `- `")
    for index, item in enumerate(dependencies):
        kind = type(item)
        if kind is str:
            continue
        if kind is dict:
            _judge_mapping(place.at(index), item)
        elif kind not in (int, float):
            hint = "remove the line, or write a package after `- `" if item is None else "quote it"
            raise place.at(index).error(f"a dependency must be a text, this is {_kind(item)}", hint=hint)
    return dependencies


def _judge_mapping(place: Section, item: dict[Any, Any]) -> None:
    if "pip" not in item:
        return
    pip = item["pip"]
    if pip is None or not isinstance(pip, list):
        message = "`pip:` has no packages" if pip is None else f"`pip:` must be a list, this is {_kind(pip)}"
        hint = "list them on the lines below, indented and each after `- `, or remove the line"
        raise place.at("pip").error(message, hint=hint)
    for index, text in enumerate(pip):
        if not isinstance(text, str):
            hint = "remove the line" if text is None else "quote it: pip gets it as a line of text"
            raise place.at("pip", index).error(f"a pip item must be a text, this is {_kind(text)}", hint=hint)


def _pip_texts(item: dict[Any, Any]) -> list[str]:
    pip = item.get("pip")
    return pip if isinstance(pip, list) else []


def _pip_places(place: Section, dependencies: list[Any]) -> Iterator[tuple[str, Section]]:
    for index, item in enumerate(dependencies):
        if isinstance(item, dict):
            for position, text in enumerate(_pip_texts(item)):
                yield text, place.at(index, "pip", position)


def _doubts(section: Section, dependencies: list[Any]) -> Iterator[str]:
    """Yield warnings about what is accepted but will probably not do what is meant."""
    place = section.at("dependencies")
    python = False
    for index, item in enumerate(dependencies):
        if type(item) is str:
            python = python or ("python" in item and _PYTHON.match(item) is not None)
            if ("{" in item or "<" in item) and _TEMPLATE.search(item):
                yield place.at(index).warning(f"{quoted(item)} looks like an unfilled template")
        elif type(item) is dict:
            for position, text in enumerate(_pip_texts(item)):
                if ("{" in text or "<" in text) and _TEMPLATE.search(text):
                    yield place.at(index, "pip", position).warning(f"{quoted(text)} looks like an unfilled template")
            python = python or any(str(other).startswith("python") for other in _selected(item))
        else:
            yield place.at(index).warning(f"the bare number {item} is no package: quote or remove it")
    if not dependencies:
        yield place.warning("there are no dependencies: the environment will be empty")
    elif not python:
        yield place.warning("python is not among the dependencies: its version is left to chance")


def _selected(item: dict[Any, Any]) -> Iterator[Any]:
    """Yield what `sel(...)` items hold."""
    for key, value in item.items():
        if key != "pip":
            yield from value if isinstance(value, list) else (value,)


def _kind(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true or false"
    names = {dict: "a mapping", list: "a list", str: "a text", int: "a number", float: "a number"}
    return names.get(type(value), f"a {type(value).__name__}")
