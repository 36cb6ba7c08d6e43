import json
from typing import Any

import pytest

from envkiln.cache.definition import EnvironmentDefinition, Format, SparkSection
from envkiln.cache.errors import DefinitionError
from envkiln.cache.formats import read_definition
from envkiln.cache.names import conda_environment_name
from envkiln.cache.source import MemoryTree

# What save_to_directory of azureml-core 1.61.0.post4 writes (FACTS §2.4, §2.5).
SAVED: dict[str, Any] = {
    "name": "myenv",
    "version": None,
    "environmentVariables": {"EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"},
    "python": {
        "userManagedDependencies": False,
        "interpreterPath": "python",
        "condaDependenciesFile": None,
        "baseCondaEnvironment": None,
    },
    "docker": {
        "enabled": False,
        "baseImage": "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1",
        "baseDockerfile": None,
        "buildContext": None,
        "sharedVolumes": True,
        "shmSize": "2g",
        "arguments": [],
        "baseImageRegistry": {"address": None, "username": None, "password": None, "registryIdentity": None},
        "platform": {"os": "Linux", "architecture": "amd64"},
    },
    "spark": {"repositories": [], "packages": [], "precachePackages": True},
    "databricks": {"mavenLibraries": [], "pypiLibraries": [], "rcranLibraries": [], "jarLibraries": []},
    "r": None,
    "inferencingStackVersion": None,
    "assetId": None,
}
CONDA = b"""# Conda environment specification.
name: project_environment
dependencies:
  # The python interpreter version.
- python=3.8.13

- pip:
  - azureml-defaults
channels:
- anaconda
- conda-forge
"""


