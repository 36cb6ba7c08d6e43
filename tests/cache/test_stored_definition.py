"""What is registered has the names that its files have, and is read back with the same ones."""

import json
from io import BytesIO
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envkiln.cache.content_key import content_key, environment_variables
from envkiln.cache.definition import ImageReference
from envkiln.cache.errors import DefinitionError
from envkiln.cache.formats import read_definition
from envkiln.cache.identity import identify
from envkiln.cache.registered_version import RegisteredVersion, VersionError
from envkiln.cache.source import MemoryTree
from envkiln.cache.stored_definition import Altered, Candidate, Naming, candidate_of, read_version
from envkiln.cache.stored_tree import StoredTree
from envkiln.cache.version_file import decode_version, encode_version

BASE = ImageReference("base", "1")
DIGEST = "sha256:" + "1" * 64
NAMING = Naming(BASE, lambda _: DIGEST)
CONDA = b"name: pytorch\ndependencies:\n- python=3.11\n"
WITH_VARIABLE = """{"python": {"userManagedDependencies": true}, "docker": {"baseImage": "base:1"},
"environmentVariables": {"API_TOKEN": "hush-hush"}}"""
V1 = b'{"name": "pytorch", "docker": {"baseImage": "base:1"}%s}'

TREES: dict[str, dict[str, bytes]] = {
    "a/env.yml": {
        "a/env.yml": CONDA + b"- pip:\n  - -r more.txt\n",
        "a/more.txt": b"numpy\n-c limits.txt\n",
        "a/limits.txt": b"numpy<3\n",
    },
    "env.yml": {
        "env.yml": CONDA + b"- pip:\n  - ./wheels/a-1-py3-none-any.whl\n",
        "wheels/a-1-py3-none-any.whl": b"PK\x03\x04\x00",
    },
    "a/requirements.txt": {"a/requirements.txt": b"numpy\r\n# why\r\n"},
    "a/b/aml.yml": {"a/b/aml.yml": b"name: v2\nimage: base:1\nconda_file: ../conda.yml\n", "a/conda.yml": CONDA},
    "a/azureml_environment.json": {
        "a/azureml_environment.json": V1 % b"",
        "a/conda_dependencies.yml": CONDA,
        "a/BaseDockerfile": b"FROM base:1\n",
    },
    "c/Dockerfile": {
        "c/Dockerfile": b"FROM base:1\nCOPY . /\n",
        "c/.dockerignore": b"*.log\n",
        "c/a.log": b"no",
        "c/sub/run.sh": b"#!/bin/sh\n",
        "c/data.bin": b"\x00\xff",
        "c/sub/ä.txt": b"x",
    },
    "d/aml.yml": {
        "d/aml.yml": b"$schema: https://x/environment.schema.json\nname: v2\nbuild:\n  path: ctx\n",
        "d/ctx/Dockerfile": b"FROM base:1\n",
    },
}


def candidate(files: dict[str, bytes], main: str, naming: Naming = NAMING) -> Candidate:
    tree = MemoryTree(files, executable=frozenset(path for path in files if path.endswith(".sh")))
    return candidate_of(tree, main, naming, name="it")


def loader(files: dict[str, bytes]) -> dict[str, bytes]:
    tree = MemoryTree(files)
    return {tree.digest(path): data for path, data in files.items()}


def version_of(text: str, main: str = "env.yml", naming: Naming = NAMING) -> RegisteredVersion:
    return candidate({main: text.encode()}, main, naming).version


@pytest.mark.parametrize("main", TREES)
def test_every_format_is_read_back_from_its_version_with_the_names_it_had(main: str) -> None:
    files = TREES[main]
    tree = MemoryTree(files, executable=frozenset(path for path in files if path.endswith(".sh")))
    definition = read_definition(tree, main)
    movable = definition.context is None and definition.base_dockerfile is None
    identity = identify(definition, BASE, DIGEST if movable else None)
    written = candidate(files, main).version
    stored = loader(files)

    def load(digest: str) -> BinaryIO:
        return BytesIO(stored[digest])

    _, again = read_version(decode_version(encode_version(written), "1.yml"), load)
    assert (again.image, again.conda_environment) == (identity.image, identity.conda_environment)
    assert (written.image, written.recipe) == (identity.image, identity.recipe)


def test_files_that_the_ignore_file_leaves_out_are_not_stored() -> None:
    paths = [file.path for file in candidate(TREES["c/Dockerfile"], "c/Dockerfile").version.files]
    assert "a.log" not in paths
    assert paths[0] == ".dockerignore"


def test_what_is_edited_by_hand_is_refused_when_it_is_used() -> None:
    written = version_of(CONDA.decode())
    edited = encode_version(written).replace(b"python=3.11", b"python=3.12")
    with pytest.raises(Altered, match="was registered"):
        read_version(decode_version(edited, "1.yml"), lambda _: BytesIO())


