"""The local files that lines for pip refer to: `-r`, `-c`, wheels and source archives.

conda runs pip in the directory of the specification (FACTS §6), so these files are laid beside it, at the paths that
the lines name. Azure ML does not copy them; a missing one fails here and not in the build.
"""

import posixpath
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field

from envkiln.cache.credentials import Carrier, Credential, in_line
from envkiln.cache.definition import SourceFile
from envkiln.cache.redact import quoted
from envkiln.cache.section import Line, Place
from envkiln.cache.setup_names import SPECIFICATION
from envkiln.cache.source import EntryKind, SourceTree, directory_of, resolve
from envkiln.cache.yaml_text import decode_text

_ARCHIVE = r"\.(?:whl|zip|tar|tgz|tar\.gz|tbz|tar\.bz2|txz|tlz|tar\.xz|tar\.lz|tar\.lzma)"
# Almost every line is a plain requirement: one search over all of them decides that none needs a closer look.
_LOOK = re.compile(rf"^[ \t]*[-.~/]|/|\\|{_ARCHIVE}(?![\w.])", re.MULTILINE)
_IS_ARCHIVE = re.compile(rf"{_ARCHIVE}$")
_QUOTED = re.compile(r"['\"\\]")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_COMMENT = re.compile(r"(^|\s+)#.*$")
_EXTRAS = re.compile(r"\[[^\[\]]*\]$")
_FILE_OPTIONS = {"-r": True, "--requirement": True, "-c": True, "--constraint": True}
_SHORT_FILE_OPTION = re.compile(r"-[rc](?P<path>[^\s-].*)")
# These lie in the directory that the files are laid into.
_RESERVED = frozenset((SPECIFICATION, "Dockerfile", "99brokenproxy", "spark_cache.py", "log4j.properties"))
_LATER = "Azure ML copies no local files, so its build would fail here"


@dataclass(frozen=True, slots=True)
class PipFiles:
    """The local files that pip lines need, by path, and what is doubtful about the lines."""

    files: tuple[SourceFile, ...] = ()
    warnings: tuple[str, ...] = ()
    credentials: tuple[Credential, ...] = ()
    """Those in the files themselves; the lines are their owner's."""


def needs_a_look(lines: Iterable[str]) -> bool:
    """Return whether any line may refer to a local file; False is certain, True is not."""
    return _LOOK.search("\n".join(lines)) is not None


def pip_files(tree: SourceTree, directory: str, items: Iterable[tuple[str, Place]]) -> PipFiles:
    """Return the local files that `items` need when pip runs in `directory`, those of `-r` files too.

    Raises DefinitionError, at the line that refers to it, for a file that is missing, unreadable or lies where it
    cannot be laid beside the specification.
    """
    collector = _Collector(tree, directory)
    for text, place in items:
        if not _LOOK.search(text):
            continue
        for line in text.splitlines():
            collector.add_line(line, directory, place)
    collector.follow()
    return PipFiles(
        tuple(collector.files[path] for path in sorted(collector.files)),
        tuple(collector.warnings),
        tuple(collector.credentials),
    )


