"""Is `mutated_conda_dependencies.yml` always env.yml except for the name? docs/mutated-file.md has the answer.

Each test is one row of that page's table (FACTS §6).
"""

import re
from pathlib import Path

import pytest
import yaml

from envkiln.cache.definition import EnvironmentDefinition, ImageReference
from envkiln.cache.errors import DefinitionError
from envkiln.cache.formats import read_definition
from envkiln.cache.identity import identify
from envkiln.cache.setup_content import named_content
from envkiln.cache.source import MemoryTree

PAGE = Path(__file__).parents[2] / "docs" / "mutated-file.md"
PLAIN = "channels:\n- defaults\ndependencies:\n- python=3.11\n- pip\nname: ''\n"
V2 = "$schema: https://azureml/environment.schema.json\nname: v2\nimage: base:1\nconda_file: env.yml\n"


def read(text: str, **files: bytes) -> EnvironmentDefinition:
    tree = MemoryTree({"env.yml": text.encode(), **{name.replace("_", "."): data for name, data in files.items()}})
    return read_definition(tree, "env.yml")


def mutated_of(definition: EnvironmentDefinition) -> str:
    """Return the mutated file with the name replaced by `''`, after a look at the name."""
    identity = identify(definition, ImageReference("base", "1"))
    entries = {entry.path: entry.data for entry in named_content(definition, identity).entries}
    data = entries["azureml-environment-setup/mutated_conda_dependencies.yml"]
    assert data is not None
    text = data.decode()
    assert text.count(f"\nname: {identity.conda_environment}\n") == 1
    return text.replace(f"\nname: {identity.conda_environment}\n", "\nname: ''\n")


def mutated(text: str, **files: bytes) -> str:
    return mutated_of(read(text, **files))


def test_name_is_replaced() -> None:
    assert mutated(PLAIN.replace("''", "mine")) == PLAIN
    assert mutated(PLAIN) == PLAIN


@pytest.mark.parametrize("name", ["3.10", "null", "", "yes", "'a: b'", "é"])
def test_name_may_be_anything(name: str) -> None:
    assert mutated(PLAIN.replace("''", name)) == PLAIN


def test_missing_name_is_added() -> None:
    assert mutated(PLAIN.replace("name: ''\n", "")) == PLAIN


def test_key_order_becomes_alphabetical() -> None:
    assert mutated("name: x\ndependencies:\n- python=3.11\n- pip\nchannels:\n- defaults\n") == PLAIN


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace("- ", "    -   "),
        PLAIN.replace("\n", "\r\n"),
        "{name: x, channels: [defaults], dependencies: [python=3.11, pip]}\n",
        '{"channels": ["defaults"], "dependencies": ["python=3.11", "pip"]}',
    ],
)
def test_sequence_indent_and_style_are_normalised(text: str) -> None:
    assert mutated(text) == PLAIN


def test_comments_are_dropped() -> None:
    assert mutated(f"# before\n{PLAIN.replace('- pip', '- pip  # [linux]')}# after\n") == PLAIN


def test_missing_channels_stay_missing() -> None:
    assert mutated("dependencies:\n- python=3.11\n") == "dependencies:\n- python=3.11\nname: ''\n"


def test_empty_channels_stay_empty() -> None:
    text = "channels: []\ndependencies:\n- python=3.11\nname: ''\n"
    assert mutated(text) == text


def test_missing_python_is_not_added() -> None:
    definition = read("dependencies:\n- numpy\n")
    assert mutated_of(definition) == "dependencies:\n- numpy\nname: ''\n"
    assert any("python is not among the dependencies" in warning for warning in definition.warnings)


@pytest.mark.parametrize("python", ["python", "python=3.9.*", "python>=3.8", "python=3.9.1=h1234_0"])
def test_python_without_a_plain_version_is_left_alone(python: str) -> None:
    text = f"dependencies:\n- {python}\nname: ''\n"
    assert mutated(text) == text


def test_missing_pip_is_not_added() -> None:
    text = "dependencies:\n- python=3.11\n- pip:\n  - six\nname: ''\n"
    assert mutated(text) == text


def test_duplicates_and_two_pip_blocks_are_kept() -> None:
    text = "dependencies:\n- pip:\n  - lightgbm\n  - LightGBM\n- numpy\n- numpy\n- pip:\n  - six\nname: ''\n"
    assert mutated(text) == text


def test_pip_options_are_kept_in_place() -> None:
    text = (
        "dependencies:\n- pip:\n  - --extra-index-url https://host/simple\n  - six\n"
        "  - --find-links https://host\n  - --pre\nname: ''\n"
    )
    assert mutated(text) == text


