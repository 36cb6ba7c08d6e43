"""Directories whose names are not UTF-8 are environments like all others, and never bring anything down."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ODD = os.fsdecode(b"b\xffd")


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict"])
def test_an_odd_name_is_printed_with_escapes(tmp_path: Path, encoding: str) -> None:
    (tmp_path / ODD).mkdir()
    (tmp_path / ODD / "env.yml").write_text("dependencies:\n- python=3.11\n")
    printed = subprocess.run(
        [sys.executable, "-m", "envkiln.daemon", "name", str(tmp_path / ODD)],
        env={**os.environ, "PYTHONIOENCODING": encoding, "ENVKILN_STATE_DIR": str(tmp_path / "state")},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (printed.returncode, printed.stderr) == (0, b"")
    assert b"azureml/azureml_" in printed.stdout
