"""When two definitions are the same version: a key over everything of them that counts.

It has what the image's name has, except for the digest that a base image's tag happened to have, and what an
environment says about running: variables, routes, arguments. Comments, order of keys and format do not count, nor do
name, version, description and tags.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Any

from envkiln.cache.credentials import Credential, in_variables
from envkiln.cache.definition import EnvironmentDefinition, Format, ImageReference
from envkiln.cache.identity import identify
from envkiln.cache.json_text import read_json
from envkiln.cache.yaml_text import read_yaml

_EMPTY: tuple[Any, ...] = (None, "", {}, [])
# What the v1 client writes for an environment that says nothing of its own (FACTS §2.4).
_V1_USUAL: Mapping[str, Mapping[str, Any]] = {
    "docker": {"shmSize": "2g", "sharedVolumes": True, "enabled": False, "gpuSupport": False},
    "python": {"interpreterPath": "python"},
    "platform": {"os": "Linux", "architecture": "amd64"},
}
_V1_DOCKER = ("enabled", "sharedVolumes", "shmSize", "arguments", "gpuSupport")


def content_key(
    definition: EnvironmentDefinition, default_base: ImageReference, platform: str | None, main: bytes
) -> str:
    """Return `sha256:` and 64 hex digits, equal for equal definitions; `main` has the bytes of the main file."""
    text = identify(definition, default_base, None, platform=platform).named_text
    running = _RUNNING[definition.format](main, definition.file) if definition.format in _RUNNING else {}
    said = json.dumps(running, sort_keys=True) if running else ""
    return "sha256:" + sha256(f"{text}\0{said}".encode("utf-8", "surrogatepass")).hexdigest()


def environment_variables(definition: EnvironmentDefinition, main: bytes) -> dict[str, str]:
    """Return the variables that a v1 definition sets when it runs; other formats have none."""
    if definition.format is not Format.AZUREML_V1:
        return {}
    value = read_json(main, definition.file).value.get("environmentVariables")
    return {str(key): str(text) for key, text in value.items()} if isinstance(value, dict) else {}


def credentials_of_run(definition: EnvironmentDefinition, main: bytes) -> Iterator[Credential]:
    """Yield what looks like a secret among those variables."""
    variables = environment_variables(definition, main)
    if variables:
        document = read_json(main, definition.file)
        yield from in_variables(variables, definition.file, lambda key: document.mark("environmentVariables", key)[0])


def _of_v1(main: bytes, file: str) -> dict[str, Any]:
    value = read_json(main, file).value
    docker = value.get("docker") if isinstance(value.get("docker"), dict) else {}
    python = value.get("python") if isinstance(value.get("python"), dict) else {}
    databricks = value.get("databricks") if isinstance(value.get("databricks"), dict) else {}
    said = {
        "environmentVariables": value.get("environmentVariables"),
        "inferencingStackVersion": value.get("inferencingStackVersion"),
        "databricks": _unusual(databricks, {}),
        "docker": _unusual({key: docker.get(key) for key in _V1_DOCKER}, _V1_USUAL["docker"]),
        "python": _unusual({"interpreterPath": python.get("interpreterPath")}, _V1_USUAL["python"]),
        "platform": _unusual(docker.get("platform") or {}, _V1_USUAL["platform"]),
    }
    return _unusual(said, {})


def _of_v2(main: bytes, file: str) -> dict[str, Any]:
    value = read_yaml(main, file).value
    said = {"inference_config": value.get("inference_config"), "os_type": str(value.get("os_type", "linux")).lower()}
    return _unusual(said, {"os_type": "linux"})


def _unusual(said: Any, usual: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(said, dict):
        return {"": said}
    return {key: value for key, value in said.items() if value not in _EMPTY and value != usual.get(key)}


_RUNNING: Mapping[Format, Callable[[bytes, str], dict[str, Any]]] = {
    Format.AZUREML_V1: _of_v1,
    Format.AZUREML_V2: _of_v2,
}
