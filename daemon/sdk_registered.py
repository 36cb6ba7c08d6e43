"""Environments as registered versions: written into a workspace, and read back (FACTS §2.6)."""

import json
import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from envkiln.cache.definition import EnvironmentDefinition, Format, ImageReference
from envkiln.cache.format_azureml_v1 import BASE_DOCKERFILE, CONDA_FILE
from envkiln.cache.formats import AZUREML_V1_NAME
from envkiln.cache.identity import Identity
from envkiln.cache.registered_version import RegisteredVersion
from envkiln.cache.registration import latest
from envkiln.cache.source import MemoryTree, SourceTree
from envkiln.cache.stored_definition import Naming, read_version
from envkiln.cache.stored_tree import StoredTree
from envkiln.cache.yaml_text import read_yaml
from envkiln.daemon.base_digest import DigestAsked
from envkiln.daemon.disk_tree import DigestCache, DiskTree
from envkiln.daemon.sdk_element import logger
from envkiln.daemon.sdk_errors import UserErrorException, translated
from envkiln.daemon.sdk_labels import labelled_version
from envkiln.daemon.sdk_specification import specification_text
from envkiln.daemon.sdk_wheels import with_local_wheels
from envkiln.daemon.sdk_workspace import Workspace
from envkiln.daemon.workspace import UnknownVersion

LATEST = "latest"
_STORED = "envkiln:"
"""Before the reference of a version, in the location of a build context: its files are in the workspace."""


def register(workspace: Workspace, plain: Mapping[str, Any]) -> RegisteredVersion:
    """Register an environment, given as JSON has it; what has not changed keeps its version.

    Raises UserErrorException for what is wrong with it. Passwords of registries and tokens are not written down.
    """
    name, number = str(plain["name"]), plain.get("version")
    if number is not None:
        logger.warning(
            "Environment version is set. Attempting to register desired version. "
            "To auto-version, reset version to None."
        )
    tree, file = _tree(workspace, plain)
    settings = workspace.config.for_environment(workspace.root, name)
    asked = DigestAsked(workspace.paths, workspace.config.docker_host)
    pinned = settings.base_image_digest == "pin"
    naming = Naming(settings.base_image, asked if pinned else (lambda _: None), settings.platform)
    with translated():
        done = workspace.store.register(tree, file, naming, name=name, number=_number(number))
    if asked.problem is not None and "@" not in (done.version.base_image or "@"):
        logger.warning("%s is named without the digest of its base image: %s", done.version.reference, asked.problem)
    return done.version


def find(workspace: Workspace, name: str, version: str | None = None, label: str | None = None) -> RegisteredVersion:
    """Return a registered version: by number, by label, or the latest; raises UserErrorException."""
    if version is not None and label is not None:
        raise UserErrorException("Only one of version or label can be specified")
    with translated():
        number = labelled_version(workspace, name, label) if label not in (None, LATEST) else _number(version)
        try:
            return workspace.store.find(name, number)
        except UnknownVersion as error:
            hint = f"{error.message}: register it first, with register(workspace)"
            raise UserErrorException(f"Environment '{name}' is not registered", hint=hint) from error


def all_latest(workspace: Workspace) -> list[RegisteredVersion]:
    """Return the latest version of each name, sorted; a damaged one raises UserErrorException."""
    with translated():
        contents = workspace.store.read()
        if contents.problems:
            raise contents.problems[0]
    names = sorted({version.name for version in contents.versions})
    found = [latest([it for it in contents.versions if it.name == name]) for name in names]
    return [version for version in found if version is not None]


def definition_of(workspace: Workspace, version: RegisteredVersion) -> tuple[EnvironmentDefinition, Identity]:
    """Return the definition of a version and its names; its base image is the one it was registered with."""
    with translated():
        return read_version(version, workspace.store.open_file)


def tree_of(workspace: Workspace, version: RegisteredVersion) -> SourceTree:
    """Return the files of a version."""
    return StoredTree(version.files, workspace.store.open_file)


