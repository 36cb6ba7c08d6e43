"""Which warnings tell of credentials that an image would have."""

import pytest
import yaml

from envkiln.cache.definition import EnvironmentDefinition
from envkiln.cache.formats import read_definition
from envkiln.cache.leaks import leaks
from envkiln.cache.source import MemoryTree


def _conda(**parts: object) -> EnvironmentDefinition:
    text = yaml.safe_dump({"dependencies": ["python"], **parts})
    return read_definition(MemoryTree({"a/env.yml": text.encode()}), "a/env.yml")


_CHANNEL = _conda(channels=["https://host/t/canary/c"])
_VARIABLE = _conda(variables={"API_TOKEN": "canary"})


_WAY_OUT = 'install docker buildx, or set builder = "buildx"'


def test_a_credential_in_a_url_ends_in_the_image_of_the_classic_builder_only() -> None:
    what = "a/env.yml:2: the token of a channel becomes part of the image"
    assert leaks(_CHANNEL, has_secrets=True) == ()
    assert leaks(_CHANNEL, has_secrets=False) == (f"{what}, as the classic builder has no secrets: {_WAY_OUT}",)
    assert leaks(_CHANNEL, has_secrets=None) == (f"{what} if the classic builder builds it: {_WAY_OUT}",)


def test_a_variable_is_left_out_with_buildx_and_that_is_said() -> None:
    (said,) = leaks(_VARIABLE, has_secrets=True)
    assert said == (
        "a/env.yml:4: the variable API_TOKEN is not put into the image: "
        "give it to the container: envkiln run -e API_TOKEN"
    )
    (said,) = leaks(_VARIABLE, has_secrets=False)
    assert "becomes part of the image" in said


@pytest.mark.parametrize("has_secrets", [True, False, None])
def test_what_a_dockerfile_sets_ends_in_the_image_whatever_builds(has_secrets: bool | None) -> None:
    files = {"Dockerfile": b"FROM base\nARG API_KEY=canary\n", ".env": b"", "sub/id_rsa": b"", "env": b""}
    said = leaks(read_definition(MemoryTree(files), "Dockerfile"), has_secrets=has_secrets)
    assert [text.split(": ")[0] for text in said] == ["Dockerfile:2", ".env", "sub/id_rsa"]
    assert "becomes part of the image: give it to the one step that needs it: RUN --mount=type=secret" in said[0]


def test_a_file_that_the_ignore_file_leaves_out_is_not_told() -> None:
    files = {"Dockerfile": b"FROM base\n", ".env": b"", ".dockerignore": b".env\n"}
    assert leaks(read_definition(MemoryTree(files), "Dockerfile"), has_secrets=None) == ()


def test_warnings_are_few_and_say_no_credential() -> None:
    definition = _conda(channels=[f"https://host/t/canary-{number}/c" for number in range(50)])
    said = leaks(definition, has_secrets=False)
    assert len(said) == 21
    assert said[-1] == "a/env.yml: 30 more of these"
    assert "canary" not in "".join(said)


def test_a_definition_without_credentials_has_no_warning() -> None:
    assert leaks(_conda(), has_secrets=None) == ()