@dataclass(slots=True)
class _Collector:
    tree: SourceTree
    directory: str
    files: dict[str, SourceFile] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    credentials: list[Credential] = field(default_factory=list)
    nested: list[tuple[str, Place]] = field(default_factory=list)
    """Requirements files that are still to be read: a list, because recursion has no bound."""

    def follow(self) -> None:
        while self.nested:
            path, place = self.nested.pop()
            for number, line in _logical_lines(decode_text(self._read(path, place), path)):
                self.credentials += in_line(line, path, number, Carrier.SPECIFICATION)
                self.add_line(line, directory_of(path), Line(path, number))

    def add_line(self, text: str, here: str, place: Place) -> None:
        """Judge one line; `here` is where its `-r` paths start, all others start in the specification's directory."""
        text = _COMMENT.sub("", text).strip()
        if not _LOOK.search(text):
            return
        if text.startswith("-"):
            self._add_option(text, here, place)
            return
        name = re.split(r"\s+--|\s*;|\s+@\s", text)[0].strip()
        if not name or _URL.match(name) or re.search(r"\s@\s", text):
            return
        path = _EXTRAS.sub("", name)
        if _IS_ARCHIVE.search(path):
            self._add_file(path, self.directory, place)
        elif path.startswith(".") or "/" in path:
            self._judge_directory(path, place)

    def _add_option(self, text: str, here: str, place: Place) -> None:
        try:
            # shlex is slow, and few lines need it.
            words = shlex.split(text) if _QUOTED.search(text) else text.split()
        except ValueError as error:
            hint = "close the quotation mark"
            raise place.error(f"{quoted(text)} cannot be split into words: {error}", hint=hint) from None
        option, _, value = words[0].partition("=")
        short = _SHORT_FILE_OPTION.fullmatch(words[0])
        if short:
            option, value = words[0][:2], short["path"]
        value = value or (words[1] if len(words) > 1 else "")
        if option in _FILE_OPTIONS:
            if not value:
                raise place.error(f"{option} names no file", hint=f"write {option} and a path on one line")
            if not _URL.match(value):
                path = self._add_file(value, here, place)
                if path is not None:
                    self.nested.append((path, place))
        elif option in ("-e", "--editable"):
            if value and not _URL.match(value):
                self.warnings.append(place.warning(f"{quoted(text)} installs a local directory: {_LATER}"))
        elif option in ("-f", "--find-links") and value and not _URL.match(value):
            self.warnings.append(place.warning(f"{quoted(text)} looks into a local directory: {_LATER}"))

    def _add_file(self, reference: str, here: str, place: Place) -> str | None:
        """Note a file and return its tree path, None when it is already noted."""
        source = _resolve(here, reference, place)
        path = posixpath.relpath(source, self.directory) if self.directory else source
        if path.startswith("../"):
            raise place.error(
                f"{quoted(reference, 200)} lies outside of the directory of the environment",
                hint="move it beside the definition, or below: it is laid beside the specification in the image",
            )
        if path in _RESERVED:
            raise place.error(f"a local file cannot be called {path!r} in Azure ML's setup", hint="rename the file")
        if path in self.files:
            return None
        try:
            content = self.tree.digest(source)
        except FileNotFoundError:
            raise place.error(
                f"the file {quoted(source, 200)} is missing", hint="create it, correct the path, or remove this line"
            ) from None
        except OSError as error:
            raise place.error(
                f"the file {quoted(source, 200)} cannot be read: {_reason(error)}", hint=_READABLE
            ) from None
        self.files[path] = SourceFile(path, source, EntryKind.FILE, content)
        return source

    def _judge_directory(self, reference: str, place: Place) -> None:
        source = _resolve(self.directory, reference, place)
        try:
            self.tree.digest(source)
        except IsADirectoryError:
            self.warnings.append(place.warning(f"{quoted(reference, 200)} is a local directory: {_LATER}"))
        except FileNotFoundError:
            raise place.error(
                f"there is no {quoted(source, 200)}", hint="correct the path, or write the name of a package"
            ) from None
        except OSError as error:
            raise place.error(f"{quoted(source, 200)} cannot be read: {_reason(error)}", hint=_READABLE) from None

    def _read(self, path: str, place: Place) -> bytes:
        try:
            return self.tree.read(path)
        except OSError as error:  # it was there when its digest was taken
            raise place.error(f"the file {path!r} cannot be read: {_reason(error)}", hint=_READABLE) from None


_READABLE = "make it a readable file below the watched directory"


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _resolve(directory: str, reference: str, place: Place) -> str:
    at = place.error("", hint="")
    return resolve(directory, reference, file=at.file, line=at.line, column=at.column)


def _logical_lines(text: str) -> Iterable[tuple[int, str]]:
    """Yield (number of the first line, text) of a requirements file, continuation lines joined as pip joins them."""
    first, parts = 0, ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not parts:
            first = number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            parts += line[:-1] + " "
            continue
        yield first, parts + line
        parts = ""
    if parts:
        yield first, parts
