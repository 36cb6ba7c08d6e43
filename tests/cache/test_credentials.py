"""Which credentials of a definition are recognised, and that what is shown of it has none."""

import json

import pytest
import yaml

from envkiln.cache.credentials import MAX_CREDENTIALS, Carrier, Credential, is_secret_name
from envkiln.cache.definition import EnvironmentDefinition, ImageReference
from envkiln.cache.errors import DefinitionError
from envkiln.cache.formats import read_definition
from envkiln.cache.identity import identify
from envkiln.cache.shown import built_specification, definition_text
from envkiln.cache.source import MemoryTree

_BASE = ImageReference.parse("base:1")


def _read(files: dict[str, str], main: str) -> EnvironmentDefinition:
    return read_definition(MemoryTree({path: text.encode() for path, text in files.items()}), main)


def _conda(**parts: object) -> EnvironmentDefinition:
    return _read({"env.yml": yaml.safe_dump({"dependencies": ["python=3.11", "pip"], **parts})}, "env.yml")


def _pip(item: str) -> EnvironmentDefinition:
    return _conda(dependencies=["python=3.11", "pip", {"pip": [item]}])


def _values(definition: EnvironmentDefinition) -> list[str]:
    return [credential.value for credential in definition.credentials]


@pytest.mark.parametrize(
    ("item", "secret"),
    [
        ("--extra-index-url https://user:canary@host/simple", "user:canary"),
        ("--index-url=https://canary@host/simple", "canary"),
        ("-i https://user:ca%40nary@host/simple", "user:ca%40nary"),
        ("name @ https://user:can'ary@host/wheels", "user:can'ary"),
        ("name @ https://user:canary@host/name-1.0.tar.gz", "user:canary"),
        ("git+https://canary@host/repo.git@main#egg=name", "canary"),
        ("git+https://canary:x-oauth-basic@host/repo.git", "canary"),
        ("git+https://x-access-token:canary@host/repo.git", "x-access-token:canary"),
        ("git+https://${USER}:canary@host/repo.git", "canary"),
        ("name @ https://host/name.whl?sv=1&sig=canary", "canary"),
        ("--extra-index-url https://host/t/canary/simple", "canary"),
        (f"--config-settings=x=ghp_{'a1' * 18}", f"ghp_{'a1' * 18}"),
    ],
)
def test_a_credential_in_a_line_for_pip_is_recognised(item: str, secret: str) -> None:
    assert _values(_pip(item)) == [secret]


@pytest.mark.parametrize(
    "item",
    [
        "numpy==1.26; python_version < '3.12'",
        "git+ssh://git@host/repo.git",
        "--extra-index-url https://${USER}:${TOKEN}@host/simple",
        "--extra-index-url https://$TOKEN@host/simple",
        "name @ https://host/name-1.0.tar.gz",
        "https://host/path?tokens=3",
    ],
)
def test_what_is_no_credential_or_refers_to_one_is_not_recognised(item: str) -> None:
    assert _values(_pip(item)) == []


def test_a_credential_has_its_place_and_is_not_in_its_own_text() -> None:
    text = "channels:\n  - https://host/t/canary/main\ndependencies:\n  - python\n"
    (found,) = _read({"env.yml": text}, "env.yml").credentials
    assert (found.file, found.line, found.carrier, found.value) == ("env.yml", 2, Carrier.SPECIFICATION, "canary")
    assert "canary" not in repr(found)


def test_channels_and_packages_of_a_channel_are_looked_at() -> None:
    definition = _conda(
        channels=["https://user:canary-1@host/main", "conda-forge"],
        dependencies=["https://user:canary-2@host/main::numpy", "python"],
    )
    assert sorted(_values(definition)) == ["user:canary-1", "user:canary-2"]


def test_files_that_pip_lines_refer_to_are_looked_at() -> None:
    files = {
        "a/env.yml": "dependencies:\n- pip\n- pip:\n  - -r more.txt\n",
        "a/more.txt": "idna\n\\\n--index-url https://user:canary@host/simple\n",
    }
    (found,) = _read(files, "a/env.yml").credentials
    assert (found.file, found.value) == ("a/more.txt", "user:canary")


def test_a_requirements_file_is_looked_at() -> None:
    (found,) = _read({"requirements.txt": "idna\n-i https://user:canary@host/simple\n"}, "requirements.txt").credentials
    assert (found.file, found.line, found.value) == ("requirements.txt", 2, "user:canary")


def test_variables_hold_secrets_by_their_name_or_by_their_value() -> None:
    definition = _conda(
        variables={"API_TOKEN": "canary-1", "PIP_INDEX_URL": "https://u:canary-2@host", "MODE": "fast", "TOKEN": "$X"}
    )
    assert {(found.name, found.value) for found in definition.credentials} == {
        ("API_TOKEN", "canary-1"),
        ("PIP_INDEX_URL", "https://u:canary-2@host"),
    }


@pytest.mark.parametrize("name", ["TOKEN", "HF_TOKEN", "PGPASSWORD", "db_passwd", "AWS_SECRET_ACCESS_KEY", "API_KEY"])
def test_a_name_that_holds_a_secret(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["TOKENIZERS_PARALLELISM", "TOKEN_FILE", "MAX_TOKEN_LENGTH", "PATH", "KEYBOARD", "AUTHOR", "PASSENGER"]
)
def test_a_name_that_holds_none(name: str) -> None:
    assert not is_secret_name(name)


