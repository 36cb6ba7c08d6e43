"""The two base images: Debian with a current `conda`, and with one of 2020."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from debian import machine_suite
from rootfs import (
    CONDA_ROOT,
    PACKAGES,
    content_hash,
    image_files,
    provide_debian,
    tar,
    write_additions,
)
from steps import TestbedError, step

if TYPE_CHECKING:
    from engine import Engine
    from layout import Layout

# Its value is the owner: `clean` leaves the images of another checkout alone.
LABEL = "envkiln.testbed"
RECIPE_LABEL = "envkiln.testbed.recipe"
REPOSITORY = "envkiln-testbed/conda"
PATH = f"/{CONDA_ROOT}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Python of the public Debian image's suite; the wheels of `conda` are chosen for it.
PUBLIC_PYTHON = {"bookworm": "3.11", "trixie": "3.13"}


@dataclass(frozen=True)
class Variant:
    """One of the images; they differ in nothing but the version that `conda` plays."""

    tag: str
    conda_version: str

    @property
    def image(self) -> str:
        """Its name in the engine."""
        return f"{REPOSITORY}:{self.tag}"


CURRENT = Variant("26", "26.9.0")
OLD = Variant("4", "4.8.3")


def provide_base_images(layout: Layout, engine: Engine, server: str) -> None:
    """Make both images unless the engine has them as they would be made now."""
    files = image_files(server)
    recipe = f"{content_hash(files)}-{layout.owner}"
    with step("base images") as current:
        labels = [engine.api.image_labels(variant.image) for variant in (CURRENT, OLD)]
        if all(found and found.get(RECIPE_LABEL) == recipe for found in labels):
            current.note = "there already"
            return
        current.note = "missing or outdated"
    _make_current(layout, engine, files, recipe)
    with step("base image " + OLD.image):
        # Same layers: only the configuration differs.
        dockerfile = f"FROM {CURRENT.image}\nENV ENVKILN_TESTBED_CONDA={OLD.conda_version}\n"
        engine.api.build_image(OLD.image, context(dockerfile))


def _make_current(layout: Layout, engine: Engine, files: dict[str, bytes], recipe: str) -> None:
    settings = [
        f"ENV PATH={PATH}",
        f"ENV ENVKILN_TESTBED_CONDA={CURRENT.conda_version}",
        f"LABEL {LABEL}={layout.owner} {RECIPE_LABEL}={recipe}",
        'CMD ["bash"]',
    ]
    can_debootstrap = os.geteuid() == 0 and shutil.which("apt-get") is not None
    if not engine.private and not can_debootstrap:
        with step("base image " + CURRENT.image) as current:
            current.note = _build_on_public(layout, engine, files, settings)
        return
    with step("debian root file system"):
        root = provide_debian(layout)
    with step("base image " + CURRENT.image):
        found = sorted(path.name for path in (root / "usr/bin").glob("python3.*"))
        if not found:
            raise TestbedError(f"{root} has no Python", "run `clean`, then `up`")
        write_additions(layout, root, files, found[0].removeprefix("python"))
        engine.api.import_image(CURRENT.image, settings, tar(root))


def _build_on_public(layout: Layout, engine: Engine, files: dict[str, bytes], settings: list[str]) -> str:
    """Without root on Debian: the engine pulls Debian's public image and installs into it."""
    suite = machine_suite()
    additions = layout.root / "additions"
    shutil.rmtree(additions, ignore_errors=True)
    write_additions(layout, additions, files, PUBLIC_PYTHON.get(suite, "3.11"))
    lines = [
        f"FROM debian:{suite}-slim",
        f"RUN apt-get update && apt-get install -y --no-install-recommends {' '.join(PACKAGES)}",
        f"COPY {CONDA_ROOT.partition('/')[0]} /{CONDA_ROOT.partition('/')[0]}",
        "COPY etc /etc",
        *settings,
    ]
    (additions / "Dockerfile").write_text("\n".join(lines) + "\n")
    engine.api.build_image(CURRENT.image, b"".join(tar(additions)), host_network=True)
    shutil.rmtree(additions)
    return f"on debian:{suite}-slim"


def remove_images(layout: Layout, engine: Engine) -> str:
    """Remove this test bed's base images and every image made from one; says how many went and how many stay."""
    label = f"{LABEL}={layout.owner}"
    names = found = engine.api.images_with_label(label)
    while names:
        for name in names:
            engine.api.remove_image(name)
        left = engine.api.images_with_label(label)
        # An engine keeps an image while another is made from it: go on as long as that frees some.
        if len(left) >= len(names):
            break
        names = left
    note = f"{len(found) - len(names)} removed from {engine.host}"
    return f"{note}, {len(names)} in use by containers left" if names else note


def context(dockerfile: str) -> bytes:
    """A build context that holds nothing but a Dockerfile."""
    content = dockerfile.encode()
    buffer = io.BytesIO()
    # GNU format: BuildKit takes Python's default (PAX) headers for a Dockerfile.
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
