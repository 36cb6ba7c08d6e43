import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envkiln.cache.canonical import canonical_text
from envkiln.cache.definition import BuildContext, EnvironmentDefinition, Format, ImageReference, SourceFile
from envkiln.cache.dockerfile import named_text
from envkiln.cache.formats import read_definition
from envkiln.cache.identity import AZUREML, CONTEXT, identify
from envkiln.cache.names import conda_environment_name, image_name, is_image_name, short_name
from envkiln.cache.source import EntryKind, MemoryTree

PUBLISHED = json.loads(Path(__file__).with_name("names.json").read_text())
BASE = ImageReference.parse(
    "mcr.microsoft.com/azureml/intelmpi2018.3-ubuntu16.04:20200821.v1"
    "@sha256:8cee6f674276dddb23068d2710da7f7f95b119412cc482675ac79ba45a4acf99"
)
EXAMPLE = """\
name: pytorch
channels:
    - defaults
    - pytorch
dependencies:
    - python=3.7
    - pytorch
    - torchvision
"""


def conda_name(text: str) -> str:
    definition = read_definition(MemoryTree({"env.yml": text.encode()}), "env.yml")
    assert definition.conda is not None
    return conda_environment_name(definition.conda.canonical)


@pytest.mark.parametrize("entry", PUBLISHED["conda_environment_names"], ids=lambda entry: entry["name"])
def test_a_published_conda_environment_name_is_reproduced(entry: dict[str, Any]) -> None:
    assert conda_environment_name(canonical_text(entry["spec"])) == entry["name"]
    assert conda_name(json.dumps(entry["spec"])) == entry["name"]


@pytest.mark.parametrize("entry", PUBLISHED["image_names"], ids=lambda entry: entry["name"])
def test_a_published_image_name_is_reproduced(entry: dict[str, Any]) -> None:
    base = ImageReference.parse(entry["from"])
    assert image_name(named_text(base, entry["conda_environment"])) == entry["name"]


def test_the_example_of_the_azure_ml_page_has_its_names() -> None:
    definition = read_definition(MemoryTree({"env.yml": EXAMPLE.encode()}), "env.yml")
    identity = identify(definition, BASE)
    assert identity.conda_environment == "azureml_7459a71437df47401c6a369f49fbbdb6"
    assert identity.image == "azureml/azureml_ae31c6ab58033c4e44c7369910eea717"
    assert identity.recipe == AZUREML
    assert is_image_name(identity.image)
    assert short_name(identity.image) == "ae31c6ab5803"


@pytest.mark.parametrize(
    "text",
    [
        EXAMPLE.replace("name: pytorch\n", ""),
        EXAMPLE.replace("name: pytorch", "name: other"),
        "# a comment\n" + EXAMPLE + "# another\n",
        EXAMPLE.replace("    - ", "- "),
        EXAMPLE.replace("\n", "\r\n"),
        EXAMPLE.replace("python=3.7", "'python=3.7' # quoted"),
        "dependencies: [python=3.7, pytorch, torchvision]\nchannels: [defaults, pytorch]\n",
        "\ufeff" + EXAMPLE,
    ],
)
def test_formatting_comments_name_and_key_order_do_not_count(text: str) -> None:
    assert conda_name(text) == "azureml_7459a71437df47401c6a369f49fbbdb6"


@pytest.mark.parametrize(
    "text",
    [
        EXAMPLE.replace("    - defaults\n    - pytorch\n", "    - pytorch\n    - defaults\n"),
        EXAMPLE.replace("    - pytorch\n    - torchvision\n", "    - torchvision\n    - pytorch\n"),
        EXAMPLE.replace("3.7", "3.8"),
        EXAMPLE.replace("channels:\n    - defaults\n    - pytorch\n", ""),
    ],
)
def test_order_versions_and_channels_count(text: str) -> None:
    assert conda_name(text) != "azureml_7459a71437df47401c6a369f49fbbdb6"


def context(*files: SourceFile) -> str:
    definition = EnvironmentDefinition(
        Format.DOCKERFILE, "Dockerfile", "", context=BuildContext("", "Dockerfile", files)
    )
    identity = identify(definition, BASE)
    assert identity.recipe == CONTEXT
    return identity.image


FILE = SourceFile("run", "x/run", EntryKind.FILE, "00")
DOCKERFILE = SourceFile("Dockerfile", "x/Dockerfile", EntryKind.FILE, "11")


def test_the_name_of_a_context_does_not_depend_on_order_or_place() -> None:
    moved = replace(FILE, source="elsewhere/run")
    assert context(DOCKERFILE, FILE) == context(moved, DOCKERFILE)


@pytest.mark.parametrize(
    "changed",
    [
        replace(FILE, executable=True),
        replace(FILE, content="01"),
        replace(FILE, path="run2"),
        replace(FILE, kind=EntryKind.SYMLINK),
        SourceFile("run", "x/run", EntryKind.DIRECTORY),
    ],
)
def test_content_path_kind_and_execute_bit_of_a_context_count(changed: SourceFile) -> None:
    assert context(DOCKERFILE, changed) != context(DOCKERFILE, FILE)


def test_the_target_of_a_link_counts() -> None:
    link = SourceFile("run", "x/run", EntryKind.SYMLINK, "a")
    assert context(DOCKERFILE, link) != context(DOCKERFILE, replace(link, content="b"))


def test_a_file_name_cannot_look_like_another_line() -> None:
    one = replace(FILE, path="a\n# file 00 b")
    assert context(one) != context(replace(FILE, path="a"), replace(FILE, path="b"))


def test_two_trees_with_the_same_files_have_the_same_name() -> None:
    files = {"Dockerfile": b"FROM a\n", "b/run.sh": b"x", "a": b"y"}

    def name(files: dict[str, bytes], executable: frozenset[str] = frozenset()) -> str:
        definition = read_definition(MemoryTree(files, executable=executable), "Dockerfile")
        return identify(definition, BASE).image

    assert name(files) == name(dict(reversed(files.items())))
    assert name(files) != name(files, frozenset({"b/run.sh"}))
