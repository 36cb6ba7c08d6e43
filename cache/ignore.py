"""Which files of a directory belong to a Docker build context.

First what Azure ML uploads: `.amlignore`, or else `.gitignore`, of the context's root only (FACTS §3.3). Of that,
what Docker sends: `<dockerfile>.dockerignore`, or else `.dockerignore`, by Docker's rules. The Dockerfile and the
ignore file that Docker reads always stay in; `.git` is always left out.
"""

import re
import warnings
from fnmatch import fnmatchcase
from typing import Protocol

import pathspec

from envkiln.cache.errors import DefinitionError
from envkiln.cache.redact import quoted
from envkiln.cache.section import Line
from envkiln.cache.source import SourceTree
from envkiln.cache.yaml_text import decode_text

AMLIGNORE = ".amlignore"
GITIGNORE = ".gitignore"
DOCKERIGNORE = ".dockerignore"
MAX_PATTERNS = 5000
"""Lines of one ignore file that say something: each is asked for every path of the context."""
MAX_LENGTH = 4096
"""Characters of a pattern: no path is longer."""
MAX_WILDCARDS = 5
"""Stars in one name of a pattern, and `**/` in one pattern."""


class Filter(Protocol):
    """What some ignore files leave out."""

    def ignores(self, path: str, *, directory: bool) -> bool: ...

    def may_keep_below(self, path: str) -> bool: ...


class IgnoreRules:
    """The ignore files of one context; paths are relative to it."""

    def __init__(self, always: frozenset[str], filters: tuple[Filter, ...]) -> None:
        self._always = always
        self._filters = filters

    def ignores(self, path: str, *, directory: bool = False) -> bool:
        """Return whether `path` itself is left out; what lies below an ignored directory may still stay in."""
        if path.rpartition("/")[2] == ".git":
            return True
        if path in self._always:
            return False
        return any(rules.ignores(path, directory=directory) for rules in self._filters)

    def may_keep_below(self, path: str) -> bool:
        """Return whether anything below the directory `path` may stay in; True is not certain, False is."""
        if path.rpartition("/")[2] == ".git":
            return False
        if any(kept.startswith(f"{path}/") for kept in self._always):
            return True
        return all(not rules.ignores(path, directory=True) or rules.may_keep_below(path) for rules in self._filters)


def read_rules(tree: SourceTree, directory: str, dockerfile: str) -> IgnoreRules:
    """Return the rules of the context `directory`; `dockerfile` is relative to it. Raises DefinitionError."""
    filters: list[Filter] = []
    always = {dockerfile, DOCKERIGNORE}
    uploaded = upload_rules(tree, directory)
    if uploaded is not None:
        filters.append(uploaded)
    # BuildKit looks for the Dockerfile's own ignore file first.
    for name in (f"{dockerfile}{DOCKERIGNORE}", DOCKERIGNORE):
        text = _read(tree, _join(directory, name))
        if text is not None:
            always.add(name)
            filters.append(_DockerRules(text, _join(directory, name)))
            break
    return IgnoreRules(frozenset(always), tuple(filters))


def upload_rules(tree: SourceTree, directory: str) -> Filter | None:
    """Return what Azure ML leaves out when it uploads `directory`, None for nothing. Raises DefinitionError."""
    for name in (AMLIGNORE, GITIGNORE):
        text = _read(tree, _join(directory, name))
        if text is not None:
            return _GitRules(text, _join(directory, name))
    return None


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def _check(text: str, path: str) -> None:
    """Refuse what takes longer to match than anybody means; raises DefinitionError."""
    lines = text.splitlines()
    count = sum(1 for line in lines if line.strip() and not line.startswith("#"))
    if count > MAX_PATTERNS:
        message = f"the file has {count} patterns, more than the {MAX_PATTERNS} that are looked at"
        raise Line(path).error(message, hint="join them with wildcards, or leave out whole directories")
    for number, line in enumerate(lines, start=1):
        if line.startswith("#"):
            continue
        if len(line) > MAX_LENGTH:
            message = f"the pattern has {len(line)} characters, more than {MAX_LENGTH}"
            raise Line(path, number).error(message, hint="is this really an ignore file?")
        # The time to match grows with the length of a path to the power of this number.
        if max(part.count("*") for part in line.split("/")) > MAX_WILDCARDS or line.count("**/") > MAX_WILDCARDS:
            message = f"the pattern has more than {MAX_WILDCARDS} wildcards in one name"
            raise Line(path, number).error(message, hint="write several patterns instead")


