"""Definition bytes to both names, against the YAML loader alone on the same bytes."""

import os
import tarfile
from pathlib import Path

import yaml
from rows import SPEC, Row, median, paired, quantile

from envkiln.cache.definition import Format, ImageReference
from envkiln.cache.errors import DefinitionError
from envkiln.cache.formats import read_definition
from envkiln.cache.identity import identify
from envkiln.cache.source import MemoryTree

BASE = ImageReference.parse("mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1")
ROUNDS = 21


def specifications() -> list[bytes]:
    """Return real conda specifications where a corpus is given ($ENVKILN_CORPUS), else ones of their usual shapes."""
    corpus = os.environ.get("ENVKILN_CORPUS")
    if corpus:
        with tarfile.open(Path(corpus) / "specs.tar.gz") as archive:
            files = [archive.extractfile(member) for member in archive if member.isfile()]
            return [data for file in files if file and _is_conda(data := file.read())]
    shapes = [SPEC.format(number=number).encode() for number in range(50)]
    shapes += [
        b"channels:\n- conda-forge\ndependencies:\n" + b"".join(b"- package-%d=1.%d\n" % (n, n) for n in range(count))
        for count in range(1, 100, 2)
    ]
    return shapes


def _is_conda(data: bytes) -> bool:
    try:
        return read_definition(MemoryTree({"env.yml": data}), "env.yml").format is Format.CONDA
    except DefinitionError:
        return False


def ratio(data: bytes) -> float:
    """Return the ratio for one specification: the smallest of the pairs, which is what the work costs by itself."""
    tree = MemoryTree({"env.yml": data})
    return median(
        paired(
            lambda: identify(read_definition(tree, "env.yml"), BASE),
            lambda: yaml.load(data, yaml.CSafeLoader),
            ROUNDS,
        )
    )


def rows() -> list[Row]:
    ratios = [ratio(data) for data in specifications()]
    return [
        Row(
            "definition bytes -> both names",
            "`yaml.load(CSafeLoader)` of the same bytes",
            f"{median(ratios):.2f} x (p99 {quantile(ratios, 0.99):.2f} x, {len(ratios)} specifications)",
            "<= 2.0 x (p99 <= 2.5 x)",
        )
    ]


if __name__ == "__main__":
    for row in rows():
        print(row)
