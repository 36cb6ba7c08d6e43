"""The root file system of the base images: a minimal Debian with Python and `conda`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from debian import Apt, machine_suite, sources_of, sysroot_environment, unpack
from mounts import remove_tree
from steps import TestbedError, is_stamped, run, stamp
from wheels import install_into

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layout import Layout

# The standard library's package brings every shared library that an interpreter
# copied from the machine wants (OpenSSL, SQLite, ...).
PACKAGES = ("python3-minimal", "libpython3-stdlib")
CONDA_PACKAGES = ("py-rattler==0.28.0", "pyyaml==6.0.2")
CONDA_ROOT = "opt/miniconda"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
UNNEEDED = (
    *("usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man"),
    *("var/cache/apt", "var/lib/apt/lists", "var/cache/debconf", "var/log"),
)
CHUNK = 1 << 20


def provide_debian(layout: Layout) -> Path:
    """A directory with a minimal Debian of this machine's suite; needs root."""
    suite = machine_suite()
    root = layout.image / "debian"
    recipe = f"1 {suite} {PACKAGES}"
    if is_stamped(layout.image, recipe):
        return root
    if os.geteuid() != 0:
        raise TestbedError("a root file system can only be made by root")
    remove_tree(layout.image)
    tools = layout.image / "tools"
    apt = Apt(layout.apt, suite)
    unpack(apt.fetch("debootstrap", "wget"), tools)
    source = sources_of(suite)[0]
    environment = sysroot_environment(tools)
    environment["DEBOOTSTRAP_DIR"] = str(tools / "usr/share/debootstrap")
    command: list[str | Path] = [
        tools / "usr/sbin/debootstrap",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        suite,
        root,
        source.address,
    ]
    try:
        run(command, env=environment)
    except TestbedError as error:
        log = root / "debootstrap/debootstrap.log"
        raise TestbedError(f"debootstrap failed; see {log}\n{error}") from error
    for name in UNNEEDED:
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).mkdir()
    shutil.rmtree(tools)
    stamp(layout.image, recipe)
    return root


def provide_conda(layout: Layout, python_version: str) -> Path:
    """A directory with the packages that `conda` imports, for a Python version of the image."""
    packages = layout.root / "conda-packages"
    recipe = f"1 {python_version} {CONDA_PACKAGES}"
    if not is_stamped(packages, recipe):
        shutil.rmtree(packages, ignore_errors=True)
        install_into(layout, packages, CONDA_PACKAGES, python_version)
        stamp(packages, recipe)
    return packages


def image_files(server: str) -> dict[str, bytes]:
    """The small files that are added to Debian, by path; `server` is the channel server."""
    condarc = f"channel_alias: {server}\ndefault_channels:\n- {server}/channel\n"
    pip = (
        "[global]\n"
        f"index-url = {server}/simple\n"
        "disable-pip-version-check = true\n"
        # The machine may trust an authority of its own; pip brings its own list.
        f"cert = {CERTIFICATES}\n"
    )
    files = {
        f"{CONDA_ROOT}/.condarc": condarc.encode(),
        f"{CONDA_ROOT}/bin/conda": b"#!/usr/bin/python3 -I\n" + conda_command(),
        f"{CONDA_ROOT}/conda-meta/history": b"",
        "etc/pip.conf": pip.encode(),
    }
    if CERTIFICATES.exists():
        files[str(CERTIFICATES).lstrip("/")] = CERTIFICATES.read_bytes()
    return files


def conda_command() -> bytes:
    """The text of the `conda` command."""
    return (Path(__file__).parent / "conda_command.py").read_bytes()


def content_hash(files: dict[str, bytes]) -> str:
    """A short hash of everything an image is made of."""
    digest = hashlib.sha256(f"2 {machine_suite()} {PACKAGES} {CONDA_PACKAGES}".encode())
    for path, content in sorted(files.items()):
        digest.update(f"\n{path} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def write_additions(layout: Layout, root: Path, files: dict[str, bytes], python_version: str) -> None:
    """Lay out below `root` what is added to Debian, in place of an earlier addition."""
    shutil.rmtree(root / CONDA_ROOT, ignore_errors=True)
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o755 if target.parent.name == "bin" else 0o644)
    packages = provide_conda(layout, python_version)
    shutil.copytree(packages, root / CONDA_ROOT / "lib/conda-packages", symlinks=True)


def tar(root: Path) -> Iterator[bytes]:
    """The content of a directory as a tar archive, in chunks."""
    command = ["tar", "--create", "--numeric-owner", "--format=gnu"]
    command += ["--sort=name", "--exclude=./dev/*", "-C", str(root), "."]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        while process.stdout and (chunk := process.stdout.read(CHUNK)):
            yield chunk
    if process.returncode:
        raise TestbedError(f"tar ended with {process.returncode}")
