"""The `conda` of the base images: the commands that environment images use, on py-rattler.

Goes into the images as /opt/miniconda/bin/conda and imports nothing of the test
bed. Output, errors and exit codes follow conda; `ENVKILN_TESTBED_CONDA` (set in
the image) says which one.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path("/opt/miniconda")
sys.path.insert(0, str(ROOT / "lib/conda-packages"))
VERSION = os.environ.get("ENVKILN_TESTBED_CONDA", "26.9.0")
# Conda 26.3 removed `info --root`; conda 4 has its own words for errors.
IS_OLD = VERSION.startswith("4.")
PLATFORMS = ["linux-64", "noarch"]


class CondaError(Exception):
    """Raised for what conda reports as an error; `kind` is the name it prints."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Specification:
    """An environment file."""

    channels: Sequence[str]
    packages: Sequence[str]
    pip: Sequence[str]


@contextmanager
def working(title: str) -> Iterator[None]:
    """Conda's progress line on something that is not a terminal."""
    print(f"{title}: ...working... ", end="", flush=True)
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print("done", flush=True)


def load(name: str) -> Any:
    """A module that exists only in the image."""
    return importlib.import_module(name)


def package_caches() -> list[Path]:
    """Where packages are kept: CONDA_PKGS_DIRS, or the usual place."""
    named = os.environ.get("CONDA_PKGS_DIRS", "").replace(",", os.pathsep)
    return [Path(p) for p in named.split(os.pathsep) if p] or [ROOT / "pkgs"]


def read_specification(file: Path) -> Specification:
    """Read an environment file; conda's errors for a missing or odd one."""
    if not file.exists():
        raise CondaError("EnvironmentFileNotFound", f"'{file.absolute()}' file not found")
    try:
        document = load("yaml").safe_load(file.read_text(encoding="utf-8")) or {}
    except load("yaml").YAMLError as error:
        raise CondaError("EnvironmentFileInvalid", f"{file}: {error}") from error
    packages: list[str] = []
    pip: list[str] = []
    for item in document.get("dependencies") or []:
        if isinstance(item, dict):
            pip += item.get("pip") or []
        else:
            packages.append(str(item))
    channels = [str(channel) for channel in document.get("channels") or []]
    if "nodefaults" in channels:
        channels = [channel for channel in channels if channel != "nodefaults"]
    elif "defaults" not in channels:
        channels.append("defaults")
    if pip and not any(package.split("=")[0].strip() == "pip" for package in packages):
        print(
            "Warning: you have pip-installed dependencies in your environment file, but you do not"
            " list pip itself as one of your conda dependencies.  Conda may not use the correct"
            " pip to install your packages, and they may end up in the wrong place.  Please add"
            " an explicit pip dependency.  I'm adding one for you, but still nagging you.",
            file=sys.stderr,
        )
        packages.append("pip")
    return Specification(channels, packages, pip)


def channel_addresses(names: Sequence[str]) -> list[str]:
    """Addresses of channels, in order and each once, as .condarc maps them."""
    settings = load("yaml").safe_load((ROOT / ".condarc").read_text(encoding="utf-8"))
    addresses: list[str] = []
    for name in names:
        if name == "defaults":
            found = [str(address) for address in settings["default_channels"]]
        else:
            found = [name if "://" in name else f"{settings['channel_alias']}/{name}"]
        addresses += [address for address in found if address not in addresses]
    return addresses


async def create(prefix: Path, specification: Specification) -> None:
    """Solve, download and link the conda packages of an environment."""
    rattler = load("rattler")
    errors = load("rattler.exceptions")
    cache = package_caches()[0]
    addresses = channel_addresses(specification.channels)
    if not IS_OLD:
        print("Channels:", *(f" - {c}" for c in specification.channels), sep="\n")
        print("Platform: linux-64")
    channels = [rattler.Channel(address) for address in addresses]
    gateway = rattler.Gateway(cache_dir=cache / "cache")
    try:
        specs = [rattler.MatchSpec(package) for package in specification.packages]
    except errors.InvalidMatchSpecError as error:
        raise CondaError("InvalidMatchSpec", str(error)) from error
    with working("Collecting package metadata (repodata.json)"):
        try:
            found = await gateway.query(channels, PLATFORMS, specs, recursive=False)
        except errors.GatewayError as error:
            raise CondaError("CondaHTTPError", str(error)) from error
    with working("Solving environment"):
        records = [record for part in found for record in part]
        missing = [
            package
            for package, spec in zip(specification.packages, specs, strict=True)
            if not any(spec.matches(record) for record in records)
        ]
        if missing:
            raise not_found(missing, addresses)
        try:
            solved = await rattler.solve(
                channels,
                specs,
                gateway=gateway,
                platforms=PLATFORMS,
                virtual_packages=rattler.VirtualPackage.detect(),
            )
        except errors.SolverError as error:
            kind = "UnsatisfiableError" if IS_OLD else "LibMambaUnsatisfiableError"
            raise CondaError(kind, f"Encountered problems while solving:\n{error}") from error
    print("\n\nDownloading and Extracting Packages: ...working...", flush=True)
    for record in solved:
        print(f"{record.name.normalized}-{record.version}", flush=True)
    try:
        await rattler.install(solved, prefix, cache_dir=cache, show_progress=False)
    except errors.InstallerError as error:
        raise CondaError("CondaError", str(error)) from error
    print("done")
    for stage in ("Preparing", "Verifying", "Executing"):
        with working(f"{stage} transaction"):
            pass
    (prefix / "conda-meta/history").touch()


