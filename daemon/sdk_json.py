"""An environment as JSON and in a directory: what `save_to_directory` of the v1 client writes (FACTS §2.4, §2.5)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envkiln.cache.format_azureml_v1 import BASE_DOCKERFILE, CONDA_FILE
from envkiln.cache.formats import AZUREML_V1_NAME
from envkiln.daemon.sdk_conda import CondaDependencies
from envkiln.daemon.sdk_element import Element, to_plain
from envkiln.daemon.sdk_errors import UserErrorException
from envkiln.daemon.sdk_packages import is_python
from envkiln.daemon.sdk_specification import specification_text
from envkiln.daemon.whole_file import write_whole

_NEW: Mapping[str, Any] = {
    "version": None,
    "environmentVariables": {},
    "r": None,
    "inferencingStackVersion": None,
    "assetId": None,
}
_NEW_DOCKER: Mapping[str, Any] = {"baseImage": None, "shmSize": None}


def as_plain(environment: Element) -> dict[str, Any]:
    """Return an environment as JSON has it, in the order in which it is written."""
    plain: dict[str, Any] = to_plain(environment)
    conda = plain["python"].pop("condaDependencies")
    if conda is not None:
        plain["python"]["condaDependencies"] = conda.as_dict()
    return plain


def with_defaults(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the client takes for written where a JSON leaves it out: no base image, no variables."""
    docker = value.get("docker") or {}
    return {**_NEW, **value, "docker": {**_NEW_DOCKER, **docker}}


def write_directory(plain: Mapping[str, Any], path: Path, *, overwrite: bool) -> None:
    """Write the files of an environment; raises FileExistsError for a directory that is there, unless `overwrite`.

    A conda specification has to have Python, also where it is not used: UserErrorException.
    """
    python, docker = dict(plain["python"]), dict(plain["docker"])
    files: dict[str, str] = {}
    if "condaDependencies" in python:
        conda = python.pop("condaDependencies")
        if not any(is_python(item) for item in conda.get("dependencies", ())):
            hint = "name a version in the specification, such as python=3.10"
            raise UserErrorException("Python package is missing.", hint=hint)
        files[CONDA_FILE] = specification_text(conda)
    if docker["baseDockerfile"] is not None:
        files[BASE_DOCKERFILE] = docker.pop("baseDockerfile")
    files[AZUREML_V1_NAME] = json.dumps({**plain, "python": python, "docker": docker}, indent=4)
    path.mkdir(parents=True, exist_ok=overwrite)
    for name, text in files.items():
        write_whole(path / name, text.encode())


def read_directory(path: Path) -> dict[str, Any]:
    """Return the environment in a directory as JSON has it; raises FileNotFoundError where there is none.

    A `conda_dependencies.yml` beside the JSON counts, whatever the JSON says.
    """
    main = path / AZUREML_V1_NAME
    if not main.is_file():
        raise FileNotFoundError(str(main))
    value = json.loads(main.read_text(encoding="utf-8"))
    if not isinstance(value, dict):
        raise UserErrorException(f"{main} is not an environment", hint="write it with save_to_directory")
    conda = path / CONDA_FILE
    if conda.is_file():
        python = value.get("python") or {}
        value["python"] = {**python, "condaDependencies": CondaDependencies(conda).as_dict()}
    return value


def read_base_dockerfile(path: Path) -> str | None:
    """Return the `BaseDockerfile` beside the JSON, with LF line ends; it takes the place of a base image."""
    file = path / BASE_DOCKERFILE
    return file.read_text(encoding="utf-8") if file.is_file() else None
