"""What the documents of a registry say, and what is no image."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envkiln.daemon.manifests import Manifest, NotAnImage, read_config, read_manifest

AMD = "linux/amd64"
MANIFEST = {
    "schemaVersion": 2,
    "config": {"digest": "sha256:c", "size": 10},
    "layers": [{"digest": "sha256:1", "size": 100}, {"digest": "sha256:2", "size": 1000}],
}
INDEX = {
    "schemaVersion": 2,
    "manifests": [
        {"digest": "sha256:arm", "platform": {"os": "linux", "architecture": "arm64"}},
        {"digest": "sha256:amd", "platform": {"os": "linux", "architecture": "amd64"}},
        {"digest": "sha256:provenance", "platform": {"os": "unknown", "architecture": "unknown"}},
    ],
}


def test_a_manifest_has_layers_and_a_size() -> None:
    assert read_manifest(json.dumps(MANIFEST).encode(), AMD) == Manifest("sha256:c", ("sha256:1", "sha256:2"), 1110)


def test_an_index_leads_to_the_platform() -> None:
    data = json.dumps(INDEX).encode()
    assert read_manifest(data, AMD) == "sha256:amd"
    assert read_manifest(data, "linux/arm64") == "sha256:arm"
    with pytest.raises(NotAnImage, match="no image for linux/riscv64"):
        read_manifest(data, "linux/riscv64")


def test_a_configuration_has_labels_variables_and_a_platform() -> None:
    config = read_config(
        b'{"os": "linux", "architecture": "amd64", "config": {"Labels": {"a": "b"}, "Env": ["X=1=2", "Y="]}}'
    )
    assert (config.labels, config.variables, config.platform) == ({"a": "b"}, {"X": "1=2", "Y": ""}, AMD)
    assert read_config(b'{"os": "linux", "architecture": "amd64"}').labels == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["config", "layers", "manifests", "digest", "size", "platform", "os", "architecture", "Env", "Labels"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_anything_else_is_read_or_said_to_be_no_image(document: Any) -> None:
    for read in (lambda data: read_manifest(data, AMD), read_config):
        with suppress(NotAnImage):
            read(json.dumps(document).encode())