def plain_of(workspace: Workspace, version: RegisteredVersion) -> dict[str, Any]:
    """Return a registered version as JSON has it: as the service returns it, the specification has the name of its
    conda environment."""
    definition, identity = definition_of(workspace, version)
    plain = _saved(workspace, version) if version.format is Format.AZUREML_V1 else _described(definition, version)
    plain |= {"name": version.name, "version": str(version.version)}
    if definition.conda is not None and identity.conda_environment is not None:
        text = definition.conda.mutated(identity.conda_environment).encode()
        plain["python"] = {**(plain.get("python") or {}), "condaDependencies": read_yaml(text, CONDA_FILE).value}
    return plain


def _saved(workspace: Workspace, version: RegisteredVersion) -> dict[str, Any]:
    """Return what was written down: an environment of the v1 client."""
    tree, directory = tree_of(workspace, version), posixpath.dirname(version.main)
    plain: dict[str, Any] = json.loads(tree.read(version.main))
    dockerfile = posixpath.join(directory, BASE_DOCKERFILE)
    if any(file.path == dockerfile for file in version.files):
        text = tree.read(dockerfile).decode()
        plain["docker"] = {**(plain.get("docker") or {}), "baseImage": None, "baseDockerfile": text}
    return plain


def _described(definition: EnvironmentDefinition, version: RegisteredVersion) -> dict[str, Any]:
    """Return a definition of another format in the words of the v1 client."""
    docker: dict[str, Any] = {}
    if definition.context is not None:
        context = definition.context
        docker["buildContext"] = {"location": f"{_STORED}{version.reference}", "dockerfilePath": context.dockerfile}
    elif definition.base_dockerfile is not None:
        docker["baseDockerfile"] = definition.base_dockerfile
    elif version.base_image is not None:
        docker["baseImage"] = ImageReference.parse(version.base_image).unpinned
    return {"docker": docker, "python": {"userManagedDependencies": definition.conda is None}}


def _tree(workspace: Workspace, plain: Mapping[str, Any]) -> tuple[SourceTree, str]:
    """Return the files of an environment and the main one of them."""
    docker = dict(plain["docker"])
    context = docker.get("buildContext")
    if context is not None:
        return _context(workspace, context)
    python = dict(plain["python"])
    conda = python.pop("condaDependencies", None)
    files: dict[str, bytes] = {}
    if conda is not None and not python["userManagedDependencies"]:
        conda, files = with_local_wheels(workspace, conda)
        files[CONDA_FILE] = specification_text(conda).encode()
    if docker.get("baseDockerfile") is not None:
        files[BASE_DOCKERFILE] = docker.pop("baseDockerfile").encode()
    docker["baseImageRegistry"] = {**(docker.get("baseImageRegistry") or {}), "password": None}
    kept = {**plain, "version": None, "assetId": None, "python": python, "docker": docker, "r": _without_tokens(plain)}
    files[AZUREML_V1_NAME] = (json.dumps(kept, indent=4) + "\n").encode()
    return MemoryTree(files), AZUREML_V1_NAME


def _without_tokens(plain: Mapping[str, Any]) -> dict[str, Any] | None:
    section = plain.get("r")
    if not isinstance(section, Mapping):
        return None
    packages = section.get("githubPackages")
    hidden = [{**package, "authToken": None} for package in packages] if packages else packages
    return {**section, "githubPackages": hidden}


def _context(workspace: Workspace, context: Mapping[str, Any]) -> tuple[SourceTree, str]:
    """Return the files of a build context, in a directory of this machine or registered before, and its Dockerfile."""
    location = str(context.get("location") or "")
    if location.startswith(_STORED):
        name, _, number = location.removeprefix(_STORED).rpartition(":")
        version = find(workspace, name, number)
        return tree_of(workspace, version), version.main
    url = urlsplit(location)
    if url.scheme != "file":
        raise UserErrorException(
            f"the build context is remote ({location}): envkiln builds local contexts only",
            hint="make it with DockerBuildContext.from_local_directory",
        )
    return DiskTree(Path(unquote(url.path)), DigestCache()), str(context.get("dockerfilePath") or "Dockerfile")


def _number(version: str | None) -> int | None:
    if version is None or version == LATEST:
        return None
    if not (str(version).isascii() and str(version).isdecimal()):
        raise UserErrorException(f"{version!r} is not a version", hint="versions are whole numbers from 1")
    return int(version)
