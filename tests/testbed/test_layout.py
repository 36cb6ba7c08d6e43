"""The run directory: always short enough for a Unix socket."""

from pathlib import Path

import pytest
from layout import LONGEST_RUN_DIRECTORY, Layout


def test_a_short_path_keeps_its_sockets_inside(tmp_path_factory: pytest.TempPathFactory) -> None:
    layout = Layout(Path("/tmp") / tmp_path_factory.mktemp("x").name)
    layout.create()
    try:
        assert layout.run_directory() == layout.root / "run"
    finally:
        (layout.root / "run").rmdir()
        layout.root.rmdir()


def test_a_long_path_gets_one_short_directory_for_good(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "a-directory-name-that-is-far-too-long-for-a-unix-socket-address")
    layout.create()
    first = layout.run_directory()
    try:
        assert len(str(first)) <= LONGEST_RUN_DIRECTORY
        assert layout.run_directory() == first
    finally:
        first.rmdir()
