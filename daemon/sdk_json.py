"""An environment as JSON and in a directory: what `save_to_directory` of the v1 client writes (FACTS §2.4, §2.5)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envkiln.cache.format_azureml_v1 import BASE_DOCKERFILE, CONDA_FILE
from envkiln.cache.formats import AZUREML_V1_NAME
from envkiln.daemon.sdk_conda import CondaDependencies
from envkiln.daemon.sdk_element import to_plain
from envkiln.daemon.sdk_errors import UserErrorException
from envkiln.daemon.sdk_packages import is_python

if TYPE_CHECKING:
    from envkiln.daemon.sdk_environment import Environment

_NEW: Mapping[str, Any] = {
    "version": None,
    "environmentVariables": {},
    "r": None,
    "inferencingStackVersion": None,
    "assetId": None,
}
_NEW_DOCKER: Mapping[str, Any] = {"baseImage": None, "shmSize": None}


def as_plain(environment: "Environment") -> dict[str, Any]:
    """Return an environment as JSON has it, in the order in which it is written."""
    plain: dict[str, Any] = to_plain(environment)
    conda = environment.python.conda_dependencies
    del plain["python"]["condaDependencies"]
    if conda is not None:
        plain["python"]["condaDependencies"] = conda.as_dict()
    return plain


def with_defaults(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the client takes for written where a JSON leaves it out: no base image, no variables."""
    docker = value.get("docker") or {}
    return {**_NEW, **value, "docker": {**_NEW_DOCKER, **docker}}


def files_of(environment: "Environment") -> dict[str, str]:
    """Return the texts that stand for an environment, by the names of their files."""
    plain = as_plain(environment)
    files: dict[str, str] = {}
    conda = environment.python.conda_dependencies
    if conda is not None:
        del plain["python"]["condaDependencies"]
        files[CONDA_FILE] = conda.serialize_to_string()
    if environment.docker.base_dockerfile is not None:
        del plain["docker"]["baseDockerfile"]
        files[BASE_DOCKERFILE] = environment.docker.base_dockerfile
    files[AZUREML_V1_NAME] = json.dumps(plain, indent=4)
    return files


def write_directory(environment: "Environment", path: Path, *, overwrite: bool) -> None:
    """Write the files of an environment; raises FileExistsError for a directory that is there, unless `overwrite`.

    A conda specification has to have Python, also where it is not used: UserErrorException.
    """
    conda = environment.python.conda_dependencies
    if conda is not None and not any(is_python(item) for item in conda.conda_packages):
        hint = "name a version in the specification, such as python=3.10"
        raise UserErrorException("Python package is missing.", hint=hint)
    files = files_of(environment)
    path.mkdir(parents=True, exist_ok=overwrite)
    for name, text in files.items():
        (path / name).write_text(text, encoding="utf-8", newline="")


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