def _read(tree: SourceTree, path: str) -> str | None:
    name = path.rpartition("/")[2]
    try:
        # Asking for the entries first would make every ignore file depend on the whole directory.
        text = decode_text(tree.read(path), path)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    except OSError as error:
        message = f"{name} cannot be read: {error.strerror or type(error).__name__}"
        raise Line(path).error(message, hint="make it a readable file below the watched directory") from None
    _check(text, path)
    return text


class _GitRules:
    """Patterns in the order of the file, the last one that matches decides: so does azure-ai-ml 1.35.2."""

    def __init__(self, text: str, file: str) -> None:
        lines = [line.rstrip() for line in text.split("\n")]
        for number, line in enumerate(lines, start=1):
            if not line:
                continue
            try:
                with warnings.catch_warnings(action="ignore"):
                    pathspec.GitIgnoreSpec.from_lines([line])
            except (ValueError, re.error) as error:
                raise _bad_pattern(Line(file, number), line, error) from None
        self._patterns = [
            pattern
            for pattern in pathspec.GitIgnoreSpec.from_lines(filter(None, lines)).patterns
            if pattern.include is not None
        ]
        self._kept = [_git_components(line[1:]) for line in lines if line.startswith("!")]

    def ignores(self, path: str, *, directory: bool) -> bool:
        asked = f"{path}/" if directory else path
        # Not GitIgnoreSpec's own answer, which ranks patterns for directories below patterns for files.
        for pattern in reversed(self._patterns):
            if pattern.match_file(asked) is not None:
                return bool(pattern.include)
        return False

    def may_keep_below(self, path: str) -> bool:
        return any(_reaches(components, path) for components in self._kept)


class _DockerRules:
    """The patterns of docker-py; unlike its matcher, every parent of a path counts, as in the engine."""

    def __init__(self, text: str, file: str) -> None:
        from docker.utils.build import PatternMatcher  # noqa: PLC0415 -- importing docker is slow

        lines = []
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip() and not line.startswith("#"):
                lines.append(line.strip())
                try:
                    for pattern in PatternMatcher(lines[-1:]).patterns:
                        pattern.match("")
                except re.error as error:
                    raise _bad_pattern(Line(file, number), line, error) from None
        self._patterns = PatternMatcher(lines).patterns
        self._kept = [pattern.dirs for pattern in self._patterns if pattern.exclusion]
        self._matched: dict[str, tuple[bool, ...]] = {"": (False,) * len(self._patterns)}

    def ignores(self, path: str, *, directory: bool) -> bool:  # noqa: ARG002 -- Docker knows no directory patterns
        ignored = False
        for pattern, matched in zip(self._patterns, self._matches(path), strict=True):
            if matched:
                ignored = not pattern.exclusion
        return ignored

    def may_keep_below(self, path: str) -> bool:
        return any(_reaches(components, path) for components in self._kept)

    def _matches(self, path: str) -> tuple[bool, ...]:
        """Return, for each pattern, whether it matches `path` or a directory above it."""
        above = path.rpartition("/")[0]
        if above not in self._matched:
            self._matched[above] = self._matches(above)
        return tuple(
            parent or pattern.match(path) for parent, pattern in zip(self._matched[above], self._patterns, strict=True)
        )


def _bad_pattern(place: Line, pattern: str, error: Exception) -> DefinitionError:
    message = f"{quoted(pattern)} is not a pattern: {str(error)[:80]}"
    return place.error(message, hint="correct the pattern or remove the line")


def _git_components(pattern: str) -> list[str]:
    """Return the path parts of a git pattern; one without an inner slash matches at any depth."""
    inner = pattern.rstrip("/")
    return inner.strip("/").split("/") if "/" in inner else ["**", inner]


def _reaches(components: list[str], directory: str) -> bool:
    """Return whether a pattern may match something below `directory` but does not need to."""
    parts = directory.split("/")
    for part, component in zip(parts, components, strict=False):
        if "**" in component or "\\" in component:
            return True
        if not fnmatchcase(part, component.replace("[^", "[!")):
            return False
    return len(components) > len(parts)
