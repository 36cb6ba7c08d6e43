"""`Environment` and the client's: the same calls have the same results, the same errors, and warn in the same words."""

from typing import Any

import pytest
from environment_cases import (
    built_from_context,
    cloned,
    context_of_directory,
    image_details,
    loaded,
    made,
    made_of_open_file,
    new,
    saved,
    set_on,
    unknown_attribute,
    with_registry,
    with_sections,
    written,
)
from witness import Case, Witness, ours, same_as_ours

from envkiln.daemon import azureml_sdk

Calls = list[tuple[Case, list[Any]]]
FROM_CONDA, FROM_PIP = "from_conda_specification", "from_pip_requirements"
FROM_IMAGE, FROM_DOCKERFILE = "from_docker_image", "from_dockerfile"
MADE: tuple[tuple[str, dict[str, Any]], ...] = (
    *((FROM_CONDA, {"file_path": path}) for path in ("env.yml", "no-python.yml", "broken.yml", "missing.yml", None)),
    (FROM_PIP, {"file_path": "requirements.txt"}),
    (FROM_PIP, {"file_path": "requirements.txt", "pip_version": "20.1"}),
    (FROM_PIP, {"file_path": "missing.txt"}),
    (FROM_IMAGE, {"image": "base:1"}),
    (FROM_IMAGE, {"image": None}),
    (FROM_IMAGE, {"image": "base", "conda_specification": "env.yml"}),
    (FROM_IMAGE, {"image": "base", "conda_specification": "no-python.yml"}),
    (FROM_IMAGE, {"image": "base", "pip_requirements": "requirements.txt"}),
    (FROM_IMAGE, {"image": "base", "conda_specification": "env.yml", "pip_requirements": "requirements.txt"}),
    (FROM_DOCKERFILE, {"dockerfile": "FROM base\nRUN true"}),
    (FROM_DOCKERFILE, {"dockerfile": "Dockerfile"}),
    (FROM_DOCKERFILE, {"dockerfile": "FROM base", "conda_specification": "env.yml"}),
    (FROM_DOCKERFILE, {"dockerfile": "FROM base", "pip_requirements": "requirements.txt"}),
    (FROM_DOCKERFILE, {"dockerfile": "FROM base", "conda_specification": "env.yml", "pip_requirements": "x"}),
)
SET: tuple[list[list[Any]], ...] = (
    [["docker.base_dockerfile", "FROM x"], ["docker.base_image", "y"]],
    [["docker.base_image", None], ["docker.base_dockerfile", "FROM x"], ["docker.base_dockerfile", None]],
    [["docker.enabled", True], ["docker.arguments", ["--x"]], ["docker.shm_size", "4g"]],
    [["docker.shared_volumes", False]],
    [["environment_variables", {"A": "b"}]],
    [["environment_variables", None], ["version", "3"], ["name", "y"]],
    [["python.user_managed_dependencies", True], ["python.interpreter_path", "/opt/python"]],
    [["python.conda_dependencies_file", "env.yml"]],
    [["spark.precache_packages", False], ["inferencing_stack_version", "latest"]],
    [["docker.platform.architecture", "arm64"], ["docker.base_image_registry.address", "example.azurecr.io"]],
)
PARTS = (
    *("Environment", "DockerSection", "PythonSection", "SparkSection", "SparkPackage", "RSection", "RCranPackage"),
    *("RGitHubPackage", "ContainerRegistry", "DatabricksSection", "MavenLibrary"),
)
LOADED: tuple[dict[str, str], ...] = (
    {"azureml_environment.json": '{"name": "a", "version": "3"}'},
    {"azureml_environment.json": '{"name": "a", "docker": {"baseImage": "x"}, "foo": 1}'},
    {"azureml_environment.json": '{"name": "a", "python": {"userManagedDependencies": true}}'},
    {
        "azureml_environment.json": '{"name": "a", "docker": {"baseImage": "x"}, "python": {}}',
        "conda_dependencies.yml": "dependencies: [python=3.9]\n",
        "BaseDockerfile": "FROM y\r\n",
    },
    {"azureml_environment.json": '{"name": "a", "spark": {"packages": [{"group": "g"}]}, "r": {"rVersion": "3"}}'},
    {"azureml_environment.json": "{"},
    {},
)


def test_constructors(azureml_core: Witness) -> None:
    calls: Calls = [(made, [constructor, {"name": "x", **given}]) for constructor, given in MADE]
    calls += [(made_of_open_file, []), (with_registry, []), *((new, [name]) for name in ("x", 3, None, ""))]
    same_as_ours(azureml_core, calls)


def test_build_contexts(azureml_core: Witness) -> None:
    calls: Calls = [(built_from_context, ["git", "https://x"]), (built_from_context, ["storageAccount", "y", "d/D"])]
    calls += [(context_of_directory, [path]) for path in ("missing", "empty", "env.yml")]
    same_as_ours(azureml_core, calls)


def test_attributes(azureml_core: Witness) -> None:
    calls: Calls = [(set_on, [assignments]) for assignments in SET]
    calls += [(unknown_attribute, [part]) for part in PARTS]
    same_as_ours(azureml_core, [*calls, (with_sections, [])])


def test_clone(azureml_core: Witness) -> None:
    same_as_ours(azureml_core, [(cloned, [name]) for name in ("y", None, "")])


@pytest.mark.parametrize("overwrite", [None, False, True])
def test_save_to_directory(azureml_core: Witness, overwrite: bool | None) -> None:
    kinds = ("new", "sections", "conda", "dockerfile", "image", "context", "no python")
    same_as_ours(azureml_core, [(saved, [kind, overwrite]) for kind in kinds])


def test_load_from_directory(azureml_core: Witness) -> None:
    same_as_ours(azureml_core, [(loaded, [files]) for files in LOADED])


def test_image_details(azureml_core: Witness) -> None:
    registry = {"address": "example.azurecr.io", "username": "username", "password": "hidden"}
    details: dict[str, Any] = {
        "imageExistsInRegistry": True,
        "dockerImage": {"name": "azureml/azureml_x", "registry": registry},
        "pythonEnvironment": {"interpreterPath": "/p", "condaEnvironmentPath": "/e", "condaEnvironmentName": "n"},
        "ingredients": {"dockerfile": "FROM base"},
    }
    same_as_ours(azureml_core, [(image_details, [it]) for it in (details, {**details, "ingredients": None})])


def test_each_loads_what_the_other_has_saved(azureml_core: Witness) -> None:
    kinds = ("conda", "pip", "dockerfile", "image", "sections")
    by_us = [ours(written, azureml_sdk, [kind]).value for kind in kinds]
    by_them = [outcome.value for outcome in azureml_core.tell([(written, [kind]) for kind in kinds])]
    read_by_them = azureml_core.tell([(loaded, [files]) for files, _ in by_us])
    for (files, ours_told), (others, theirs_told), theirs in zip(by_us, by_them, read_by_them, strict=True):
        assert files.keys() == others.keys()
        assert theirs.value[1] == ours_told
        assert ours(loaded, azureml_sdk, [others]).value[1] == theirs_told
        assert ours_told == theirs_told
