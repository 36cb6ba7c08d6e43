"""An image with systemd as its init, for tests of the service under it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from base_image import CURRENT, LABEL, PUBLIC_PYTHON, RECIPE_LABEL, context
from debian import machine_suite
from steps import TestbedError, step

if TYPE_CHECKING:
    from engine import Engine
    from layout import Layout

IMAGE = "envkiln-testbed/systemd:1"
PYTHON_LABEL = "envkiln.testbed.python"
# python3-venv and procps are for what is tested; the rest is systemd with sessions of users.
PACKAGES = ("systemd", "systemd-sysv", "dbus", "dbus-user-session", "libpam-systemd", "python3-venv", "procps")


def provide_systemd_image(layout: Layout, engine: Engine) -> str | None:
    """The name of the image, or None where it cannot be had (the line says why)."""
    base = (engine.api.image_labels(CURRENT.image) or {}).get(RECIPE_LABEL, "")
    recipe = f"2 {' '.join(PACKAGES)} on {base}"
    with step("systemd image") as current:
        if (engine.api.image_labels(IMAGE) or {}).get(RECIPE_LABEL) == recipe:
            current.note = "there already"
            return IMAGE
        install = f"apt-get -qq install -y --no-install-recommends {' '.join(PACKAGES)} >/dev/null"
        lines = [
            f"FROM {CURRENT.image}",
            f"RUN apt-get -qq update && {install} && rm -rf /var/lib/apt/lists/*",
            f'LABEL {LABEL}={layout.owner} {RECIPE_LABEL}="{recipe}" {PYTHON_LABEL}={PUBLIC_PYTHON[machine_suite()]}',
            'CMD ["/lib/systemd/systemd"]',
            "STOPSIGNAL SIGRTMIN+3",
        ]
        try:
            engine.api.build_image(IMAGE, context("\n".join(lines) + "\n"), host_network=True)
        except TestbedError as error:
            current.note = f"not available: {error}"
            return None
        current.note = "made"
    return IMAGE
