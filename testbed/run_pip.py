"""Run pip under this interpreter, also where Debian keeps pip in a package of its own; the words are pip's.

Standard library only: it runs before there is a virtual environment.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from layout import Layout
from steps import TestbedError, complain
from wheels import pip_command

if TYPE_CHECKING:
    from collections.abc import Sequence

PROJECT = Path(__file__).resolve().parent.parent


def main(words: Sequence[str]) -> int:
    """Run pip with these words and return its exit code; 1 with a hint when there is no pip to run."""
    layout = Layout(PROJECT / "build/testbed")
    try:
        command = pip_command(layout)
    except TestbedError as error:
        complain(error)
        return 1
    return subprocess.run([*command, *words], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
