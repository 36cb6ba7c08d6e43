import time

import pytest

from envkiln.cache.definition import Format
from envkiln.cache.errors import DefinitionError
from envkiln.cache.formats import choose, environment_file, read_definition, referenced_definitions, refusal, sniff
from envkiln.cache.source import MemoryTree, RecordingTree

CONDA = b"name: a\nchannels: [defaults]\ndependencies:\n- python=3.11\n"
V2 = b"$schema: https://azuremlschemas.azureedge.net/latest/environment.schema.json\nname: a\nimage: ubuntu:22.04\n"


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("env.yml", CONDA, Format.CONDA),
        ("anything.yml", CONDA, Format.CONDA),
        ("anything.yaml", CONDA, Format.CONDA),
        ("ANYTHING.YML", CONDA, Format.CONDA),
        ("gpu.yml", b"dependencies:\n- python\n- 3.10\n- pip:\n  - a\n- sel(linux): b\n", Format.CONDA),
        ("gpu.yml", b"chanels: [a]\ndependencies: [python]\n", Format.CONDA),
        ("gpu.yaml", b"chanels: [a]\ndependencies: [python]\n", None),
        ("Chart.yaml", b"apiVersion: v2\ndependencies:\n- name: redis\n  version: 1\n", None),
        ("meta.yml", b"galaxy_info: {}\ndependencies: []\n", None),
        ("main.yml", b"dependencies:\n- common\n", None),
        ("environment.yml", b"apiVersion: v1\nkind: ConfigMap\n", None),
        ("compose.yml", b"services:\n  a:\n    image: b\n    build: .\n", None),
        ("ci.yml", b"on: push\njobs: {}\n", None),
        ("env.yml", b"", Format.CONDA),
        ("env.yml", b"name: a\nchannels: [b]\n", Format.CONDA),
        ("env.yml", b"dependencies:\n", Format.CONDA),
        ("env.yml", b"dependencies:\n- [six]\n", Format.CONDA),
        ("other.yml", b"dependencies:\n- [six]\n", None),
        ("other.yml", b"", None),
        ("other.yml", b"name: a\nchannels: [b]\n", None),
        ("broken.yml", b"dependencies:\n- [\n", Format.CONDA),
        ("broken.yml", b"image: a\nconda_file: {\n", Format.AZUREML_V2),
        ("broken.yml", b"  dependencies:\n- [\n", None),
        ("broken.yml", b"a: [\n", None),
        ("env.yml", CONDA.decode().encode("utf-16"), Format.CONDA),
        ("gpu.yml", CONDA.decode().encode("utf-16"), Format.CONDA),
        ("any.yml", V2, Format.AZUREML_V2),
        ("any.yml", b"image: a\nconda_file: b.yml\n", Format.AZUREML_V2),
        ("any.yml", b"image: a\nname: b\n", None),
        ("env.yml", b"image: a\nname: b\n", Format.AZUREML_V2),
        ("environment.yaml", b"name: a\nbuild: {path: .}\n", Format.AZUREML_V2),
        ("environment.yaml", b"image: {name: a}\n", None),
        ("env.yml", b"image: a\ndependencies: [python]\n", Format.CONDA),
        ("job.yml", b"$schema: https://a/commandJob.schema.json\nenvironment:\n  conda_file: a\n  image: b\n", None),
        ("requirements.txt", b"", Format.REQUIREMENTS),
        ("requirements-dev.txt", b"numpy", Format.REQUIREMENTS),
        ("dev-requirements.txt", b"numpy", Format.REQUIREMENTS),
        ("notes.txt", b"numpy", None),
        ("Dockerfile", b"", Format.DOCKERFILE),
        ("gpu.Dockerfile", b"", Format.DOCKERFILE),
        ("Dockerfile.gpu", b"", Format.DOCKERFILE),
        ("azureml_environment.json", b"", Format.AZUREML_V1),
        ("other.json", b"{}", None),
    ],
)
def test_a_file_is_told_by_its_name_and_content(name: str, data: bytes, kind: Format | None) -> None:
    assert sniff(name, data) is kind


