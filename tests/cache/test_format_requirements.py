import pytest

from envkiln.cache.definition import Format
from envkiln.cache.errors import DefinitionError
from envkiln.cache.formats import read_definition
from envkiln.cache.names import conda_environment_name
from envkiln.cache.source import MemoryTree


def canonical(data: bytes, python: str = "3.8.13") -> str:
    definition = read_definition(MemoryTree({"requirements.txt": data}), "requirements.txt", requirements_python=python)
    assert definition.format is Format.REQUIREMENTS
    assert definition.conda is not None
    return definition.conda.canonical


def text(*items: str, python: str = "3.8.13") -> str:
    block = "\n  - ".join(("- pip:", *items))
    return f"channels:\n- anaconda\n- conda-forge\ndependencies:\n- python={python}\n{block}\n- pip\nname: ''\n"


# Each of these was read by Environment.from_pip_requirements of azureml-core 1.61.0.post4.
@pytest.mark.parametrize(
    ("data", "items"),
    [
        (b"numpy==1.0\npandas\n", ["numpy==1.0", "pandas"]),
        (b"numpy\npandas", ["numpy", "pandas"]),
        (b"numpy\r\npandas\r\n", ["numpy", "pandas"]),
        (b"numpy\rpandas", ["numpy", "pandas"]),
        (b"numpy\n\n  \n# comment\npandas # c\n\n", ["numpy", "''", "'  '", "'# comment'", "'pandas # c'", "''"]),
        (b"a\x0cb\x0bc\x1cd\xc2\x85e\xe2\x80\xa8f\n", list("abcdef")),
        (b"\xef\xbb\xbfnumpy\n", ['"\\uFEFFnumpy"']),
        (b"numpy==1 \\\n  --hash=sha256:abc\n", ["numpy==1 \\", "'  --hash=sha256:abc'"]),
        (b"numpy\nnumpy\npip==20\n", ["numpy", "numpy", "pip==20"]),
    ],
)
def test_the_lines_become_the_pip_block_as_the_client_makes_it(data: bytes, items: list[str]) -> None:
    assert canonical(data) == text(*items)


def test_an_empty_file_gives_an_empty_pip_block() -> None:
    assert "- pip: []\n" in canonical(b"")


def test_the_python_version_can_be_chosen() -> None:
    assert canonical(b"numpy\n", python="3.11") == text("numpy", python="3.11")


def test_the_default_specification_of_the_client_keeps_its_name() -> None:
    # FACTS §1.1: the template specification has no `pip` after the block.
    template = text("azureml-defaults").replace("- pip\n", "")
    assert conda_environment_name(template) == "azureml_f3f7e6c5fb83d94df23933000bf02da3"


def test_a_file_that_is_not_utf8_is_refused_with_its_line() -> None:
    with pytest.raises(DefinitionError) as caught:
        canonical(b"numpy\n# \xe9\n")
    assert (caught.value.line, caught.value.column) == (2, 3)


def test_files_it_includes_are_laid_beside_the_specification() -> None:
    tree = MemoryTree({"e/requirements.txt": b"-r base.txt\n", "e/base.txt": b"numpy\n"})
    (file,) = read_definition(tree, "e/requirements.txt").extra_files
    assert (file.path, file.source) == ("base.txt", "e/base.txt")


def test_a_missing_included_file_is_an_error_at_its_line() -> None:
    with pytest.raises(DefinitionError) as caught:
        canonical(b"numpy\n-r base.txt\n")
    assert caught.value.place == "requirements.txt:2"
    assert caught.value.hint
