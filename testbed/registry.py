"""Debian's docker-registry: the program only; tests start it, with a store of their own."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from debian import Apt, machine_suite, unpack
from steps import TestbedError, step

if TYPE_CHECKING:
    from pathlib import Path

    from layout import Layout

PACKAGE = "docker-registry"


def provide_registry(layout: Layout) -> Path | None:
    """The registry's program, or None where it cannot be had (the line says why)."""
    with step("registry") as current:
        program = layout.root / "registry" / "usr" / "bin" / PACKAGE
        installed = shutil.which(PACKAGE)
        if program.exists():
            current.note = "there already"
        elif installed:
            program.parent.mkdir(parents=True, exist_ok=True)
            program.symlink_to(installed)
            current.note = f"the machine's own {installed}"
        else:
            try:
                archives = Apt(layout.apt, machine_suite()).fetch(PACKAGE, with_dependencies=False)
                unpack(archives, layout.root / "registry")
                current.note = "unpacked"
            except TestbedError as error:
                current.note = f"not available: {error}"
                return None
    return program
