"""Real, published files: everything is named, or refused with a message and a hint. Skipped where they are absent."""

import gzip
import json
import os
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from envkiln.cache.definition import ImageReference
from envkiln.cache.errors import DefinitionError
from envkiln.cache.formats import read_definition
from envkiln.cache.identity import identify
from envkiln.cache.names import is_image_name
from envkiln.cache.source import MemoryTree, SourceTree

CORPUS = Path(os.environ.get("ENVKILN_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus")
BASE = ImageReference.parse("mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1")

pytestmark = pytest.mark.skipif(not (CORPUS / "specs.tar.gz").exists(), reason="the corpus is not here")

# Conda files that v1 refuses or that refer to files that were not collected; each is refused on purpose.
REFUSED_CONDA = {
    "Environment error: unknown": "conda-lock, conda-devenv and Azure ML v1 differ: the v1 client refuses other keys",
    "not a conda environment": "conda-lock's own files: mappings as dependencies, other keys in a .yaml",
    "the file '": "a `-r` file that was not collected",
    "'../context/requirements.txt' lies outside": "Azure ML copies nothing, and pip runs in the image",
    "`pip:` has no packages": "a template with an empty block",
}


def name_or_error(tree: SourceTree, path: str) -> str | DefinitionError:
    """Return the image name, or the error that a person would see."""
    try:
        name = identify(read_definition(tree, path), BASE).image
    except DefinitionError as error:
        return error
    assert is_image_name(name)
    return name


def test_every_file_is_named_or_refused_with_a_message_and_a_hint() -> None:
    with tarfile.open(CORPUS / "specs.tar.gz") as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}  # type: ignore[union-attr]
    kinds = {}
    for line in (CORPUS / "manifest.jsonl").read_text().splitlines():
        entry = json.loads(line)
        kinds[entry["path"]] = (entry["kind"], entry["subkind"])
    tree = MemoryTree(files)
    named: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    surprises = []
    for path in files:
        kind, subkind = kinds[path]
        name = name_or_error(tree, path)
        if isinstance(name, str):
            named[kind] += 1
            continue
        assert name.message, path
        assert name.hint, (path, name.message)
        refused[kind] += 1
        if (kind, subkind) == ("conda", "env") and not name.message.startswith(tuple(REFUSED_CONDA)):
            surprises.append(str(name))
    assert surprises == []
    assert named["requirements"] == 34
    assert named["aml_v1"] == 1
    assert named["other"] == 0
    # 940 are collected as conda files: 14 cannot be parsed or are lists of another kind, 32 are refused above.
    assert named["conda"] > 880
    assert refused["conda"] < 60


def test_a_real_edit_changes_the_name_exactly_where_it_changes_the_data() -> None:
    # The reasons why an edit is left out, or counts otherwise:
    # - one side is refused (see above, and conflict markers): it has no name;
    # - "name_or_prefix_only": the data differs in the declared name, which no name depends on.
    deviations = []
    compared = 0
    for line in gzip.decompress((CORPUS / "edits.jsonl.gz").read_bytes()).splitlines():
        edit = json.loads(line)
        if edit["kind"] != "conda" or edit["semantically_equal"] is None:
            continue
        before, after = (named_edit(edit, side) for side in ("before", "after"))
        if isinstance(before, DefinitionError) or isinstance(after, DefinitionError):
            continue
        compared += 1
        expected = edit["semantically_equal"] or edit["classification"] == "name_or_prefix_only"
        if (before == after) is not expected:
            deviations.append((edit["repo"], edit["path"], edit["classification"]))
    assert deviations == []
    assert compared > 200


def named_edit(edit: dict[str, Any], side: str) -> str | DefinitionError:
    path = edit["path"].rpartition("/")[2]
    return name_or_error(MemoryTree({path: edit[side]["text"].encode()}), path)
