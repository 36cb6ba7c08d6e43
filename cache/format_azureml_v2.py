"""The YAML of a v2 environment (FACTS §3.1), with the messages of azure-ai-ml 1.35.2.

Name, version, description, tags, properties and routes are judged and never enter the definition's content.
"""

import re
from typing import Any

from envkiln.cache.definition import (
    BuildContext,
    EnvironmentDefinition,
    Format,
    ImageReference,
    ImageReferenceError,
)
from envkiln.cache.format_conda import SpecificationPart, read_specification
from envkiln.cache.format_dockerfile import read_context
from envkiln.cache.redact import quoted
from envkiln.cache.section import Section
from envkiln.cache.source import SourceTree, directory_of, resolve
from envkiln.cache.yaml_text import YamlDocument, read_yaml

_TEXTS = ("$schema", "name", "description", "image", "datastore", "id")
_MAPPINGS = ("tags", "properties", "auto_delete_setting")
# The client drops what only the service writes (`az ml environment show` prints it).
_SERVICE_ONLY = ("creation_context", "latest_version", "intellectual_property")
_FIELDS = (
    *_TEXTS, *_MAPPINGS, *_SERVICE_ONLY, "version", "build", "conda_file", "inference_config", "os_type"
)  # fmt: skip
_ROUTES = ("liveness_route", "readiness_route", "scoring_route")
_OS_TYPES = ("linux", "windows")
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|git@")
_A_CONDA_FILE = (
    "It looks like you are trying to specify a conda file: channels and dependencies are no fields of an environment"
)


def read_azureml_v2(tree: SourceTree, document: YamlDocument) -> EnvironmentDefinition:
    """Return the definition of a v2 environment YAML; raises DefinitionError with the client's messages."""
    top = Section(document)
    value = document.value
    if not isinstance(value, dict):
        raise top.error("Invalid input type.", hint="write the fields of an environment: name, image, ...")
    warnings = _judge_fields(top, value)
    if "image" not in value and "build" not in value:
        raise top.error(
            "Docker image or Dockerfile is required for environments",
            hint="add `image:` with a base image, or `build:` with the path of a build context",
        )
    if "image" in value and "build" in value:
        hint = "keep `image` or `build`"
        raise top.at("build").error("Docker image or Dockerfile should be provided not both", hint=hint)
    if "build" in value and "conda_file" in value:
        raise top.at("conda_file").error(
            "Not allowed to specify conda_file with a Docker build context",
            hint="put the conda file into the context and use it in the Dockerfile",
        )
    context = _context(tree, top.at("build")) if "build" in value else None
    part = _conda(tree, top.at("conda_file")) if "conda_file" in value else None
    return EnvironmentDefinition(
        format=Format.AZUREML_V2,
        file=document.file,
        directory=directory_of(document.file),
        declared_name=value["name"],
        base_image=_image(top.at("image")) if "image" in value else None,
        context=context,
        conda=part.conda if part else None,
        extra_files=part.extra_files if part else (),
        warnings=(*warnings, *(part.warnings if part else ())),
        credentials=part.credentials if part else context.credentials if context else (),
    )


def _judge_fields(top: Section, value: dict[Any, Any]) -> list[str]:
    """Judge the type of every field; return warnings."""
    if "channels" in value or "dependencies" in value:
        key = "dependencies" if "dependencies" in value else "channels"
        raise top.at(key).error(_A_CONDA_FILE, hint="move them below `conda_file:`, or into a file it names")
    _judge_known(top, value, _FIELDS)
    if "name" not in value:
        raise top.error("name: Missing data for required field.", hint="add `name:` and a name")
    for key in _TEXTS:
        if key in value:
            _judge_text(top.at(key), key)
    for key in _MAPPINGS:
        if key in value and not isinstance(value[key], dict):
            raise top.at(key).error(f"{key}: Not a valid mapping type.", hint="write KEY: value below it")
    version = value.get("version", "")
    if isinstance(version, bool) or not isinstance(version, (str, int, float)):
        message = f"Type {type(version)} is not supported for version."
        raise top.at("version").error(message, hint="write a text or a number")
    if "inference_config" in value:
        _judge_inference(top.at("inference_config"))
    return _judge_system(top.at("os_type")) if "os_type" in value else []


def _judge_known(place: Section, value: dict[Any, Any], known: tuple[str, ...]) -> None:
    for key in value:
        if key not in known:
            hint = f"known fields are {', '.join(known)}"
            raise place.at(key).error(f"{key}: Unknown field.", hint=hint)


def _judge_text(place: Section, key: str) -> str:
    value = place.value
    if not isinstance(value, str):
        message = "Field may not be null." if value is None else "Not a valid string."
        hint = "write a text after the colon, or remove the field" if value is None else "quote it"
        raise place.error(f"{key}: {message}", hint=hint)
    return value


