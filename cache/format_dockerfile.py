"""A directory with a Dockerfile: a Docker build context (FACTS §2.3, §3.3, §4.1)."""

import posixpath
from collections.abc import Iterator

from envkiln.cache.credentials import collected, in_dockerfile
from envkiln.cache.definition import BuildContext, EnvironmentDefinition, Format, SourceFile
from envkiln.cache.ignore import IgnoreRules, read_rules
from envkiln.cache.section import Line, Place
from envkiln.cache.source import EntryKind, SourceEntry, SourceTree, directory_of

MAX_DOCKERFILE = 1 << 20
"""The larger of the two limits that Azure ML documents (FACTS §3.3)."""


def read_dockerfile(tree: SourceTree, path: str) -> EnvironmentDefinition:
    """Return the definition whose main file is the Dockerfile `path`: its directory is the context."""
    directory = directory_of(path)
    context = read_context(tree, directory, posixpath.basename(path), Line(path))
    return EnvironmentDefinition(
        format=Format.DOCKERFILE, file=path, directory=directory, context=context, credentials=context.credentials
    )


def read_context(tree: SourceTree, directory: str, dockerfile: str, place: Place) -> BuildContext:
    """Return the build context `directory`, with `dockerfile` relative to it.

    `place` is what refers to the context. No file is read but the Dockerfile and the ignore files; of all others
    only the digest is asked. Raises DefinitionError.
    """
    text = _dockerfile_text(tree, directory, dockerfile, place)
    rules = read_rules(tree, directory, dockerfile)
    kept: dict[str, SourceFile] = {}
    for path, entry in _walk(tree, directory, rules, place):
        for above in _parents(path):
            if above not in kept:
                kept[above] = SourceFile(above, _join(directory, above), EntryKind.DIRECTORY)
        kept[path] = _source_file(tree, directory, path, entry, place)
    credentials = collected(in_dockerfile(text, _join(directory, dockerfile)))
    return BuildContext(directory, dockerfile, tuple(kept[path] for path in sorted(kept)), credentials)


def _dockerfile_text(tree: SourceTree, directory: str, dockerfile: str, place: Place) -> str:
    path = _join(directory, dockerfile)
    here = Line(path)
    try:
        data = tree.read(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise place.error(
            f"Missing Dockerfile path: there is no file {path!r}",
            hint="name the file Dockerfile at the root of the build context, or give dockerfile_path",
        ) from None
    except OSError as error:
        message = f"the Dockerfile {path!r} cannot be read: {_reason(error)}"
        raise place.error(message, hint="make it a readable file below the watched directory") from None
    if len(data) > MAX_DOCKERFILE:
        message = f"the Dockerfile has {len(data)} bytes, Azure ML takes at most {MAX_DOCKERFILE}"
        raise here.error(message, hint="move scripts into files and COPY them")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"Unexpected Dockerfile Format: byte 0x{data[error.start]:02x} is not UTF-8"
        raise Line(path, line).error(message, hint="save the file as UTF-8") from None
    if not any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines()):
        raise here.error("the Dockerfile is empty", hint="begin it with FROM and a base image")
    return text


def _walk(tree: SourceTree, directory: str, rules: IgnoreRules, place: Place) -> Iterator[tuple[str, SourceEntry]]:
    """Yield what stays in. A stack, because directories nest deeper than Python's calls may."""
    stack = [""]
    while stack:
        current = stack.pop()
        for entry in _entries(tree, _join(directory, current), place):
            path = _join(current, entry.name)
            is_directory = entry.kind is EntryKind.DIRECTORY
            ignored = rules.ignores(path, directory=is_directory)
            if is_directory and (not ignored or rules.may_keep_below(path)):
                stack.append(path)
            if not ignored:
                yield path, entry


def _entries(tree: SourceTree, path: str, place: Place) -> list[SourceEntry]:
    try:
        return tree.entries(path)
    except OSError as error:
        message = f"the directory {path!r} of the build context cannot be read: {_reason(error)}"
        hint = "make it readable, or leave it out in .amlignore or .dockerignore"
        raise place.error(message, hint=hint) from None


def _source_file(tree: SourceTree, directory: str, path: str, entry: SourceEntry, place: Place) -> SourceFile:
    source = _join(directory, path)
    leave_out = "remove it, or leave it out in .amlignore or .dockerignore"
    if entry.kind is EntryKind.DIRECTORY:
        return SourceFile(path, source, entry.kind)
    if entry.kind is EntryKind.SYMLINK:
        return SourceFile(path, source, entry.kind, entry.target)
    if entry.kind is EntryKind.SPECIAL:
        raise place.error(f"{source!r} is a FIFO, socket or device, which no image can get", hint=leave_out)
    try:
        return SourceFile(path, source, entry.kind, tree.digest(source), entry.executable)
    except OSError as error:
        message = f"the file {source!r} of the build context cannot be read: {_reason(error)}"
        raise place.error(message, hint=leave_out) from None


def _parents(path: str) -> Iterator[str]:
    above = path.rpartition("/")[0]
    while above:
        yield above
        above = above.rpartition("/")[0]


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory and name else directory or name


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
