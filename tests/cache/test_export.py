"""What is exported has, read again, the very name that was registered."""

from dataclasses import replace
from typing import Any

import pytest
import yaml
from registered_sources import SOURCES, Registered

from envkiln.cache.definition import ImageReference
from envkiln.cache.export import NotExpressible, Target
from envkiln.cache.formats import read_definition
from envkiln.cache.json_text import read_json
from envkiln.cache.stored_definition import Altered, read_version
from envkiln.cache.stored_tree import StoredTree

PINNED = "base:1@sha256:" + "1" * 64

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
