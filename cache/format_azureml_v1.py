"""The directory that `Environment.save_to_directory` of the v1 client writes (FACTS §2.4, §2.5).

Observed with azureml-core 1.61.0.post4, `load_from_directory`: a `conda_dependencies.yml` beside the JSON counts even
where the JSON has inline `condaDependencies` and whatever `condaDependenciesFile` says; a `BaseDockerfile` beside it,
even a stale one, resets `baseImage`; line ends of `BaseDockerfile` become LF; a JSON with nothing but name and version
is a reference to a registered environment.
"""

from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from typing import Any

from envkiln.cache.credentials import Carrier, Credential, collected, in_dockerfile, in_line
from envkiln.cache.definition import (
    EnvironmentDefinition,
    Format,
    ImageReference,
    ImageReferenceError,
    SparkSection,
)
from envkiln.cache.format_conda import SpecificationPart, read_specification
from envkiln.cache.json_text import read_json
from envkiln.cache.redact import quoted
from envkiln.cache.section import Line, Section
from envkiln.cache.source import SourceTree, directory_of
from envkiln.cache.yaml_text import decode_text, read_yaml

CONDA_FILE = "conda_dependencies.yml"
BASE_DOCKERFILE = "BaseDockerfile"
# fmt: off
_TOP = frozenset((
    "name", "version", "environmentVariables", "python", "docker", "spark", "databricks", "r",
    "inferencingStackVersion", "assetId", "autoRebuild",
))
_PYTHON = frozenset((
    "userManagedDependencies", "interpreterPath", "condaDependenciesFile", "baseCondaEnvironment", "condaDependencies",
))
_DOCKER = frozenset((
    "enabled", "baseImage", "baseDockerfile", "buildContext", "sharedVolumes", "shmSize", "arguments",
    "baseImageRegistry", "platform", "gpuSupport",
))
# fmt: on
_SPARK = frozenset(("repositories", "packages", "precachePackages"))


def read_azureml_v1(tree: SourceTree, path: str, data: bytes) -> EnvironmentDefinition:
    """Return the definition of the `azureml_environment.json` at `path`; raises DefinitionError."""
    top = Section(read_json(data, path))
    value = _mapping(top, "the environment")
    if not value.keys() - {"name", "version", "assetId"}:
        raise top.error(
            "this refers to a registered environment and does not define one",
            hint="save the environment itself, with Environment.get(...).save_to_directory(...)",
        )
    warnings = list(_unknown(top, value, _TOP))
    if value.get("r") is not None:
        warnings.append(top.at("r").warning("R section is deprecated: it is ignored"))
    name = value.get("name")
    if name is not None and not isinstance(name, str):
        raise top.at("name").error("`name` must be a text", hint="quote it")
    docker = _section(top, "docker", _DOCKER, warnings)
    image, dockerfile = _base(tree, docker, top, warnings)
    part = _conda(tree, top, warnings)
    spark = _spark(_section(top, "spark", _SPARK, warnings))
    credentials = collected(
        chain(
            part.credentials if part else (), _dockerfile_credentials(top, dockerfile), _spark_credentials(top, spark)
        )
    )
    return EnvironmentDefinition(
        format=Format.AZUREML_V1,
        file=path,
        directory=directory_of(path),
        declared_name=name,
        base_image=image,
        base_dockerfile=dockerfile,
        conda=part.conda if part else None,
        extra_files=part.extra_files if part else (),
        spark=spark,
        warnings=(*warnings, *(part.warnings if part else ())),
        credentials=credentials,
    )


def _dockerfile_credentials(top: Section, dockerfile: str | None) -> Iterator[Credential]:
    if dockerfile is None:
        return iter(())
    docker = top.value.get("docker")
    if isinstance(docker, dict) and docker.get("baseDockerfile") is not None:
        return in_dockerfile(dockerfile, top.document.file, top.line("docker", "baseDockerfile"))
    return in_dockerfile(dockerfile, _join(directory_of(top.document.file), BASE_DOCKERFILE))


def _spark_credentials(top: Section, spark: SparkSection) -> Iterator[Credential]:
    for index, repository in enumerate(spark.repositories):
        line = top.line("spark", "repositories", index)
        yield from in_line(repository, top.document.file, line, Carrier.TEXT)


