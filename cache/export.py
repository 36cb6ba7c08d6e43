"""A registered version in the format of somebody else: the files to write, which read back under the very same name."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import yaml

from envkiln.cache.canonical import canonical_text
from envkiln.cache.definition import EnvironmentDefinition, Format
from envkiln.cache.errors import EnvkilnError
from envkiln.cache.format_azureml_v1 import BASE_DOCKERFILE, CONDA_FILE
from envkiln.cache.formats import AZUREML_V1_NAME
from envkiln.cache.json_text import read_json
from envkiln.cache.registered_version import RegisteredVersion, StoredFile
from envkiln.cache.stored_definition import Altered, read_version
from envkiln.cache.stored_tree import Load, StoredTree
from envkiln.cache.yaml_text import read_yaml

V2_SCHEMA = "https://azuremlschemas.azureedge.net/latest/environment.schema.json"
_CONTEXT = "context"
_V2_KEPT = ("description", "tags", "inference_config", "os_type")


class Target(Enum):
    """What a version is exported to."""

    V1 = "v1"
    """The directory that azureml-core's `Environment.load_from_directory` reads."""

    V2 = "v2"
    """The YAML that `az ml environment create --file` and azure-ai-ml's `load_environment` read."""

    CONDA = "conda"
    """A conda specification; the base image is not in it."""


class NotExpressible(EnvkilnError):  # noqa: N818 -- what it is
    """The format has no place for something of this version."""


@dataclass(frozen=True, slots=True)
class Export:
    """Files by path, sorted; `main` is the one to give to the other program."""

    main: str
    files: tuple[StoredFile, ...]


def export(version: RegisteredVersion, target: Target, load: Load) -> Export:
    """Return `version` as `target` has it; `load` opens bytes by their SHA-256.

    The base image is pinned to the digest that was registered. Whatever is returned, read again, has the image name
    that was registered: raises NotExpressible where that cannot be, Altered for a version edited by hand.
    """
    definition, _ = read_version(version, load)
    made = _WRITERS[target](version, definition, load)
    sorted_files = tuple(sorted(made.files, key=lambda file: file.path))
    again = replace(version, main=made.main, files=sorted_files)
    try:
        read_version(again, load)
    except Altered:
        raise _lost(version, target, "its image would get another name") from None
    return Export(made.main, sorted_files)


def _conda(version: RegisteredVersion, definition: EnvironmentDefinition, load: Load) -> Export:
    if definition.context is not None or definition.base_dockerfile is not None:
        raise _lost(version, Target.CONDA, "it has a Dockerfile")
    if definition.conda is None:
        raise _lost(version, Target.CONDA, "it has no conda environment")
    text = canonical_text(_specification(definition), name=version.name)
    return Export("env.yml", (StoredFile("env.yml", text), *_extra_files(version, definition, load)))


def _v2(version: RegisteredVersion, definition: EnvironmentDefinition, load: Load) -> Export:
    if definition.base_dockerfile is not None:
        raise _lost(version, Target.V2, "v2 has no base Dockerfile with a conda environment on it")
    document: dict[str, Any] = {"$schema": V2_SCHEMA, "name": version.name, "version": str(version.version)}
    if definition.format is Format.AZUREML_V2:
        original = read_yaml(StoredTree(version.files, load).read(version.main), version.main).value
        document |= {key: original[key] for key in _V2_KEPT if key in original}
    if version.description:
        document["description"] = version.description
    files: tuple[StoredFile, ...] = ()
    if definition.context is not None:
        document["build"] = {"path": _CONTEXT, "dockerfile_path": definition.context.dockerfile}
        files = _below(version, definition.context.directory)
    else:
        document["image"] = version.base_image
        files = _extra_files(version, definition, load)
    if definition.conda is not None:
        document["conda_file"] = _named(version, _specification(definition))
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1 << 30)
    return Export("environment.yml", (StoredFile("environment.yml", text), *files))