def _judge_system(place: Section) -> list[str]:
    system = _judge_text(place, "os_type").lower()
    if system not in _OS_TYPES:
        message = f"Value {place.value!r} passed is not in set {list(_OS_TYPES)}"
        raise place.error(message, hint="write linux, or leave the field out")
    return [place.warning("os_type is windows: envkiln builds Linux images")] if system == "windows" else []


def _judge_inference(place: Section) -> None:
    for route in _mapping(place, "inference_config", _ROUTES):
        inner = place.at(route)
        fields = _mapping(inner, route, ("path", "port"))
        _judge_text(inner.at("path"), "path")
        port = fields["port"]
        is_number = isinstance(port, int) or (isinstance(port, str) and port.isdecimal())
        if isinstance(port, bool) or not is_number:
            raise inner.at("port").error("port: Not a valid integer.", hint="write a port number")


def _mapping(place: Section, key: str, required: tuple[str, ...]) -> dict[Any, Any]:
    value = place.value
    if not isinstance(value, dict):
        raise place.error(f"{key}: Invalid input type.", hint=f"write a mapping with {', '.join(required)}")
    _judge_known(place, value, required)
    for name in required:
        if name not in value:
            raise place.error(f"{name}: Missing data for required field.", hint=f"add `{name}:` to {key}")
    return value


def _image(place: Section) -> ImageReference:
    text = str(place.value)
    if text.startswith("azureml:"):
        raise place.error(
            f"{quoted(text, 120)} refers to a registered environment, not to a Docker image",
            hint="write the image of that environment: registry/repository:tag",
        )
    try:
        return ImageReference.parse(text)
    except ImageReferenceError as error:
        hint = "fill the template in" if "{{" in text or "<" in text else error.hint
        raise place.error(error.message, hint=hint or "write registry/repository:tag") from None


def _context(tree: SourceTree, place: Section) -> BuildContext:
    value = place.value
    if not isinstance(value, dict):
        message = "build: Field may not be null." if value is None else "build: Invalid input type."
        raise place.error(message, hint="write `path:` and the directory of the build context below it")
    _judge_known(place, value, ("path", "dockerfile_path"))
    if "path" not in value:
        hint = "add `path:` with the directory of the context"
        raise place.error("Missing Docker build context location", hint=hint)
    path = place.at("path")
    text = _judge_text(path, "path")
    if _REMOTE.match(text):
        raise path.error(
            f"the build context {quoted(text, 120)} is remote: envkiln builds local contexts only",
            hint="check it out below the watched directory and give its path",
        )
    directory = _resolve(path, text)
    try:
        tree.entries(directory)
    except OSError:
        raise path.error(_missing(directory), hint=_hint(text, "create the directory")) from None
    dockerfile = "Dockerfile"
    if "dockerfile_path" in value:
        dockerfile = _judge_text(place.at("dockerfile_path"), "dockerfile_path")
    at = place.at("dockerfile_path")
    resolved = _resolve(at, dockerfile, directory)
    below = resolved.removeprefix(f"{directory}/") if directory else resolved
    if directory and below == resolved:
        message = f"Missing Dockerfile path: {dockerfile!r} is not below the build context"
        raise at.error(message, hint="dockerfile_path is relative to the build context: move the file into it")
    return read_context(tree, directory, below, at)


def _conda(tree: SourceTree, place: Section) -> SpecificationPart:
    """Return the specification of `conda_file`: an inline mapping, or a path relative to the YAML file."""
    if isinstance(place.value, dict):
        return read_specification(tree, place, directory_of(place.document.file), other_keys=True)
    text = _judge_text(place, "conda_file")
    if _REMOTE.match(text):
        hint = "download it beside this file and give its path"
        raise place.error(f"the conda file {quoted(text, 120)} is remote", hint=hint)
    path = _resolve(place, text)
    try:
        data = tree.read(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise place.error(_missing(path), hint=_hint(text, "create the conda file")) from None
    except OSError as error:
        message = f"the conda file {path!r} cannot be read: {error.strerror or type(error).__name__}"
        raise place.error(message, hint="make it a readable file below the watched directory") from None
    return read_specification(tree, Section(read_yaml(data, path)), directory_of(path), other_keys=True)


def _resolve(place: Section, reference: str, directory: str | None = None) -> str:
    file = place.document.file
    line, column = place.document.mark(*place.path)
    start = directory_of(file) if directory is None else directory
    return resolve(start, reference, file=file, line=line, column=column)


def _missing(path: str) -> str:
    return f"Can't find directory or file in resolved absolute path: {path}"


def _hint(text: str, otherwise: str) -> str:
    return "fill the template in" if "{{" in text or "<" in text else f"{otherwise}, or correct the path"