def _conda(tree: SourceTree, top: Section, warnings: list[str]) -> SpecificationPart | None:
    """Return the conda part, None where the user manages the packages: then no conda layer is made."""
    python = _section(top, "python", _PYTHON, warnings)
    value = python.value if python else {}
    managed = value.get("userManagedDependencies", False)
    if not isinstance(managed, bool):
        place = top.at("python", "userManagedDependencies")
        raise place.error("`userManagedDependencies` must be true or false", hint="remove the quotation marks")
    path = _join(directory_of(top.document.file), CONDA_FILE)
    if managed:
        # Saved beside it all the same, it is a part of this environment and none of its own.
        with suppress(OSError):
            tree.read(path)
        return None
    if value.get("baseCondaEnvironment") is not None:
        warnings.append(
            top.at("python", "baseCondaEnvironment").warning("baseCondaEnvironment is not recommended: ignored")
        )
    directory = directory_of(top.document.file)
    data = _read_beside(tree, path)
    if data is not None:
        return read_specification(tree, Section(read_yaml(data, path)), directory)
    if python and value.get("condaDependencies") is not None:
        return read_specification(tree, python.at("condaDependencies"), directory)
    raise (python or top).error(
        f"Missing conda dependencies: userManagedDependencies is false and there is no {CONDA_FILE}",
        hint=f"add {CONDA_FILE} beside this file, or set userManagedDependencies to true",
    )


def _base(
    tree: SourceTree, docker: Section | None, top: Section, warnings: list[str]
) -> tuple[ImageReference | None, str | None]:
    """Return the base image and the base Dockerfile: one of them, or neither where none is named."""
    value = docker.value if docker else {}
    image = _optional_text(top.at("docker", "baseImage"), value.get("baseImage"))
    inline = _optional_text(top.at("docker", "baseDockerfile"), value.get("baseDockerfile"))
    if value.get("buildContext") is not None:
        raise top.at("docker", "buildContext").error(
            f"the build context is remote ({_location(value['buildContext'])}): envkiln builds local contexts only",
            hint="put the context below the watched directory: a directory with its Dockerfile is an environment",
        )
    path = _join(directory_of(top.document.file), BASE_DOCKERFILE)
    data = _read_beside(tree, path)
    if data is not None:
        if image is not None:
            place = top.at("docker", "baseImage")
            warnings.append(place.warning(f"{BASE_DOCKERFILE} beside this file replaces baseImage"))
        return None, _dockerfile(decode_text(data, path), Line(path))
    if image is not None and inline is not None:
        raise top.at("docker", "baseDockerfile").error(
            "Too many Docker options: baseImage and baseDockerfile are both set", hint="set one of them to null"
        )
    if inline is not None:
        return None, _dockerfile(inline, top.at("docker", "baseDockerfile"))
    if image is None:
        warnings.append(top.at("docker").warning("no base image is named: the configured one is used"))
        return None, None
    try:
        return ImageReference.parse(image), None
    except ImageReferenceError as error:
        place = top.at("docker", "baseImage")
        raise place.error(error.message, hint=error.hint or "write registry/repository:tag") from None


def _dockerfile(text: str, place: Section | Line) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise place.error("the base Dockerfile is empty", hint="begin it with FROM and a base image, or remove it")
    return text


def _spark(section: Section | None) -> SparkSection:
    if section is None:
        return SparkSection()
    value = section.value
    repositories = value.get("repositories") or []
    if not isinstance(repositories, list) or not all(isinstance(item, str) for item in repositories):
        raise section.at("repositories").error("`repositories` must be a list of texts", hint="list their URLs")
    packages = value.get("packages") or []
    if not isinstance(packages, list):
        hint = "list mappings with group, artifact and version"
        raise section.at("packages").error("`packages` must be a list", hint=hint)
    precache = value.get("precachePackages")
    return SparkSection(
        tuple(repositories),
        tuple(_package(section.at("packages", index)) for index in range(len(packages))),
        precache=precache is not False,
    )


def _package(place: Section) -> str:
    value = place.value
    parts = [value.get(key) for key in ("group", "artifact", "version")] if isinstance(value, dict) else []
    if not parts or not all(isinstance(part, str) and part for part in parts):
        message = "a Spark package needs group, artifact and version"
        raise place.error(message, hint='write {"group": "...", "artifact": "...", "version": "..."}')
    return ":".join(map(str, parts))


def _section(top: Section, key: str, known: frozenset[str], warnings: list[str]) -> Section | None:
    if top.value.get(key) is None:
        return None
    section = top.at(key)
    warnings.extend(
        warning for warning in _unknown(section, _mapping(section, f"`{key}`"), known) if warning not in warnings
    )
    return section


def _mapping(place: Section, what: str) -> dict[Any, Any]:
    value = place.value
    if not isinstance(value, dict):
        raise place.error(f"{what} must be a JSON object", hint="write it as save_to_directory does")
    return value


def _unknown(place: Section, value: dict[Any, Any], known: frozenset[str]) -> list[str]:
    return [place.at(key).warning(f"the key {quoted(key)} is not known: ignored") for key in value if key not in known]


def _optional_text(place: Section, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise place.error(f"`{place.path[-1]}` must be a text or null", hint="quote it")
    return value


def _location(context: Any) -> str:
    return str(context.get("locationType") or "unknown") if isinstance(context, dict) else "unknown"


def _read_beside(tree: SourceTree, path: str) -> bytes | None:
    try:
        return tree.read(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"the file cannot be read: {error.strerror or type(error).__name__}"
        raise Line(path).error(message, hint="make it a readable file below the watched directory") from None


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name