def _v1(version: RegisteredVersion, definition: EnvironmentDefinition, load: Load) -> Export:
    if definition.context is not None:
        raise _lost(version, Target.V1, "a build context of v1 lies in a store of Azure ML's")
    document = _v1_template()
    if definition.format is Format.AZUREML_V1:
        document |= read_json(StoredTree(version.files, load).read(version.main), version.main).value
    document |= {"name": version.name, "version": str(version.version)}
    docker = {**(document.get("docker") or {}), "baseImage": version.base_image, "baseDockerfile": None}
    python = {**(document.get("python") or {}), "userManagedDependencies": definition.conda is None}
    python.pop("condaDependencies", None)
    spark = {
        "repositories": list(definition.spark.repositories),
        "packages": [
            dict(zip(("group", "artifact", "version"), package.split(":"), strict=True))
            for package in definition.spark.packages
        ],
        "precachePackages": definition.spark.precache,
    }
    document |= {"docker": docker, "python": python, "spark": spark}
    files = [StoredFile(AZUREML_V1_NAME, json.dumps(document, indent=4) + "\n")]
    if definition.base_dockerfile is not None:
        files.append(StoredFile(BASE_DOCKERFILE, definition.base_dockerfile))
    if definition.conda is not None:
        files.append(StoredFile(CONDA_FILE, canonical_text(_specification(definition), name=version.name)))
    return Export(AZUREML_V1_NAME, (*files, *_extra_files(version, definition, load)))


def _v1_template() -> dict[str, Any]:
    """Return what the client writes for an environment that says nothing of its own (FACTS §2.4)."""
    return {
        "name": None,
        "version": None,
        "environmentVariables": {},
        "python": {"interpreterPath": "python", "condaDependenciesFile": None, "baseCondaEnvironment": None},
        "docker": {
            "enabled": False,
            "baseImage": None,
            "baseDockerfile": None,
            "sharedVolumes": True,
            "shmSize": "2g",
            "arguments": [],
            "baseImageRegistry": {"address": None, "username": None, "password": None, "registryIdentity": None},
            "platform": {"os": "Linux", "architecture": "amd64"},
        },
        "spark": {},
        "databricks": {},
        "r": None,
        "inferencingStackVersion": None,
    }


def _specification(definition: EnvironmentDefinition) -> Mapping[Any, Any]:
    assert definition.conda is not None  # noqa: S101 -- the caller looked
    value: Mapping[Any, Any] = read_yaml(definition.conda.canonical.encode(), definition.file).value
    return value


def _named(version: RegisteredVersion, specification: Mapping[Any, Any]) -> dict[Any, Any]:
    return {"name": version.name, **{key: value for key, value in specification.items() if key != "name"}}


def _extra_files(version: RegisteredVersion, definition: EnvironmentDefinition, load: Load) -> tuple[StoredFile, ...]:
    """Return the local files of the pip part, at their place beside the specification."""
    by_path = {file.path: file for file in version.files}
    tree = StoredTree(version.files, load)
    found = []
    for file in definition.extra_files:
        stored = by_path.get(file.source)
        if stored is None or stored.target is not None:
            stored = StoredFile(file.path, tree.read(file.source).decode())
        found.append(replace(stored, path=file.path))
    return tuple(found)


def _below(version: RegisteredVersion, directory: str) -> tuple[StoredFile, ...]:
    prefix = f"{directory}/" if directory else ""
    return tuple(
        replace(file, path=f"{_CONTEXT}/{file.path.removeprefix(prefix)}")
        for file in version.files
        if file.path.startswith(prefix)
    )


def _lost(version: RegisteredVersion, target: Target, why: str) -> NotExpressible:
    return NotExpressible(
        f"{version.reference} cannot be exported to {target.value}: {why}",
        hint=f"take the files as they were registered: envkiln checkout {version.reference}",
    )


_WRITERS: Mapping[Target, Callable[[RegisteredVersion, EnvironmentDefinition, Load], Export]] = {
    Target.CONDA: _conda,
    Target.V2: _v2,
    Target.V1: _v1,
}
