"""The conda package `python`, made from the interpreter that runs this script."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

from conda_package import Package, from_directory
from steps import TestbedError, run

# Large or unusable in an environment image; sitecustomize and EXTERNALLY-MANAGED
# belong to the system that the interpreter comes from.
LEFT_OUT = {
    *("site-packages", "dist-packages", "test", "tests", "idle_test", "idlelib", "lib2to3"),
    *("turtledemo", "tkinter", "ensurepip", "__pycache__", "config", "sitecustomize.py"),
    *("EXTERNALLY-MANAGED", "_distutils_system_mod.py"),
}
LEFT_OUT_PREFIXES = ("config-", "_tkinter.", "_test", "_ctypes_test", "_xx", "xx")

# Debian's Python reads and installs dist-packages; a conda environment has
# site-packages. Reading is added by a hook, for `site` is frozen into the
# program; installing is decided by one line of sysconfig.
DEBIAN_HOOK = """import site, sys
site.addsitedir(f"{sys.prefix}/lib/python%s/site-packages")
"""
DEBIAN_SCHEME = ("prefix_scheme = 'posix_local'", "prefix_scheme = 'posix_prefix'")


def python_version() -> str:
    """Major and minor version of the running interpreter."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def python_package(patchelf: Path) -> Package:
    """A relocatable copy of the running interpreter and its standard library."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        copy_interpreter(root, patchelf)
        return Package(
            name="python",
            version=platform.python_version(),
            build="0_cpython",
            subdir="linux-64",
            depends=[],
            entries=from_directory(root),
        )


def copy_interpreter(root: Path, patchelf: Path) -> None:
    """Lay out bin/, lib/ and lib/pythonX.Y/ as conda does."""
    name = f"python{python_version()}"
    (root / "bin").mkdir()
    (root / "lib").mkdir()
    binaries = Path(str(sysconfig.get_config_var("BINDIR")))
    program = root / "bin" / name
    shutil.copy2((binaries / name).resolve(), program)
    program.chmod(0o755)
    for alias in ("python", "python3"):
        (root / "bin" / alias).symlink_to(name)
    # Of this module even a virtual environment has the original.
    library = Path(os.__file__).parent
    shutil.copytree(library, root / "lib" / name, symlinks=False, ignore=unwanted)
    packages = root / "lib" / name / "site-packages"
    packages.mkdir()
    (packages / "README.txt").write_text("Installed packages go here.\n")
    # A build with --enable-shared has its code in libpython; Debian's does not.
    shared = Path(str(sysconfig.get_config_var("LIBDIR"))) / str(sysconfig.get_config_var("INSTSONAME"))
    if ".so" in shared.name and shared.exists():
        shutil.copy2(shared, root / "lib" / shared.name)
        (root / "lib" / shared.name).chmod(0o755)
    run([patchelf, "--set-rpath", "$ORIGIN/../lib", program])
    if "dist-packages" in (library / "site.py").read_text(encoding="utf-8"):
        undo_debian_patches(root / "lib" / name)


def unwanted(_directory: str, names: list[str]) -> set[str]:
    """What `shutil.copytree` shall leave out."""
    return {n for n in names if n in LEFT_OUT or n.startswith(LEFT_OUT_PREFIXES)}


def undo_debian_patches(library: Path) -> None:
    """Make a copy of Debian's standard library use site-packages."""
    (library / "sitecustomize.py").write_text(DEBIAN_HOOK % python_version(), encoding="utf-8")
    module = library / "sysconfig.py"
    text = module.read_text(encoding="utf-8")
    if DEBIAN_SCHEME[0] not in text:
        raise TestbedError(
            "sysconfig.py of this Debian's Python is not as expected",
            "run the test bed with a Python that was built from python.org's sources",
        )
    module.write_text(text.replace(*DEBIAN_SCHEME), encoding="utf-8")