def test_the_most_specific_definition_of_a_directory_is_its_main_file() -> None:
    everything = [
        ("requirements.txt", Format.REQUIREMENTS),
        ("conda.yml", Format.CONDA),
        ("env.yml", Format.CONDA),
        ("Dockerfile", Format.DOCKERFILE),
        ("environment.yml", Format.AZUREML_V2),
        ("azureml_environment.json", Format.AZUREML_V1),
    ]
    chosen = []
    while everything:
        main = choose(everything)
        chosen.append(main)
        everything = [(name, kind) for name, kind in everything if name != main]
    assert chosen == [
        "azureml_environment.json",
        "environment.yml",
        "Dockerfile",
        "env.yml",
        "conda.yml",
        "requirements.txt",
    ]
    assert choose([]) is None
    assert choose([("other.yml", Format.CONDA)]) is None


def test_the_environment_file_of_a_directory_is_found_by_content() -> None:
    tree = MemoryTree(
        {
            "a/env.yml": CONDA,
            "a/Dockerfile": b"FROM a\n",
            "b/env.yml": V2,
            "b/Dockerfile": b"FROM a\n",
            "c/environment.yml": b"apiVersion: v1\n",
            "c/requirements.txt": b"",
            "d/readme": b"",
        }
    )
    found = {name: environment_file(tree, name) for name in "abcd"}
    assert found == {"a": "a/Dockerfile", "b": "b/env.yml", "c": "c/requirements.txt", "d": None}
    assert environment_file(MemoryTree({"env.yml": CONDA}), "") == "env.yml"


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("d.yml", b"$schema: https://a/managedOnlineDeployment.schema.json\n", "managed online deployment"),
        ("d.json", b'{"$schema": "https://a/deploymentTemplate.json#"}', "Azure Resource Manager"),
        ("x/environment.yml", b"apiVersion: v1\n", "Kubernetes"),
        ("x.yml", b"dependencies:\n- name: a\n", "mappings other than"),
        ("x.yaml", b"dependencies: [a]\nother: 1\n", "keys that conda does not know"),
        ("x.yml", b"dependencies: {a: 1}\n", "no list"),
        ("x.yml", b"a: 1\n", "neither"),
        ("x.yml", b"# only a comment\n", "empty"),
        ("x.txt", b"@EXPLICIT\nhttps://a\n", "explicit list"),
        ("x.py", b"print()\n", "not an environment"),
        ("x.yml", b"a: [\n", "expected"),
    ],
)
def test_a_file_that_is_no_definition_is_refused_with_what_it_is(name: str, data: bytes, says: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        read_definition(MemoryTree({name: data}), name)
    assert says in caught.value.message
    assert caught.value.hint
    assert caught.value.file == name
    assert refusal(name, data).message == caught.value.message


@pytest.mark.parametrize(
    "path", ["gone.yml", "env.yml", "requirements.txt", "azureml_environment.json", "x/Dockerfile"]
)
def test_a_missing_main_file_is_a_definition_error(path: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        read_definition(MemoryTree({}), path)
    assert caught.value.hint


@pytest.mark.parametrize("path", ["a.yml", "requirements.txt", "azureml_environment.json", "Dockerfile", "env.yml"])
@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), IsADirectoryError(21, "Is a directory")])
def test_an_unreadable_main_file_is_a_definition_error(path: str, error: OSError) -> None:
    class Broken(MemoryTree):
        def read(self, path: str) -> bytes:  # noqa: ARG002
            raise error

    with pytest.raises(DefinitionError) as caught:
        read_definition(Broken({path: b""}), path)
    assert caught.value.hint


def test_a_definition_tells_what_it_consumes() -> None:
    tree = RecordingTree(
        MemoryTree(
            {
                "e/env.yml": b"name: a\nbuild: {path: ctx}\n",
                "e/ctx/Dockerfile": b"FROM a\n",
                "e/ctx/env.yml": CONDA,
            }
        )
    )
    definition = read_definition(tree, "e/env.yml")
    assert referenced_definitions(definition) == {"e/ctx"}
    assert {"e/env.yml", "e/ctx/Dockerfile", "e/ctx/env.yml"} <= tree.files
    assert "e/ctx" in tree.directories


def test_a_conda_file_that_a_v2_environment_names_is_noted() -> None:
    tree = RecordingTree(MemoryTree({"e.yml": b"name: a\nimage: b\nconda_file: c/env.yml\n", "c/env.yml": CONDA}))
    read_definition(tree, "e.yml")
    assert tree.files == {"e.yml", "c/env.yml"}


def test_a_megabyte_of_empty_lines_is_told_apart_at_once() -> None:
    """Minutes, if the time grew with the square of the lines."""
    started = time.monotonic()
    assert sniff("notes.yml", b"\n" * 1_000_000) is None
    assert sniff("notes.yml", b" {\r\n" * 250_000) is None
    assert time.monotonic() - started < 20
