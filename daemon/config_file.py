"""One `envkiln.toml`: its settings with their places, its `[[root]]` and `[[pattern]]` tables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from envkiln.daemon.settings import BY_NAME, ConfigError, Scope, Setting, nearest
from envkiln.daemon.toml_places import TomlDocument, TomlSyntaxError, read_toml

MAX_BYTES = 1 << 16
"""The largest configuration file that is read."""


class Given(NamedTuple):
    """A typed value and where it came from, for people."""

    value: Any
    source: str


Layer = Mapping[str, Given]


@dataclass(frozen=True, slots=True)
class RootSection:
    """One `[[root]]` of the user's file."""

    path: Path
    source: str
    values: Layer = field(repr=False)


@dataclass(frozen=True, slots=True)
class PatternSection:
    """One `[[pattern]]`: settings of the environments whose id matches."""

    match: str
    source: str
    values: Layer = field(repr=False)

    def matches(self, environment_id: str) -> bool:
        """Whether the whole id matches: `**` is any number of directories, also none; `*` stays inside one."""
        literal, wanted = _compiled(self.match)
        # Most environments end here: this is asked for each of 10,000.
        if not environment_id.startswith(literal):
            return False
        # All places in the pattern that the parts so far may have led to: linear where backtracking is not.
        places = _past_stars({0}, wanted)
        for part in environment_id.split("/"):
            stays = {place for place in places if place < len(wanted) and wanted[place] == "**"}
            moves = {place + 1 for place in places - stays if place < len(wanted) and fnmatchcase(part, wanted[place])}
            places = _past_stars(stays | moves, wanted)
        return len(wanted) in places


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What one file says; a file that is missing says nothing."""

    values: Layer = field(default_factory=dict, repr=False)
    roots: tuple[RootSection, ...] = ()
    patterns: tuple[PatternSection, ...] = ()


class Owner(Enum):
    """Whose file it is: a root's own file has no say in what the service does, and starts no programs."""

    USER = "user"
    ROOT = "root"


def parse_config_file(data: bytes, path: Path, owner: Owner, *, home: Path | None, user_file: Path) -> ConfigFile:
    """Return what the file at `path` with the content `data` says; raises ConfigError with file and line.

    Relative paths in it start at its directory, `~` is `home`. `user_file` is named where a setting belongs there.
    """
    return _Reader(path, owner, home, user_file).read(data)


def anchored(value: Any, base: Path, home: Path | None, source: str) -> Any:
    """Return `value` with the paths in it made absolute from `base`; other values as they are."""
    if isinstance(value, tuple):
        return tuple(anchored(item, base, home, source) for item in value)
    if not isinstance(value, Path):
        return value
    if value.parts[:1] == ("~",):
        if home is None:
            raise ConfigError(f"{str(value)!r} needs a home directory, and HOME is not set", source=source)
        return home.joinpath(*value.parts[1:])
    if str(value).startswith("~"):
        hint = "only ~/ stands for a home directory: write the path out, or ./~ for a name that starts so"
        raise ConfigError(f"{str(value)!r} is the home directory of another user", source=source, hint=hint)
    return base / value


def displayed(path: Path, home: Path | None) -> str:
    """Return `path` for people: below the home directory it starts with `~`."""
    if home and home != Path("/") and path.is_relative_to(home):
        return str(Path("~") / path.relative_to(home))
    return str(path)


def unknown(what: str, word: str, known: list[str], *, source: str) -> ConfigError:
    """Return the error for a `word` that is none of the `known` ones."""
    meant = nearest(word, known)
    question = f"; did you mean {meant!r}?" if meant else ""
    hint = None if meant else "`envkiln config` lists the settings"
    return ConfigError(f"unknown {what} {word!r}{question}", source=source, hint=hint)