def not_found(missing: Sequence[str], addresses: Sequence[str]) -> CondaError:
    """Conda's error for packages that no channel has."""
    listed = "".join(f"\n  - {package}" for package in missing)
    if IS_OLD:
        return CondaError("ResolvePackageNotFound", listed)
    current = "".join(f"\n  - {address}" for address in addresses)
    return CondaError(
        "PackagesNotFoundError",
        "The following packages are not available from current channels:\n"
        f"{listed}\n\nCurrent channels:\n{current}\n\n"
        "To search for alternate channels that may provide the conda package you're\n"
        "looking for, navigate to\n\n    https://anaconda.org\n\n"
        "and use the search bar at the top of the page.\n",
    )


def install_with_pip(prefix: Path, file: Path, requirements: Sequence[str]) -> None:
    """Run the environment's pip on a requirements file beside the environment file."""
    print("Installing pip dependencies: ...working... ", end="", flush=True)
    workdir = file.absolute().parent
    with tempfile.NamedTemporaryFile("w", prefix="condaenv.", suffix=".requirements.txt", dir=workdir) as listed:
        listed.write("\n".join(requirements))
        listed.flush()
        command = [str(prefix / "bin/python"), "-m", "pip", "install", "-U", "-r", listed.name]
        if not IS_OLD:
            command.append("--exists-action=b")
        print(f"Ran pip subprocess with arguments:\n{command}", flush=True)
        done = subprocess.run(command, cwd=workdir, capture_output=True, text=True, check=False)
    print(f"Pip subprocess output:\n{done.stdout}", flush=True)
    if done.returncode:
        print(f"Pip subprocess error:\n{done.stderr}\n\nfailed", file=sys.stderr, flush=True)
        raise CondaError("CondaEnvException", "Pip failed")
    print("done")


def env_create(arguments: argparse.Namespace) -> None:
    """`conda env create`."""
    prefix = Path(arguments.prefix) if arguments.prefix else ROOT / "envs" / arguments.name
    if (prefix / "conda-meta").exists():
        raise CondaError("CondaValueError", f"prefix already exists: {prefix}")
    file = Path(arguments.file)
    specification = read_specification(file)
    asyncio.run(create(prefix, specification))
    if specification.pip:
        install_with_pip(prefix, file, specification.pip)
    print(f"#\n# To activate this environment, use\n#\n#     $ conda activate {prefix}\n#")
    print("# To deactivate an active environment, use\n#\n#     $ conda deactivate\n")


def info(arguments: argparse.Namespace) -> None:
    """`conda info`."""
    if arguments.base or getattr(arguments, "root", False):
        print(ROOT)
        return
    print(f"\n     conda version : {VERSION}\n  base environment : {ROOT}")
    print(f"     package cache : {os.pathsep.join(map(str, package_caches()))}\n")


def clean(_arguments: argparse.Namespace) -> None:
    """`conda clean --all`: index cache, archives and packages that no environment links.

    As in conda, a package is in use when one of its files has a second hard
    link; a package cache on another file system than the environment has none.
    """
    for cache in package_caches():
        for entry in cache.iterdir() if cache.is_dir() else ():
            if entry.is_dir():
                files = (f for f in entry.rglob("*") if f.is_file() and not f.is_symlink())
                if entry.name != "cache" and any(f.stat().st_nlink > 1 for f in files):
                    continue
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink()


def install(arguments: argparse.Namespace) -> None:
    """`conda install`: the base environment cannot be changed."""
    raise not_found(arguments.packages, channel_addresses(["defaults"]))


def parser() -> argparse.ArgumentParser:
    """The commands and options that exist in this version."""
    conda = argparse.ArgumentParser(prog="conda")
    conda.add_argument("-V", "--version", action="version", version=f"conda {VERSION}")
    commands = conda.add_subparsers(required=True, metavar="COMMAND")
    environments = commands.add_parser("env").add_subparsers(required=True, metavar="COMMAND")
    creating = environments.add_parser("create")
    target = creating.add_mutually_exclusive_group(required=True)
    target.add_argument("-p", "--prefix")
    target.add_argument("-n", "--name")
    creating.add_argument("-f", "--file", default="environment.yml")
    creating.add_argument("-q", "--quiet", action="store_true")
    creating.set_defaults(run=env_create)
    informing = commands.add_parser("info")
    informing.add_argument("--base", action="store_true")
    if IS_OLD:
        informing.add_argument("--root", action="store_true")
    informing.set_defaults(run=info)
    cleaning = commands.add_parser("clean")
    for short, long in (("-a", "--all"), ("-q", "--quiet"), ("-y", "--yes"), ("-p", "--packages")):
        cleaning.add_argument(short, long, action="store_true")
    cleaning.set_defaults(run=clean)
    installing = commands.add_parser("install")
    installing.add_argument("packages", nargs="+")
    installing.add_argument("-y", "--yes", action="store_true")
    installing.set_defaults(run=install)
    return conda


def main() -> int:
    """Run one command; 0, or 1 for an error of conda's."""
    arguments = parser().parse_args()
    try:
        arguments.run(arguments)
    except CondaError as error:
        print(f"\n{error.kind}: {error}\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: rattler's threads run on while the interpreter is taken down, and now and then crash in it.
    os._exit(status)
