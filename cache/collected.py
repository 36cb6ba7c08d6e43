"""The files that a definition was read from, collected to be stored."""

import posixpath
from dataclasses import dataclass

from envkiln.cache.credentials import Carrier, Credential, in_line
from envkiln.cache.definition import EnvironmentDefinition, SourceFile
from envkiln.cache.errors import DefinitionError
from envkiln.cache.registered_version import StoredFile
from envkiln.cache.source import EntryKind, RecordingTree, SourceTree
from envkiln.cache.version_file import fits_inline
from envkiln.cache.yaml_text import MAX_BYTES


@dataclass(frozen=True, slots=True)
class Collected:
    """What to store of one definition. `main` and the paths of `files` start at `directory`, a path of the tree."""

    directory: str
    main: str
    files: tuple[StoredFile, ...]

    def source_of(self, file: StoredFile) -> str:
        """Return the path in the tree of one of `files`."""
        return posixpath.join(self.directory, file.path)


def collect(tree: SourceTree, definition: EnvironmentDefinition, recorded: RecordingTree) -> Collected:
    """Return the files that `definition` was read from through `recorded`, a recording of `tree`.

    Raises DefinitionError, with the line, where a file that is read as text holds a credential: a workspace is shared.
    OSError where a file went since.
    """
    content = definition.context.files if definition.context else ()
    sources = {file.source: file for file in (*content, *definition.extra_files)}
    found: dict[str, StoredFile] = {}
    for path in sorted({*recorded.files, *sources}):
        stored = _of_source(tree, sources[path]) if path in sources else _of_text(tree, path)
        if stored is not None:
            found[path] = stored
    directories = [definition.directory, *(posixpath.dirname(path) for path in found)]
    directory = posixpath.commonpath([f"/{path}" for path in directories]).removeprefix("/")
    prefix = f"{directory}/" if directory else ""
    files = [_at(path.removeprefix(prefix), file) for path, file in found.items() if path != directory]
    main = definition.file.removeprefix(prefix)
    return Collected(directory, main, tuple(sorted(files, key=lambda file: file.path)))


def _of_text(tree: SourceTree, path: str) -> StoredFile | None:
    """Return what a path is that a reader asked for, None where nothing is there."""
    try:
        data = tree.read(path)
    except IsADirectoryError:
        return StoredFile(path, directory=True) if path else None
    except (FileNotFoundError, NotADirectoryError):
        return None
    _refuse_credentials(path, data)
    if fits_inline(data):
        return StoredFile(path, data.decode())
    return StoredFile(path, sha256=tree.digest(path))


def _of_source(tree: SourceTree, file: SourceFile) -> StoredFile:
    path = file.source
    if file.kind is EntryKind.DIRECTORY:
        return StoredFile(path, directory=True)
    if file.kind is EntryKind.SYMLINK:
        return StoredFile(path, target=file.content)
    with tree.open(path) as stream:
        data = stream.read(MAX_BYTES + 1)
    if fits_inline(data):
        return StoredFile(path, data.decode(), executable=file.executable)
    return StoredFile(path, sha256=file.content, executable=file.executable)


def _at(path: str, file: StoredFile) -> StoredFile:
    return StoredFile(path, file.text, file.sha256, file.target, directory=file.directory, executable=file.executable)


def _refuse_credentials(path: str, data: bytes) -> None:
    """Raise DefinitionError, with the line, where a text that is stored as it is holds a credential."""
    for number, line in enumerate(data.decode(errors="replace").splitlines(), start=1):
        for credential in in_line(line, path, number, Carrier.TEXT):
            raise not_shared(credential)


def not_shared(credential: Credential) -> DefinitionError:
    """Return the error for a credential in what is to be registered."""
    return DefinitionError(
        f"{credential.what} stands here, and a workspace is for others to read",
        file=credential.file,
        line=credential.line,
        hint="keep it out of the definition: pip reads ~/.netrc and pip.conf, conda reads ~/.condarc",
    )
