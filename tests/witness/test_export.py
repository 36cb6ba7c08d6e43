"""The directory that `envkiln export --to v1` writes is read by azureml-core."""

from collections.abc import Mapping
from typing import Any

import pytest
from export_cases import from_directory
from registered_sources import Registered
from witness import Witness

from envkiln.cache.canonical import canonical_text
from envkiln.cache.export import Target
from envkiln.cache.names import conda_environment_name

SOURCES = ("conda", "requirements", "odd texts", "v2", "v2 image only", "v1", "v1 managed", "v1 spark", "v1 dockerfile")


@pytest.fixture(scope="module")
def loaded(azureml_core: Witness) -> Mapping[str, Any]:
    """What the client loads of each export: all of them in one process."""
    outcomes = azureml_core.tell([(from_directory, [Registered(source).files(Target.V1)]) for source in SOURCES])
    assert [outcome.error for outcome in outcomes] == [None] * len(SOURCES)
    return {source: outcome.value for source, outcome in zip(SOURCES, outcomes, strict=True)}


@pytest.mark.parametrize("source", SOURCES)
def test_the_client_loads_an_exported_version_with_what_its_names_are_made_of(
    loaded: Mapping[str, Any], source: str
) -> None:
    registered, found = Registered(source), loaded[source]
    assert (found["name"], found["version"], found["base_image"]) == ("it", "3", registered.version.base_image)
    name = conda_environment_name(canonical_text(found["conda"])) if found["conda"] else None
    assert name == registered.version.conda_environment


def test_what_the_environment_says_about_running_is_kept(loaded: Mapping[str, Any]) -> None:
    assert loaded["v1"]["variables"] == {"A": "b"}
    assert loaded["v1"]["shm_size"] == "4g"
    assert loaded["v1 spark"]["spark"] == ["a"]
    assert loaded["v1 dockerfile"]["base_dockerfile"] == "FROM base:1\n"
