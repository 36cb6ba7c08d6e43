"""Which readable tags an environment gets."""

from dataclasses import replace

import pytest
from values import BROKEN, SETTINGS, definition, sighting

from envkiln.daemon.aliases import aliases_of


def aliases(id_: str, *templates: str, name: str | None = None) -> tuple[str, ...]:
    return aliases_of(sighting(id_, definition(name=name), replace(SETTINGS, aliases=templates)))


@pytest.mark.parametrize(
    ("id_", "alias"),
    [
        ("team/train", "team/train:latest"),
        ("Team/Train Env", "team/train-env:latest"),
        ("team/env.yml", "team/env:latest"),
        ("root:team/env.YAML", "root-team/env:latest"),
        ("a__b/-x-/..c..", "a-b/x/c:latest"),
        ("café/ümlaut", "caf/mlaut:latest"),
    ],
)
def test_the_id_becomes_a_repository_that_docker_takes(id_: str, alias: str) -> None:
    assert aliases(id_, "{id}:latest") == (alias,)


def test_a_template_without_a_tag_means_latest() -> None:
    assert aliases("a", "{id}") == ("a:latest",)


def test_the_declared_name_counts_where_there_is_one() -> None:
    assert aliases("a/b", "{name}:1", name="Torch GPU") == ("torch-gpu:1",)
    assert aliases("a/b", "{name}:1") == ("a/b:1",)


def test_every_template_gives_one_alias_in_order() -> None:
    assert aliases("a", "registry.example:5000/{id}:dev", "{id}:latest") == ("registry.example:5000/a:dev", "a:latest")


@pytest.mark.parametrize("template", ["{id}:bad tag", "{id}@sha256:" + "1" * 64, "{other}"])
def test_what_docker_would_not_take_is_left_out(template: str) -> None:
    assert aliases("a", template, "{id}") == ("a:latest",)


def test_an_id_without_any_letter_has_no_alias() -> None:
    assert aliases("___", "{id}:latest") == ()


def test_an_invalid_definition_has_no_alias() -> None:
    assert aliases_of(sighting("a", BROKEN)) == ()
