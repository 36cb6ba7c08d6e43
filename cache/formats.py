"""Which file is an environment definition, which is the main one of its directory, and reading it."""

import posixpath
import re
from collections.abc import Iterable
from typing import Any

from envkiln.cache.definition import EnvironmentDefinition, Format
from envkiln.cache.errors import DefinitionError
from envkiln.cache.foreign import foreign_hint, is_foreign
from envkiln.cache.format_azureml_v1 import read_azureml_v1
from envkiln.cache.format_azureml_v2 import read_azureml_v2
from envkiln.cache.format_conda import KEYS, read_conda
from envkiln.cache.format_dockerfile import read_dockerfile
from envkiln.cache.format_requirements import DEFAULT_PYTHON, read_requirements
from envkiln.cache.source import EntryKind, SourceTree
from envkiln.cache.yaml_text import YamlDocument, read_yaml

AZUREML_V1_NAME = "azureml_environment.json"
DOCKERFILE_NAME = "Dockerfile"
REQUIREMENTS_NAME = "requirements.txt"
CONDA_NAMES = (
    "env.yml",
    "environment.yml",
    "environment.yaml",
    "conda.yml",
    "conda.yaml",
    "conda_dependencies.yml",
)
STANDARD_NAMES: tuple[str, ...] = (AZUREML_V1_NAME, DOCKERFILE_NAME, *CONDA_NAMES, REQUIREMENTS_NAME)
"""In order of precedence inside one directory; a CONDA_NAMES file that is a v2 environment precedes `Dockerfile`."""

_PRECEDENCE = (Format.AZUREML_V1, Format.AZUREML_V2, Format.DOCKERFILE, Format.CONDA, Format.REQUIREMENTS)
_V2_SCHEMA = "environment.schema.json"
# Not `\s`, which goes on over line ends: with thousands of empty lines, that takes the square of their number.
_MAY_BE = re.compile(rb"environment\.schema\.json|^[ \t\r\f\v{\"']*(?:dependencies|conda_file)[\"']?\s*:", re.MULTILINE)
_SURELY_MEANT = re.compile(rb"environment\.schema\.json|^(?:dependencies|conda_file):", re.MULTILINE)
_MEANT_AS_V2 = re.compile(rb"environment\.schema\.json|^(?:conda_file|image|build):", re.MULTILINE)
_HAS_DEPENDENCIES = re.compile(rb"^dependencies:", re.MULTILINE)
_REQUIREMENTS = re.compile(r"(?:.*requirements|requirements.*)\.txt", re.IGNORECASE)
_DOCKERFILE = re.compile(r"Dockerfile|Dockerfile\..+|.+\.Dockerfile", re.IGNORECASE)


def sniff(name: str, data: bytes) -> Format | None:
    """Return what the file `name` with the bytes `data` is, None when it is no environment definition.

    A file that is meant as one but is broken has a format: reading it gives the error to show. Never raises.
    """
    return _classify(name, data, name)[0]


def choose(formats: Iterable[tuple[str, Format]]) -> str | None:
    """Return the main file among (standard name, format) pairs of one directory."""
    ranked = [
        (_PRECEDENCE.index(kind), STANDARD_NAMES.index(name), name) for name, kind in formats if name in STANDARD_NAMES
    ]
    return min(ranked)[2] if ranked else None


def environment_file(tree: SourceTree, directory: str) -> str | None:
    """Return the path of the main definition file of `directory`, None when it has none.

    A file that cannot be read counts: reading its definition says why. Raises OSError when the directory cannot be
    listed.
    """
    found: list[tuple[str, Format]] = []
    files = (EntryKind.FILE, EntryKind.SYMLINK)
    present = {entry.name for entry in tree.entries(directory) if entry.kind in files}
    for name in STANDARD_NAMES:
        if name in present:
            kind = _format_of(tree, posixpath.join(directory, name))
            if kind is not None:
                found.append((name, kind))
                if kind in (Format.AZUREML_V1, Format.AZUREML_V2):
                    break
    main = choose(found)
    return posixpath.join(directory, main) if main else None


def read_definition(tree: SourceTree, path: str, *, requirements_python: str = DEFAULT_PYTHON) -> EnvironmentDefinition:
    """Return the definition whose main file is `path`.

    Raises DefinitionError, and nothing else, for everything that is wrong with it or with a file it needs. Read
    through a `RecordingTree`, it notes every file and directory that the definition consumes.
    """
    try:
        return _read(tree, path, requirements_python)
    except DefinitionError as error:
        error.hint = error.hint or "correct the file at this place"
        raise
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        reason = "is missing" if missing else f"cannot be read: {error.strerror or type(error).__name__}"
        hint = "was it renamed or removed?" if missing else "make it a readable file below the watched directory"
        raise DefinitionError(f"the file {reason}", file=path, hint=hint) from None
    except RecursionError:
        hint = "is this really an environment definition?"
        raise DefinitionError("the definition is nested too deeply", file=path, hint=hint) from None


