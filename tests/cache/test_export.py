"""What is exported has, read again, the very name that was registered."""

from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
import yaml

from envkiln.cache.definition import ImageReference
from envkiln.cache.export import Export, NotExpressible, Target, export
from envkiln.cache.formats import read_definition
from envkiln.cache.json_text import read_json
from envkiln.cache.registered_version import RegisteredVersion
from envkiln.cache.source import MemoryTree
from envkiln.cache.stored_definition import Altered, Naming, candidate_of, read_version
from envkiln.cache.stored_tree import StoredTree

BASE = ImageReference("base", "1")
PINNED = "base:1@sha256:" + "1" * 64
NAMING = Naming(BASE, lambda _: "sha256:" + "1" * 64)
CONDA = b"name: it\nchannels: [defaults]\ndependencies:\n- python=3.11\n- pip:\n  - six\n"
MANAGED = b'{"name": "it", "docker": {"baseImage": "base:1"}, "python": {"userManagedDependencies": true}}'
PACKAGE = b'{"group": "g", "artifact": "a", "version": "1"}'
SPARK = b'{"name": "it", "docker": {"baseImage": "base:1"}, "spark": {"packages": [%b]}}' % PACKAGE
V1 = b'{"name": "it", "environmentVariables": {"A": "b"}, "docker": {"baseImage": "base:1", "shmSize": "4g"}}'
V2 = b"name: it\nimage: base:1\ntags: {a: b}\nos_type: linux\nconda_file: conda.yml\n"
ROUTES = b"{path: /, port: 5001}"
INFERENCE = b"name: it\nimage: base:1\ninference_config: {liveness_route: %b, readiness_route: %b, scoring_route: %b}\n"

SOURCES: dict[str, tuple[str, dict[str, bytes]]] = {
    "conda": ("env.yml", {"env.yml": CONDA}),
    "pip files": ("e/env.yml", {"e/env.yml": CONDA + b"  - -r sub/more.txt\n", "e/sub/more.txt": b"numpy\n"}),
    "wheel": ("env.yml", {"env.yml": CONDA + b"  - ./a-1-py3-none-any.whl\n", "a-1-py3-none-any.whl": b"PK\0\xff"}),
    "requirements": ("requirements.txt", {"requirements.txt": b"numpy\n"}),
    "odd texts": ("env.yml", {"env.yml": "name: x\ndependencies:\n- 'yes'\n- '3.10'\n- 'a: b # c'\n- ä\n".encode()}),
    "v2": ("aml.yml", {"aml.yml": V2, "conda.yml": CONDA}),
    "v2 image only": ("environment.yml", {"environment.yml": INFERENCE % (ROUTES, ROUTES, ROUTES)}),
    "v1": ("azureml_environment.json", {"azureml_environment.json": V1, "conda_dependencies.yml": CONDA}),
    "v1 managed": ("azureml_environment.json", {"azureml_environment.json": MANAGED}),
    "v1 spark": ("azureml_environment.json", {"azureml_environment.json": SPARK, "conda_dependencies.yml": CONDA}),
    "v1 dockerfile": (
        "azureml_environment.json",
        {"azureml_environment.json": V1, "conda_dependencies.yml": CONDA, "BaseDockerfile": b"FROM base:1\n"},
    ),
    "context": (
        "c/Dockerfile",
        {
            "c/Dockerfile": b"FROM base:1\n",
            "c/.amlignore": b"*.log\n",
            "c/.gitignore": b"*.txt\n",
            "c/a.txt": b"a",
            "c/a.log": b"no",
            "c/bin": b"\0",
        },
    ),
}
EVERYWHERE = {Target.V1, Target.V2, Target.CONDA}
EXPRESSED = {
    "conda": EVERYWHERE,
    "pip files": EVERYWHERE,
    "wheel": EVERYWHERE,
    "requirements": EVERYWHERE,
    "odd texts": EVERYWHERE,
    "v2": EVERYWHERE,
    "v2 image only": {Target.V1, Target.V2},
    "v1": EVERYWHERE,
    "v1 managed": {Target.V1, Target.V2},
    "v1 spark": {Target.V1},
    "v1 dockerfile": {Target.V1},
    "context": {Target.V2},
}


class Registered:
    """A source that was registered as `it:3`."""

    def __init__(self, source: str) -> None:
        main, files = SOURCES[source]
        tree = MemoryTree(files)
        self._stored = {tree.digest(path): data for path, data in files.items()}
        self.version: RegisteredVersion = replace(candidate_of(tree, main, NAMING, name="it").version, version=3)

    def load(self, digest: str) -> BytesIO:
        return BytesIO(self._stored[digest])

    def export(self, target: Target) -> Export:
        return export(self.version, target, self.load)

    def text(self, target: Target) -> str:
        made = self.export(target)
        return StoredTree(made.files, self.load).read(made.main).decode()


@pytest.mark.parametrize("target", Target)
@pytest.mark.parametrize("source", SOURCES)
def test_an_export_has_the_name_that_was_registered_or_is_refused(source: str, target: Target) -> None:
    registered = Registered(source)
    if target not in EXPRESSED[source]:
        with pytest.raises(NotExpressible, match=f"it:3 cannot be exported to {target.value}: ") as caught:
            registered.export(target)
        assert "envkiln checkout it:3" in str(caught.value.hint)
        return
    made = registered.export(target)
    again = replace(registered.version, main=made.main, files=made.files)
    definition, identity = read_version(again, registered.load)
    assert identity.image == registered.version.image
    assert identity.conda_environment == registered.version.conda_environment
    assert definition.declared_name == "it"


def test_the_base_image_is_pinned_so_that_no_digest_is_asked_for() -> None:
    registered = Registered("conda")
    for target in (Target.V1, Target.V2):
        made = registered.export(target)
        assert read_definition(StoredTree(made.files, registered.load), made.main).base_image == ImageReference.parse(
            PINNED
        )


def test_what_a_definition_says_about_running_is_kept() -> None:
    v2: Any = yaml.safe_load(Registered("v2 image only").text(Target.V2))
    assert v2["inference_config"]["scoring_route"] == {"path": "/", "port": 5001}
    assert (v2["name"], v2["version"]) == ("it", "3")
    v1 = read_json(Registered("v1").text(Target.V1).encode(), "v1").value
    assert v1["environmentVariables"] == {"A": "b"}
    assert v1["docker"]["shmSize"] == "4g"
    assert (v1["name"], v1["version"]) == ("it", "3")


def test_a_name_that_yaml_would_read_as_a_number_stays_a_text() -> None:
    registered = Registered("conda")
    registered.version = replace(registered.version, name="3.10")
    assert yaml.safe_load(registered.text(Target.CONDA))["name"] == "3.10"


def test_a_version_edited_by_hand_is_not_exported() -> None:
    registered = Registered("conda")
    registered.version = replace(registered.version, image="azureml/azureml_" + "0" * 32)
    with pytest.raises(Altered):
        registered.export(Target.CONDA)
