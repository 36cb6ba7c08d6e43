"""Registered versions for tests, with defaults for everything that a test does not talk about."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from envkiln.cache.definition import Format
from envkiln.cache.registered_version import RegisteredVersion, StoredFile
from envkiln.daemon.workspace import Workspace

IMAGE = "azureml/azureml_" + "a" * 32
OTHER_IMAGE = "azureml/azureml_" + "b" * 32
TEXT = "dependencies:\n- python=3.11\n"

VERSION = RegisteredVersion(
    name="pytorch",
    version=1,
    image=IMAGE,
    content="sha256:" + "c" * 64,
    recipe="azureml/1",
    format=Format.CONDA,
    main="env.yml",
    files=(StoredFile("env.yml", TEXT),),
    conda_environment="azureml_" + "d" * 32,
    base_image="base:1@sha256:" + "1" * 64,
)


def version(name: str = "pytorch", number: int = 1, image: str = IMAGE, **others: Any) -> RegisteredVersion:
    """Return a version with its own image, one file, and `others` as they are said."""
    return replace(VERSION, name=name, version=number, image=image, **others)


def workspace_of(path: Path, *versions: RegisteredVersion) -> Workspace:
    """Return a workspace in `path` that holds `versions`."""
    workspace = Workspace.create(path)
    with workspace.locked():
        for each in versions:
            workspace._write(each)
    return workspace