@pytest.mark.parametrize(
    ("main", "text", "line"),
    [
        ("env.yml", "dependencies:\n- python=3.11\n- pip:\n  - --extra-index-url https://me:hush@pypi.example/\n", 4),
        ("env.yml", "channels:\n- https://host/t/hush/channel\ndependencies:\n- python=3.11\n", 2),
        ("env.yml", "# https://me:hush@pypi.example/\ndependencies:\n- python=3.11\n", 1),
        ("env.yml", "dependencies:\n- python=3.11\nvariables:\n  API_TOKEN: hush-hush\n", 4),
        ("Dockerfile", "FROM base:1\nENV API_TOKEN=hush-hush\n", 2),
        ("azureml_environment.json", WITH_VARIABLE, 2),
    ],
)
def test_a_credential_is_refused_at_its_line_and_not_repeated(main: str, text: str, line: int) -> None:
    with pytest.raises(DefinitionError, match="a workspace is for others to read") as caught:
        version_of(text, main)
    assert caught.value.place == f"{main}:{line}"
    assert "hush" not in f"{caught.value} {caught.value.hint}"


def test_a_reference_to_a_variable_is_no_credential() -> None:
    assert version_of("dependencies:\n- python=3.11\n- pip:\n  - --index-url https://${USER}:${TOKEN}@pypi.example/\n")


def test_a_definition_without_a_name_has_to_be_given_one() -> None:
    tree = MemoryTree({"env.yml": b"dependencies:\n- python=3.11\n"})
    with pytest.raises(VersionError) as caught:
        candidate_of(tree, "env.yml", NAMING)
    assert "--name" in str(caught.value.hint)


def test_an_unknown_digest_is_left_out_of_name_and_base() -> None:
    written = version_of(CONDA.decode(), naming=Naming(BASE))
    assert written.base_image == "base:1"
    assert written.content == version_of(CONDA.decode()).content
    assert written.image != version_of(CONDA.decode()).image


def key(main: str, text: str, naming: Naming = NAMING) -> str:
    tree = MemoryTree({main: text.encode()})
    definition = read_definition(tree, main)
    return content_key(definition, naming.default_base, naming.platform, text.encode())


def v1(docker: dict[str, object], **others: object) -> tuple[str, str]:
    python = {"condaDependencies": {"dependencies": ["python=3.11"]}, **others.pop("python", {})}  # type: ignore[dict-item]
    return "azureml_environment.json", json.dumps({"name": "a", "docker": docker, "python": python, **others})


USUAL = {"shmSize": "2g", "sharedVolumes": True, "platform": {"os": "Linux", "architecture": "amd64"}}
V2 = "name: it\nimage: base:1\nconda_file:\n  dependencies: [python=3.11]\n"
SAME = [
    ("env.yml", "name: pytorch\ndependencies:\n- python=3.11\n"),
    ("env.yml", "# why\nname: other\ndependencies: [python=3.11]\n"),
    ("aml.yml", V2 + "description: d\ntags: {a: b}\nversion: 4\n"),
    v1({"baseImage": "base:1"}),
    v1({"baseImage": "base:1", **USUAL}, version="2", environmentVariables={}, python={"interpreterPath": "python"}),
]
OTHER = [
    ("env.yml", "dependencies:\n- python=3.12\n"),
    ("aml.yml", V2.replace("base:1", "base:2")),
    ("aml.yml", V2 + "os_type: windows\n"),
    v1({"baseImage": "base:1"}, environmentVariables={"A": "b"}),
    v1({"baseImage": "base:1", "shmSize": "4g"}),
]


def test_what_says_the_same_in_any_format_has_one_key_and_what_differs_another() -> None:
    assert len({key(main, text) for main, text in SAME}) == 1
    assert len({key(main, text) for main, text in [SAME[0], *OTHER]}) == 1 + len(OTHER)
    assert key(*SAME[0]) != key(*SAME[0], Naming(BASE, platform="linux/arm64"))


def test_variables_are_those_of_a_v1_definition() -> None:
    text = OTHER[3][1].encode()
    definition = read_definition(MemoryTree({"azureml_environment.json": text}), "azureml_environment.json")
    assert environment_variables(definition, text) == {"A": "b"}


PARTS = st.text("ab", min_size=1, max_size=2)
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


@given(st.dictionaries(PATHS, st.binary(max_size=3), min_size=1, max_size=6))
def test_a_stored_tree_answers_as_the_tree_that_was_stored(files: dict[str, bytes]) -> None:
    files = {path: data for path, data in files.items() if not any(other.startswith(f"{path}/") for other in files)}
    context = {f"c/{path}": data for path, data in files.items()}
    context["c/Dockerfile"] = b"FROM base:1\n"
    tree = MemoryTree(context)
    stored = loader(context)
    written = candidate_of(tree, "c/Dockerfile", NAMING, name="it").version
    again = StoredTree(written.files, lambda digest: BytesIO(stored[digest]))
    for path, data in context.items():
        below = path.removeprefix("c/")
        assert again.read(below) == data
        assert again.digest(below) == tree.digest(path)
    directories = {"", *(path.rpartition("/")[0] for path in files)}
    for directory in directories:
        assert again.entries(directory) == tree.entries(f"c/{directory}" if directory else "c")
