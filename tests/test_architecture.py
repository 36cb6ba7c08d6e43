"""The tree is the architecture: these tests hold its arrows."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
# `index.py` is the one file of `cache` that touches the disk.
IMPURE = {"os", "time", "subprocess", "socket", "random", "threading", "pathlib", "tempfile", "shutil", "datetime"}
PURE_DAEMON = [
    *("events", "state", "draft", "step", "judge", "schedule"),
    *("retention", "needs"),
    *("aliases", "coalesce", "labels", "narrate", "views"),
]


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", sorted((PROJECT / "cache").glob("*.py")), ids=lambda path: path.stem)
def test_cache_is_pure_and_never_imports_daemon(path: Path) -> None:
    imported = set(imports_of(path))
    assert not {name for name in imported if name.startswith("envkiln.daemon")}
    if path.stem != "index":
        assert not {name.split(".")[0] for name in imported} & IMPURE


@pytest.mark.parametrize("name", PURE_DAEMON)
def test_deciding_is_pure(name: str) -> None:
    imported = {module.split(".")[0] for module in imports_of(PROJECT / "daemon" / f"{name}.py")}
    assert not imported & (IMPURE | {"asyncio"})


def test_packages_are_flat() -> None:
    for top in ("cache", "daemon"):
        assert [path.parent.name for path in (PROJECT / top).rglob("__init__.py")] == [top]
