"""What images say about themselves, and which of them are believed."""

import json
from dataclasses import replace

import pytest
from values import DIGEST, MOVING, PINNED, definition, identity_of

from envkiln.cache.credentials import Carrier, Credential
from envkiln.cache.definition import CondaSpecification, ImageReference
from envkiln.daemon.labels import is_believed, is_closed, is_ours, labels_for, recorded_digest

FOUND = definition("python=3.11", name="train")
IDENTITY = identity_of(FOUND)
NAME = IDENTITY.image
AZURE = {"AZUREML_ENVIRONMENT_IMAGE": "True"}


def test_the_labels_hold_the_name_the_recipe_and_the_definition() -> None:
    labels = labels_for(FOUND, IDENTITY, resolved=False)
    assert labels["envkiln.name"] == NAME
    assert labels["envkiln.recipe"] == "azureml/1 built/1"
    assert json.loads(labels["envkiln.definition"]) == "dependencies:\n- python=3.11\nname: ''\n"
    assert labels["org.opencontainers.image.title"] == "train"
    assert labels["org.opencontainers.image.base.name"] == "base:1"
    assert labels["org.opencontainers.image.base.digest"] == DIGEST


def test_no_label_has_a_line_break() -> None:
    odd = definition("two\nlines", name="a\n b")
    labels = labels_for(odd, identity_of(odd), resolved=True)
    assert labels["org.opencontainers.image.title"] == "a b"
    assert not [value for value in labels.values() if "\n" in value]


def test_two_builds_of_one_definition_have_the_same_labels() -> None:
    assert labels_for(FOUND, IDENTITY, resolved=True) == labels_for(FOUND, IDENTITY, resolved=True)


@pytest.mark.parametrize(
    "item", ["--index-url https://user:secret@host/x", "https://host/x.whl?sig=secret", "--find-links https://secret@h"]
)
def test_the_labels_have_no_secrets(item: str) -> None:
    secretive = definition(item, name="https://user:secret@host")
    labels = labels_for(secretive, identity_of(secretive), resolved=True)
    assert not [value for value in labels.values() if "secret" in value]


def test_the_labels_have_no_secret_that_only_its_variables_name_tells() -> None:
    secret = Credential("canary", "the variable TOKEN", "env.yml", 1, Carrier.VARIABLE, "TOKEN")
    conda = CondaSpecification("dependencies:\n- canary-cage\nname: ''\nvariables:\n  TOKEN: canary\n")
    found = replace(FOUND, conda=conda, credentials=(secret,))
    assert "canary" not in "".join(labels_for(found, identity_of(found), resolved=True).values())


def test_the_digest_of_a_movable_base_can_be_read_back() -> None:
    resolved = labels_for(FOUND, identity_of(FOUND, MOVING.with_digest(DIGEST)), resolved=True)
    assert recorded_digest(resolved) == (str(MOVING), DIGEST)


def test_a_digest_that_the_user_wrote_is_no_record_of_the_tag() -> None:
    assert recorded_digest(labels_for(FOUND, identity_of(FOUND, PINNED), resolved=False)) is None
    unpinned = identity_of(FOUND, ImageReference("base"))
    assert recorded_digest(labels_for(FOUND, unpinned, resolved=True)) is None
    assert recorded_digest({}) is None


def test_the_base_of_a_users_own_dockerfile_is_not_told() -> None:
    own = replace(FOUND, base_dockerfile="FROM x\n")
    assert "org.opencontainers.image.base.name" not in labels_for(own, identity_of(own), resolved=False)


def test_an_image_of_ours_is_believed_under_its_own_name_only() -> None:
    labels = labels_for(FOUND, IDENTITY, resolved=False)
    assert is_ours(labels)
    assert is_believed(NAME, labels, {})
    assert not is_believed("azureml/azureml_" + "0" * 32, labels, AZURE)


def test_an_image_of_azure_ml_is_believed_and_a_stranger_is_not() -> None:
    assert is_believed(NAME, {}, AZURE)
    assert not is_believed(NAME, {}, {})
    assert not is_believed(NAME, {"maintainer": "somebody"}, {"AZUREML_ENVIRONMENT_IMAGE": "False"})
    assert not is_ours({})


@pytest.mark.parametrize(
    ("last_step", "closed"),
    [
        (f"LABEL envkiln.name={NAME}", True),
        (f"/bin/sh -c #(nop)  LABEL envkiln.name={NAME} envkiln.recipe=azureml/1 built/1", True),
        (f"/bin/sh -c #(nop)  LABEL a=1\n2 envkiln.name={NAME} z=2", True),
        (f"LABEL envkiln.name={NAME}0", False),
        ("RUN /bin/sh -c pip install mine # buildkit", False),
        ("", False),
    ],
)
def test_an_image_is_ours_whose_last_instruction_says_its_name(last_step: str, closed: bool) -> None:
    assert is_closed(NAME, last_step) is closed