def test_a_dockerfile_is_looked_at_line_by_line() -> None:
    text = (
        "FROM base\n# ENV TOKEN=comment\nARG API_KEY=canary-1\nENV MODE=fast PASSWORD='canary 2'\nENV TOKEN canary-3\n"
        "ARG OTHER_TOKEN\nENV OTHER_TOKEN=$OTHER_TOKEN\nRUN pip install -i https://user:canary-4@host/simple x\n"
    )
    definition = _read({"a/Dockerfile": text}, "a/Dockerfile")
    assert [(found.line, found.value) for found in definition.credentials] == [
        (3, "canary-1"),
        (4, "canary 2"),
        (5, "canary-3"),
        (8, "user:canary-4"),
    ]
    assert {found.file for found in definition.credentials} == {"a/Dockerfile"}


def test_a_base_dockerfile_and_spark_repositories_are_looked_at() -> None:
    environment = {
        "name": "x",
        "python": {"condaDependencies": {"channels": ["https://host/t/canary-0/c"], "dependencies": ["python"]}},
        "docker": {"baseDockerfile": "FROM base\nENV TOKEN=canary-1\n"},
        "spark": {"repositories": ["https://user:canary-2@host/maven"]},
    }
    text = json.dumps(environment, indent=1)
    definition = _read({"azureml_environment.json": text}, "azureml_environment.json")
    assert _values(definition) == ["canary-0", "canary-1", "user:canary-2"]
    places = {text.splitlines()[found.line - 1].count(found.value) for found in definition.credentials}
    assert places == {1}


_FULL = {
    "channels": ["https://host/t/canary/main"],
    "dependencies": ["python", "pip", {"pip": ["-i https://user:canary@host/simple", "it's @ https://canary@host/x"]}],
    "variables": {"A_SECRET": "canary", "MODE": "fast"},
}


def test_what_is_shown_of_a_definition_has_no_credential_and_everything_else() -> None:
    definition = _conda(**_FULL)
    text = definition_text(definition, identify(definition, _BASE))
    assert "canary" not in text
    assert yaml.safe_load(text) == {
        "channels": ["https://host/t/***/main"],
        "dependencies": ["python", "pip", {"pip": ["-i https://***@host/simple", "it's @ https://***@host/x"]}],
        "name": "",
        "variables": {"A_SECRET": "***", "MODE": "fast"},
    }


def test_the_name_is_that_of_the_text_as_it_was_written() -> None:
    one, other = _conda(**_FULL), _conda(**{**_FULL, "variables": {"A_SECRET": "another", "MODE": "fast"}})
    assert identify(one, _BASE).image != identify(other, _BASE).image
    assert definition_text(one, identify(one, _BASE)) == definition_text(other, identify(other, _BASE))


def test_what_is_built_has_no_variable_that_holds_a_secret() -> None:
    definition = _conda(**_FULL)
    assert definition.conda is not None
    built = yaml.safe_load(built_specification(definition.conda, definition.credentials).canonical)
    assert built == {**_FULL, "variables": {"MODE": "fast"}, "name": ""}


def test_what_is_shown_of_a_dockerfile_has_no_credential() -> None:
    environment = {
        "name": "x",
        "python": {"userManagedDependencies": True},
        "docker": {"baseDockerfile": "FROM base\nENV TOKEN='canary 1'\nRUN echo 'canary 1'\n"},
    }
    definition = _read({"azureml_environment.json": json.dumps(environment)}, "azureml_environment.json")
    assert "canary" not in definition_text(definition, identify(definition, _BASE))


def test_more_credentials_than_a_log_can_be_searched_for_are_refused() -> None:
    def lines(count: int) -> str:
        return "".join(f"-i https://user:secret-{number}@host/\n" for number in range(count))

    assert len(_read({"requirements.txt": lines(MAX_CREDENTIALS)}, "requirements.txt").credentials) == MAX_CREDENTIALS
    with pytest.raises(DefinitionError, match="more than 100 credentials"):
        _read({"requirements.txt": lines(MAX_CREDENTIALS + 1)}, "requirements.txt")


@pytest.mark.parametrize(
    "text",
    [
        "dependencies:\n- pip\n- pip:\n  - -r 'https://user:canary@host/" + "x" * 200 + "\n",
        "dependencies:\n- {{ https://user:canary@host/simple }}\n",
        "dependencies: [python]\nhttps://user:canary@host: 1\nhttps://user:canary@host: 2\n",
        "dependencies: [python]\n'https://user:canary@host': 1\n",
        "dependencies: !<https://user:canary@host> x\n",
        "dependencies:\n- pip\n- pip:\n  - -r ../../x/https://user:canary@host/x\n",
    ],
)
def test_an_error_does_not_quote_a_credential(text: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        _read({"env.yml": text}, "env.yml")
    assert "canary" not in f"{raised.value} {raised.value.hint} {raised.value.args}"


@pytest.mark.parametrize("length", range(60, 120, 7))
def test_a_warning_does_not_quote_a_credential_that_it_cuts(length: int) -> None:
    definition = _pip("-i https://user:" + "canary" * (length // 6) + "@host/{{ place }}")
    assert definition.warnings
    assert "canary" not in "".join(definition.warnings)


def test_a_program_may_print_a_secret_in_several_ways() -> None:
    found = Credential("user:ca%40nary", "the password of a URL", "env.yml", 1, Carrier.SPECIFICATION)
    assert found.spellings == ("user:ca%40nary", "ca%40nary", "user:ca@nary", "ca@nary")