def saved(**sections: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(json.dumps(SAVED))
    for name, content in sections.items():
        value[name] = {**value[name], **content} if isinstance(value.get(name), dict) else content
    return value


def read(value: Any, conda: bytes | None = CONDA, dockerfile: bytes | None = None) -> EnvironmentDefinition:
    text = value if isinstance(value, bytes) else json.dumps(value, indent=4).encode()
    files = {"e/azureml_environment.json": text}
    if conda is not None:
        files["e/conda_dependencies.yml"] = conda
    if dockerfile is not None:
        files["e/BaseDockerfile"] = dockerfile
    return read_definition(MemoryTree(files), "e/azureml_environment.json")


def refused(value: Any, conda: bytes | None = CONDA, dockerfile: bytes | None = None) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        read(value, conda, dockerfile)
    assert caught.value.hint
    return caught.value


def test_a_saved_environment_is_read() -> None:
    definition = read(SAVED)
    assert definition.format is Format.AZUREML_V1
    assert definition.declared_name == "myenv"
    assert str(definition.base_image) == "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1"
    assert definition.base_dockerfile is None
    assert definition.conda is not None
    # Predicted in FACTS §1.1.
    assert conda_environment_name(definition.conda.canonical) == "azureml_f3f7e6c5fb83d94df23933000bf02da3"
    assert definition.spark == SparkSection()
    assert definition.warnings == ()


def test_the_conda_specification_can_be_inline() -> None:
    definition = read(saved(python={"condaDependencies": {"dependencies": ["python=3.9"]}}), conda=None)
    assert definition.conda is not None
    assert definition.conda.canonical == "dependencies:\n- python=3.9\nname: ''\n"


def test_the_file_wins_over_the_inline_specification() -> None:
    assert read(saved(python={"condaDependencies": {"dependencies": ["python=3.9"]}})).conda == read(SAVED).conda


def test_a_user_managed_environment_has_no_conda_part() -> None:
    assert read(saved(python={"userManagedDependencies": True})).conda is None
    assert read(saved(python={"userManagedDependencies": True}), conda=None).conda is None


def test_the_base_dockerfile_beside_the_json_is_the_base() -> None:
    definition = read(saved(docker={"baseImage": None}), dockerfile=b"FROM ubuntu\r\nRUN a\r\n")
    assert definition.base_dockerfile == "FROM ubuntu\nRUN a\n"
    assert definition.base_image is None
    assert definition.warnings == ()


def test_a_stale_base_dockerfile_wins_as_in_the_client_and_is_warned_about() -> None:
    definition = read(SAVED, dockerfile=b"FROM ubuntu\n")
    assert definition.base_dockerfile == "FROM ubuntu\n"
    assert definition.base_image is None
    (warning,) = definition.warnings
    assert "replaces baseImage" in warning


def test_an_inline_base_dockerfile_is_the_base() -> None:
    assert read(saved(docker={"baseImage": None, "baseDockerfile": "FROM a"})).base_dockerfile == "FROM a"


def test_spark_packages_become_coordinates() -> None:
    package = {"group": "com.a", "artifact": "b_2.12", "version": "1.0"}
    spark = read(saved(spark={"repositories": ["https://r"], "packages": [package], "precachePackages": False})).spark
    assert spark == SparkSection(("https://r",), ("com.a:b_2.12:1.0",), precache=False)


def test_what_is_ignored_is_warned_about() -> None:
    warnings = read(saved(r={"rVersion": "3.6"}, foo=1, docker={"bar": 1})).warnings
    assert len(warnings) == 3
    assert any("R section is deprecated" in warning for warning in warnings)
    assert any("'foo'" in warning for warning in warnings)
    assert any("'bar'" in warning for warning in warnings)


def test_no_base_image_means_the_configured_one() -> None:
    definition = read({"name": "a", "python": {"userManagedDependencies": True}})
    assert definition.base_image is None
    assert definition.base_dockerfile is None
    assert len(definition.warnings) == 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"name": "a", "version": "1"}, "this refers to a registered environment"),
        ([], "the environment must be a JSON object"),
        (saved(docker={"baseDockerfile": "FROM a"}), "Too many Docker options"),
        (saved(docker={"baseImage": "UPPER"}), "'UPPER' is not an image reference"),
        (saved(docker={"baseImage": 1}), "`baseImage` must be a text or null"),
        (saved(docker={"baseImage": None, "baseDockerfile": " "}), "the base Dockerfile is empty"),
        (saved(docker={"buildContext": {"locationType": "git"}}), "the build context is remote (git)"),
        (saved(docker={"buildContext": {"locationType": "storageAccount"}}), "the build context is remote (storage"),
        (saved(python={"userManagedDependencies": "true"}), "`userManagedDependencies` must be true or false"),
        (saved(spark={"packages": [{"group": "a"}]}), "a Spark package needs group, artifact and version"),
        (saved(spark={"packages": {}, "repositories": "a"}), "`repositories` must be a list of texts"),
        ({**SAVED, "docker": []}, "`docker` must be a JSON object"),
        ({**SAVED, "name": 1}, "`name` must be a text"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(value: Any, message: str) -> None:
    error = refused(value)
    assert error.message.startswith(message)
    assert error.file == "e/azureml_environment.json"
    assert error.line is not None


def test_a_place_is_the_line_in_the_json() -> None:
    lines = json.dumps(saved(docker={"baseImage": "UPPER"}), indent=4).splitlines()
    error = refused(saved(docker={"baseImage": "UPPER"}))
    assert '"baseImage": "UPPER"' in lines[(error.line or 0) - 1]


@pytest.mark.parametrize("python", [{}, {"condaDependencies": None}])
def test_a_missing_conda_specification_is_an_error(python: dict[str, Any]) -> None:
    error = refused(saved(python=python), conda=None)
    assert error.message.startswith("Missing conda dependencies")


def test_an_unknown_key_of_the_conda_file_is_an_error_there() -> None:
    error = refused(SAVED, conda=b"dependencies: [a]\nfoo: 1\n")
    assert error.message == "Environment error: unknown foo key in environment specification"
    assert (error.file, error.line) == ("e/conda_dependencies.yml", 2)


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b'{\n  "name": }', "e/azureml_environment.json:2:11"),
        (b'{"name": "a",\n "name": "b"}', "e/azureml_environment.json:2:2"),
        (b'{"name": NaN}', "e/azureml_environment.json"),
        (b"[" * 100_000, "e/azureml_environment.json"),
        (b"", "e/azureml_environment.json:1:1"),
        (b"\xff\xfe{\0}\0", "e/azureml_environment.json:1:1"),
    ],
)
def test_json_that_cannot_be_used_is_refused_with_its_place(data: bytes, place: str) -> None:
    assert refused(data).place == place