class _Reader:
    def __init__(self, path: Path, owner: Owner, home: Path | None, user_file: Path) -> None:
        self._path = path
        self._owner = owner
        self._home = home
        self._user_file = displayed(user_file, home)

    def read(self, data: bytes) -> ConfigFile:
        if len(data) > MAX_BYTES:
            raise ConfigError(f"the file has more than {MAX_BYTES} bytes", source=displayed(self._path, self._home))
        try:
            document = read_toml(data)
        except TomlSyntaxError as error:
            hint = "texts need quotes, lists need brackets: see docs/envkiln.toml for an example"
            raise ConfigError(f"this is not TOML: {error}", source=self._source(error.line), hint=hint) from None
        is_user = self._owner is Owner.USER
        tables = {"root", "pattern"} if is_user else {"pattern"}
        scopes = set(Scope) if is_user else {Scope.ROOT, Scope.ENVIRONMENT}
        return ConfigFile(
            self._layer(document, document.value, (), scopes, tables),
            tuple(self._root(document, index, table) for index, table in self._tables(document, "root")),
            tuple(self._pattern(document, index, table) for index, table in self._tables(document, "pattern")),
        )

    def _source(self, line: int) -> str:
        return f"{displayed(self._path, self._home)}:{line}"

    def _tables(self, document: TomlDocument, name: str) -> list[tuple[int, dict[str, Any]]]:
        tables = document.value.get(name, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            source = self._source(document.line(name))
            raise ConfigError(f"{name} is a list of tables", source=source, hint=f"write [[{name}]], with two brackets")
        return list(enumerate(tables))

    def _root(self, document: TomlDocument, index: int, table: dict[str, Any]) -> RootSection:
        scopes = {Scope.ROOT, Scope.ENVIRONMENT}
        values = self._layer(document, table, ("root", index), scopes, {"path"})
        text, source = self._required(document, ("root", index), table, "path")
        path: Path = anchored(Path(text), self._path.parent, self._home, source)
        return RootSection(path.resolve(), source, values)

    def _pattern(self, document: TomlDocument, index: int, table: dict[str, Any]) -> PatternSection:
        values = self._layer(document, table, ("pattern", index), {Scope.ENVIRONMENT}, {"match"})
        match, source = self._required(document, ("pattern", index), table, "match")
        if "" in match.split("/"):
            hint = "ids have no / at their start or end: gpu/** matches everything below gpu"
            raise ConfigError(f"match is {match!r}, which no environment has", source=source, hint=hint)
        return PatternSection(match, source, values)

    def _required(
        self, document: TomlDocument, place: tuple[str, int], table: dict[str, Any], key: str
    ) -> tuple[str, str]:
        source = self._source(document.line(*place, key))
        text = table.get(key)
        if not isinstance(text, str) or not text or "\0" in text:
            said = "has none" if key not in table else "is not a text"
            hint = f'write {key} = "..." below [[{place[0]}]]'
            raise ConfigError(f"[[{place[0]}]] needs a {key}, and it {said}", source=source, hint=hint)
        return text, source

    def _layer(
        self,
        document: TomlDocument,
        table: dict[str, Any],
        place: tuple[str | int, ...],
        scopes: set[Scope],
        others: set[str],
    ) -> Layer:
        layer = {}
        for key, value in table.items():
            if key in others:
                continue
            source = self._source(document.line(*place, key))
            setting = BY_NAME.get(key)
            if setting is None and key not in ("root", "pattern"):
                known = [name for name, row in BY_NAME.items() if row.scope in scopes]
                raise unknown("key", key, [*known, *sorted(others)], source=source)
            if setting is None or setting.scope not in scopes:
                raise self._misplaced(key, setting, source)
            if setting.users_only and self._owner is Owner.ROOT:
                message = f"{key} cannot be set in a root's own file, which may come with somebody else's repository"
                hint = f"set it in {self._user_file}; there it may also stand in a [[root]] or [[pattern]]"
                raise ConfigError(message, source=source, hint=hint)
            typed = setting.read(value, source)
            layer[key] = Given(anchored(typed, self._path.parent, self._home, source), source)
        return layer

    def _misplaced(self, key: str, setting: Setting | None, source: str) -> ConfigError:
        if key == "pattern":
            message = "a [[pattern]] belongs to a file, not to one of its tables"
            hint = f"write [[pattern]] by itself; for one root alone, in that root's own {self._path.name}"
        elif setting is None or setting.scope is Scope.SERVICE:
            message = f"{key} is for the whole service and cannot be set here"
            hint = f"set it in {self._user_file}, above the first [[root]] and [[pattern]]"
        else:
            message = f"{key} is set per root, not per pattern"
            hint = f"set it above the first [[pattern]], or in a [[root]] of {self._user_file}"
        return ConfigError(message, source=source, hint=hint)


@lru_cache(maxsize=1024)
def _compiled(match: str) -> tuple[str, tuple[str, ...]]:
    """Return the text that every id begins with which `match` matches, and the parts of `match`."""
    # Without the last slash: `gpu/**` matches `gpu` too.
    return re.split(r"[*?\[]", match, maxsplit=1)[0].rstrip("/"), tuple(match.split("/"))


def _past_stars(places: set[int], wanted: tuple[str, ...]) -> set[int]:
    reached = set(places)
    for place, part in enumerate(wanted):
        if place in reached and part == "**":
            reached.add(place + 1)
    return reached