def test_a_file_option_is_kept_and_its_file_laid_beside() -> None:
    text = "dependencies:\n- pip:\n  - -r more.txt\nname: ''\n"
    definition = read(text, more_txt=b"six\n")
    assert mutated_of(definition) == text
    assert [file.path for file in definition.extra_files] == ["more.txt"]


def test_a_file_option_without_its_file_is_an_error() -> None:
    with pytest.raises(DefinitionError):
        read("dependencies:\n- pip:\n  - -r missing.txt\n")


def test_prefix_and_variables_are_kept_and_sorted_in() -> None:
    text = "dependencies:\n- pip\nname: ''\nprefix: /opt/env\nvariables:\n  A: one\n  B: two\n"
    assert mutated("variables: {B: two, A: one}\nprefix: /opt/env\ndependencies: [pip]\n") == text


def test_a_variable_that_looks_like_the_name_is_left_alone() -> None:
    text = "dependencies: [pip]\nvariables:\n  name: ''\n  text: \"a\\nname: ''\\nb\"\n"
    data = yaml.safe_load(mutated(text))
    assert data["variables"] == {"name": "", "text": "a\nname: ''\nb"}


def test_other_keys_are_an_error_in_a_conda_file() -> None:
    with pytest.raises(DefinitionError, match="unknown flavour key"):
        read(PLAIN + "flavour: x\n")


def test_other_keys_pass_in_a_v2_environment() -> None:
    tree = MemoryTree({"azure.yml": V2.encode(), "env.yml": f"{PLAIN}flavour: x\n".encode()})
    expected = PLAIN.replace("name:", "flavour: x\nname:")
    assert mutated_of(read_definition(tree, "azure.yml")) == expected


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("'numpy'", "- numpy"),
        ('"numpy"', "- numpy"),
        ("numpy>=1,<2", "- numpy>=1,<2"),
        ("'yes'", "- 'yes'"),
        ("'3.10'", "- '3.10'"),
        ("'a: b'", "- 'a: b'"),
        ("'# x'", "- '# x'"),
        ("'*'", "- '*'"),
        ("''", "- ''"),
        ('"it\'s"', "- it's"),
    ],
)
def test_quotes_stay_only_where_they_are_needed(written: str, line: str) -> None:
    assert mutated(f"dependencies:\n- {written}\n") == f"dependencies:\n{line}\nname: ''\n"


def test_long_lines_are_not_folded() -> None:
    item = " ".join(["word"] * 100)
    assert mutated(f"dependencies:\n- {item}\n") == f"dependencies:\n- {item}\nname: ''\n"


def test_anchors_are_written_out() -> None:
    text = "dependencies: [&a python=3.11, *a]\n"
    assert mutated(text) == "dependencies:\n- python=3.11\n- python=3.11\nname: ''\n"


@pytest.mark.parametrize(("written", "becomes"), [("3.10", "3.1"), ("1_000", "1000"), ("0x10", "16"), ("010", "8")])
def test_a_bare_number_loses_its_spelling_with_a_warning(written: str, becomes: str) -> None:
    definition = read(f"dependencies:\n- python=3.11\n- {written}\n")
    assert mutated_of(definition) == f"dependencies:\n- python=3.11\n- {becomes}\nname: ''\n"
    assert any("the bare number" in warning for warning in definition.warnings)


def test_a_version_inside_a_text_keeps_its_spelling() -> None:
    text = "dependencies:\n- python=3.10\nname: ''\n"
    assert mutated(text) == text


def test_a_selector_stays_a_mapping() -> None:
    text = "dependencies:\n- sel(linux): gcc\nname: ''\n"
    assert mutated(text) == text


def test_other_letters_are_escaped() -> None:
    assert mutated("dependencies:\n- pythön\n") == "dependencies:\n- \"pyth\\xF6n\"\nname: ''\n"


@pytest.mark.parametrize("text", [PLAIN, "dependencies: [&a x, *a, 3.10, pythön, 'yes']\nvariables: {A: 1}\n"])
def test_the_data_is_the_same_except_for_the_name(text: str) -> None:
    assert yaml.safe_load(mutated(text)) == {**yaml.safe_load(text), "name": ""}


def test_doing_it_again_changes_nothing() -> None:
    text = mutated("name: x\ndependencies: [&a x, *a, 3.10, pythön, 'yes', {pip: [-e ., six]}]\nvariables: {A: 1}\n")
    assert mutated(text) == text


def test_the_page_has_a_row_for_every_test() -> None:
    tests = set(re.findall(r"^def (test_\w+)", Path(__file__).read_text(), re.MULTILINE))
    rows = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    assert rows == tests - {"test_the_page_has_a_row_for_every_test"}
