"""The buildx plugin, in a DOCKER_CONFIG directory of its own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from debian import Apt, unpack
from steps import TestbedError, run, step

if TYPE_CHECKING:
    from layout import Layout

# Debian 12 has no docker-buildx; the one of testing is content with glibc 2.34.
SUITES = ("testing", "trixie")
PLUGIN_PLACES = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)


def provide_buildx(layout: Layout) -> Path | None:
    """The DOCKER_CONFIG directory whose plugin works, or None (the line says why)."""
    plugin = layout.docker_config / "cli-plugins/docker-buildx"
    with step("buildx") as current:
        if not plugin.exists():
            try:
                current.note = _install(layout, plugin)
            except TestbedError as error:
                current.note = f"not available: {error}"
                return None
        current.note = current.note or "there already"
    return layout.docker_config


def _install(layout: Layout, plugin: Path) -> str:
    plugin.parent.mkdir(parents=True, exist_ok=True)
    config = layout.docker_config / "config.json"
    config.write_text("{}\n")
    for place in (Path.home() / ".docker/cli-plugins", *map(Path, PLUGIN_PLACES)):
        installed = place / "docker-buildx"
        if os.access(installed, os.X_OK):
            plugin.symlink_to(installed)
            return f"the machine's own {installed}"
    reasons: list[str] = []
    for suite in SUITES:
        unpacked = layout.root / "buildx"
        try:
            apt = Apt(layout.apt, suite)
            unpack(apt.fetch("docker-buildx", with_dependencies=False), unpacked)
            binary = next(unpacked.glob("usr/lib*/docker/cli-plugins/docker-buildx"))
            version = run([binary, "version"]).split()[1]
        except (TestbedError, StopIteration) as error:
            reasons.append(f"{suite}: {error or 'no plugin in the package'}")
            continue
        finally_at = plugin.with_suffix(".new")
        shutil.copy2(binary, finally_at)
        finally_at.replace(plugin)
        shutil.rmtree(unpacked)
        return f"{version} of Debian {suite}"
    raise TestbedError("; ".join(reasons))
