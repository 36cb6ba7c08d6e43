"""Cases: a directory of a v1 environment, read by azureml-core."""

from pathlib import Path
from typing import Any


def from_directory(client: Any, files: dict[str, str]) -> dict[str, Any]:
    """What `load_from_directory` makes of `files`."""
    for name, text in files.items():
        path = Path("saved") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    environment = client.Environment.load_from_directory("saved")
    managed = environment.python.user_managed_dependencies
    return {
        "name": environment.name,
        "version": environment.version,
        "base_image": environment.docker.base_image,
        "base_dockerfile": environment.docker.base_dockerfile,
        "conda": None if managed else environment.python.conda_dependencies.as_dict(),
        "variables": dict(environment.environment_variables),
        "shm_size": environment.docker.shm_size,
        "spark": [package.artifact for package in environment.spark.packages],
    }
