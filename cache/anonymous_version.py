"""The version that azure-ai-ml gives an environment without a name (FACTS §3.4, azure-ai-ml 1.28.1 to 1.35.2).

The client joins strings in an odd way: `joined(a, b)` puts `a` between every two characters of `b`. It is kept, since
the result is the name of what people have registered.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from envkiln.cache.ignore import Filter, upload_rules
from envkiln.cache.source import EntryKind, SourceTree

ANONYMOUS_NAME = "CliV2AnonymousEnvironment"

_SEED = b"Initialize for october 2021 AML CLI version"
_CHUNK = 1 << 20


def version_of_image(
    image: str, *, conda: Mapping[Any, Any] | None = None, inference: Mapping[str, Any] | None = None
) -> str:
    """Return the version (64 hex digits) of an environment of a base image.

    `conda` is the conda specification and `inference` the `inference_config`, as YAML is read; order of keys does not
    count, order of channels and packages and the name in `conda` do.
    """
    text = _digest(image)
    if inference:
        text = _joined(text, _digest(yaml.dump(dict(inference), sort_keys=True)))
    if conda:
        text = _joined(text, _digest(conda_text(conda)))
    return _digest(text)


def version_of_build(upload_hash: str, dockerfile_path: str | None = None) -> str:
    """Return the version of an environment that is a build context with this `upload_hash`."""
    text = _digest(upload_hash)
    return _digest(_joined(text, _digest(dockerfile_path)) if dockerfile_path else text)


def conda_text(conda: Mapping[Any, Any]) -> str:
    """Return the text that the client sends for a conda specification: PyYAML's, with sorted keys and folded lines."""
    text: str = yaml.dump(dict(conda), sort_keys=True)
    return text


def upload_hash(tree: SourceTree, directory: str) -> str:
    """Return the hash (64 hex digits) that the client gives a directory that it uploads.

    What `.amlignore`, else `.gitignore`, leaves out does not count. Raises DefinitionError for a pattern that is
    wrong, OSError for a file that cannot be read.
    """
    result = hashlib.sha256(_SEED)
    rules = upload_rules(tree, directory)
    for piece in _pieces(tree, directory, "", rules):
        result.update(piece)
    return result.hexdigest()


def _pieces(tree: SourceTree, directory: str, below: str, rules: Filter | None) -> Iterator[bytes]:
    here = _path(directory, below)
    for entry in sorted(tree.entries(here), key=lambda entry: entry.name.lower()):
        path = _path(below, entry.name)
        # The client asks for a directory as for a file, so a pattern that ends with a slash leaves out what is in it.
        if rules is not None and rules.ignores(path, directory=False):
            continue
        yield entry.name.encode(errors="surrogateescape")
        if entry.kind is EntryKind.DIRECTORY or (
            entry.kind is EntryKind.SYMLINK and _leads_to_directory(tree, here, entry.name)
        ):
            yield from _pieces(tree, directory, path, rules)
        elif entry.kind is not EntryKind.SPECIAL:
            with tree.open(_path(here, entry.name)) as stream:
                while chunk := stream.read(_CHUNK):
                    yield chunk


def _leads_to_directory(tree: SourceTree, here: str, name: str) -> bool:
    try:
        tree.entries(_path(here, name))
    except OSError:
        return False
    return True


def _path(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory and name else directory or name


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _joined(between: str, text: str) -> str:
    return between.join(text)