def refusal(name: str, data: bytes) -> DefinitionError:
    """Return the error for a file that somebody named and that `sniff` does not take for a definition."""
    try:
        value = read_yaml(data, name).value if _is_yaml(name) or name.endswith(".json") else None
    except DefinitionError as error:
        if b"@EXPLICIT" not in data:
            error.hint = error.hint or "correct the file at this place"
            return error
        value = None
    what, hint = foreign_hint(name, data, value)
    return DefinitionError(what, file=name, hint=hint)


def referenced_definitions(definition: EnvironmentDefinition) -> frozenset[str]:
    """Return the paths that belong to `definition` and must not become environments of their own.

    These are its build context's directory, unless it is the definition's own, and the local files of the pip part.
    A conda file that a v2 YAML names is among the files that a RecordingTree noted.
    """
    paths = {file.source for file in definition.extra_files}
    if definition.context is not None and definition.context.directory != definition.directory:
        paths.add(definition.context.directory)
    return frozenset(paths)


def _read(tree: SourceTree, path: str, requirements_python: str) -> EnvironmentDefinition:
    name = posixpath.basename(path)
    if _DOCKERFILE.fullmatch(name):
        return read_dockerfile(tree, path)
    data = tree.read(path)
    kind, document = _classify(name, data, path)
    if kind is Format.REQUIREMENTS:
        return read_requirements(tree, path, data, python=requirements_python)
    if kind is Format.AZUREML_V1:
        return read_azureml_v1(tree, path, data)
    if kind is None:
        raise refusal(path, data)
    document = document or read_yaml(data, path)
    return read_azureml_v2(tree, document) if kind is Format.AZUREML_V2 else read_conda(tree, document)


def _format_of(tree: SourceTree, path: str) -> Format | None:
    """Return the format of a file with a standard name."""
    name = posixpath.basename(path)
    if name not in CONDA_NAMES:
        return sniff(name, b"")
    try:
        return sniff(name, tree.read(path))
    except FileNotFoundError:
        return None
    except OSError:
        return Format.CONDA


def _classify(name: str, data: bytes, file: str) -> tuple[Format | None, YamlDocument | None]:
    """Return the format, and the document where deciding it took parsing."""
    if not _is_yaml(name):
        return _by_name(name), None
    standard = name in CONDA_NAMES
    plain = data.replace(b"\0", b"") if data[:2] in (b"\xff\xfe", b"\xfe\xff") else data
    if not standard and not _MAY_BE.search(plain):
        return None, None
    try:
        document = read_yaml(data, file)
    except DefinitionError:
        return _broken(plain, standard=standard), None
    return _of_value(name, document.value, standard=standard), document


def _by_name(name: str) -> Format | None:
    if name == AZUREML_V1_NAME:
        return Format.AZUREML_V1
    if _DOCKERFILE.fullmatch(name):
        return Format.DOCKERFILE
    return Format.REQUIREMENTS if _REQUIREMENTS.fullmatch(name) else None


def _broken(data: bytes, *, standard: bool) -> Format | None:
    """Return what a YAML file that cannot be parsed is meant as."""
    if not standard and not _SURELY_MEANT.search(data):
        return None
    v2 = _MEANT_AS_V2.search(data) is not None and not _HAS_DEPENDENCIES.search(data)
    return Format.AZUREML_V2 if v2 else Format.CONDA


def _of_value(name: str, value: Any, *, standard: bool) -> Format | None:
    if not isinstance(value, dict):
        return Format.CONDA if standard else None
    if _is_v2(value, standard=standard):
        return Format.AZUREML_V2
    if is_foreign(name, value):
        return None
    return Format.CONDA if _is_conda(name, value, standard=standard) else None


def _is_conda(name: str, value: dict[Any, Any], *, standard: bool) -> bool:
    """Return whether a mapping is a conda specification, right or wrong."""
    only_known = set(value) <= set(KEYS)
    if "dependencies" not in value:
        return standard and (only_known or "channels" in value)
    dependencies = value["dependencies"]
    if not isinstance(dependencies, list):
        return standard
    if not all(_is_dependency(item) for item in dependencies):
        # A file that is called env.yml is meant as one; a lock file says what it is by its other keys.
        return standard and only_known and not any(isinstance(item, dict) for item in dependencies)
    # Many tools have an empty list of dependencies, and most use the longer ending.
    return standard or only_known or (bool(dependencies) and not name.lower().endswith(".yaml"))


def _is_v2(value: dict[Any, Any], *, standard: bool) -> bool:
    schema = value.get("$schema")
    if isinstance(schema, str):
        return schema.rpartition("/")[2].lower() == _V2_SCHEMA
    image, build = value.get("image"), value.get("build")
    if isinstance(image, dict):  # azureml-assets describes the publishing of an image so
        return False
    if "image" in value or "build" in value:
        return "conda_file" in value or (standard and "dependencies" not in value and (bool(image) or bool(build)))
    return False


def _is_dependency(item: Any) -> bool:
    """Return whether an item of `dependencies` is conda's, also one that is wrong in a way worth showing."""
    if isinstance(item, dict):
        return all(key == "pip" or (isinstance(key, str) and key.startswith("sel(")) for key in item)
    return not isinstance(item, list)


def _is_yaml(name: str) -> bool:
    return name.lower().endswith((".yml", ".yaml"))
