"""What a definition may not do, whatever stands in it.

Of the web page, tests/daemon/test_web.py; of links and files outside of the root, tests/daemon/test_disk_tree.py.
"""

import io
import json
import re
import tarfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from envkiln.cache.definition import EnvironmentDefinition, ImageReference
from envkiln.cache.dockerfile import Dialect
from envkiln.cache.errors import EnvkilnError
from envkiln.cache.formats import read_definition
from envkiln.cache.identity import identify
from envkiln.cache.setup_content import setup_content
from envkiln.cache.source import MemoryTree
from envkiln.daemon.context_tar import write_tar
from envkiln.daemon.disk_tree import DigestCache, DiskTree

BASE = ImageReference.parse("base:1")
EVIL = "\nRUN touch /evil\n"
# What has a meaning in a Dockerfile, a shell, a path, a terminal or YAML.
_PIECES = (
    *("\n", "\r", "\\", "\\\n", "RUN x", "`", "$(x)", "${X}", "<<EOF", "#", "'", '"', "../", "/etc/passwd"),
    *("\x1b[31m", "\u2028", "\u202e", "\x85", "\x00", ":", "@", " ", "a", "=1", "# syntax=evil\n"),
)
TEXTS = st.lists(st.sampled_from(_PIECES), max_size=6).map("".join)
MAINS = ("env.yml", "environment.yml", "requirements.txt", "Dockerfile", "azureml_environment.json")


def read(files: dict[str, str], main: str) -> EnvironmentDefinition | None:
    tree = MemoryTree({path: text.encode(errors="surrogateescape") for path, text in files.items()})
    try:
        return read_definition(tree, main)
    except EnvkilnError as error:
        for said in (str(error), error.message, error.hint or ""):
            assert is_harmless(said)
        return None


def is_harmless(text: str) -> bool:
    """Return whether a terminal shows a message as it is."""
    return not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", text)


def instructions(text: str) -> list[str]:
    """Return the first words of a Dockerfile's instructions, as an engine reads them."""
    joined = re.sub(r"\\[ \t]*\n", " ", text)
    lines = (line.strip() for line in joined.split("\n"))
    return [line.split()[0] for line in lines if line and not line.startswith("#")]


def built(found: EnvironmentDefinition, dialect: Dialect) -> tuple[str, list[str]]:
    """Return the Dockerfile that is built, and the names in the context that is sent."""
    content = setup_content(found, identify(found, BASE), dialect)
    archive = io.BytesIO()
    write_tar(content, MemoryTree({}), archive)
    with tarfile.open(fileobj=io.BytesIO(archive.getvalue())) as opened:
        names = opened.getnames()
        file = opened.extractfile(content.dockerfile)
        assert file is not None
        return file.read().decode(), names


def plain_instructions(dialect: Dialect) -> list[str]:
    found = read({"env.yml": "dependencies: [a]"}, "env.yml")
    assert found is not None
    return instructions(built(found, dialect)[0])


@pytest.mark.parametrize("dialect", Dialect)
@given(name=TEXTS, channel=TEXTS, package=TEXTS, pip=TEXTS, variable=TEXTS)
@example(name=EVIL, channel=EVIL, package=EVIL, pip=EVIL, variable=EVIL)
def test_no_value_of_a_conda_file_adds_an_instruction(
    dialect: Dialect, name: str, channel: str, package: str, pip: str, variable: str
) -> None:
    document = {
        "name": name,
        "channels": [channel],
        "dependencies": [package, {"pip": [pip]}],
        "variables": {"A": variable},
    }
    found = read({"env.yml": json.dumps(document)}, "env.yml")
    if found is not None:
        text, names = built(found, dialect)
        assert instructions(text) == plain_instructions(dialect)
        assert not [name for name in names if name.startswith("/") or ".." in name.split("/")]


@given(image=TEXTS, name=TEXTS, description=TEXTS)
@example(image=f"base:1{EVIL}", name=EVIL, description=EVIL)
def test_no_image_or_name_of_a_v2_file_adds_an_instruction(image: str, name: str, description: str) -> None:
    document = {"name": name, "description": description, "image": image, "conda_file": {"dependencies": ["a"]}}
    found = read({"environment.yml": json.dumps(document)}, "environment.yml")
    if found is not None:
        text, _ = built(found, Dialect.CLASSIC)
        assert instructions(text) == plain_instructions(Dialect.CLASSIC)


@pytest.mark.parametrize("reference", ["../secret", "/etc/passwd", "a/../../secret", "link", "..%2fsecret"])
@pytest.mark.parametrize("option", ["-r ", "-c ", "--requirement=", ""])
def test_no_reference_reaches_a_file_outside_of_the_root(tmp_path: Path, reference: str, option: str) -> None:
    (tmp_path / "secret").write_text("canary-of-somebody-else")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "requirements.txt").write_text(f"{option}{reference}\n")
    try:
        said = repr(read_definition(DiskTree(root, DigestCache()), "requirements.txt"))
    except EnvkilnError as error:
        said = str(error)
    assert "canary" not in said


@pytest.mark.parametrize("main", MAINS)
@given(before=TEXTS, after=TEXTS)
@example(before="\x1b]0;title\x07", after="")
def test_no_message_has_what_a_terminal_obeys(main: str, before: str, after: str) -> None:
    read({main: f"{before}dependencies: [{after}]\nchannels: {after}\n"}, main)
