"""How the v1 client reads the items of a conda specification: names, versions of Python, options (FACTS §2.3).

Pure; every rule is observed with azureml-core 1.61.0.post4, and `tests/witness/test_conda_dependencies.py` compares.
"""

import re
from collections.abc import Iterable

_END_OF_NAME = re.compile(r"[=<>~!\[]")
_PYTHON_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)?(?:[ab]\d+)?\Z")


def is_python(item: object) -> bool:
    """Return whether an item of `dependencies` counts as the Python interpreter.

    `python`, `python=3.9` and `python[build=x]` do; `python =3.9` and `conda-forge::python=3.9` do not.
    """
    return isinstance(item, str) and _END_OF_NAME.split(item, maxsplit=1)[0] == "python"


def python_version(item: str) -> str | None:
    """Return the version that the text ends in (`3.9`, `3.9.1`, `3.10a1`), None for any other end such as `3.9.*`."""
    match = _PYTHON_VERSION.search(item)
    return match[0] if match else None


def is_option(item: object) -> bool:
    """Return whether a line of the pip part is an option."""
    return isinstance(item, str) and item.startswith("-")


def option_name(option: str) -> str:
    """Return what two options must have in common to replace each other: the first word."""
    return option.split(maxsplit=1)[0]


def pip_name(package: str) -> str:
    """Return what two pip packages must have in common to replace each other; letter case counts.

    Of a wheel's URL it is the name in the file's name.
    """
    file = package.rpartition("/")[2]
    if "/" in package and file.endswith(".whl") and "-" in file:
        return file.partition("-")[0]
    return _END_OF_NAME.split(package, maxsplit=1)[0]


def merged(requirements: Iterable[str]) -> list[str]:
    """Return one line per package, in order of their first: `a>=1` and `a<2` are `a>=1,<2`."""
    found: dict[str, list[str]] = {}
    for requirement in requirements:
        name = _END_OF_NAME.split(requirement, maxsplit=1)[0]
        found.setdefault(name, []).append(requirement.removeprefix(name))
    return [name + ",".join(filter(None, rests)) for name, rests in found.items()]
