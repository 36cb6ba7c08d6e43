"""Conda packages (.tar.bz2) written byte for byte reproducibly."""

from __future__ import annotations

import configparser
import hashlib
import io
import json
import os
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

# Any fixed time will do: the same content must give the same archive.
TIMESTAMP_MS = 1_700_000_000_000


@dataclass(frozen=True)
class Entry:
    """A file or a symbolic link of a package."""

    path: str
    content: bytes = b""
    executable: bool = False
    link_to: str | None = None

    def describe(self) -> dict[str, Any]:
        """The entry as info/paths.json lists it."""
        return {
            "_path": self.path,
            "path_type": "hardlink" if self.link_to is None else "softlink",
            "sha256": hashlib.sha256(self.content).hexdigest(),
            "size_in_bytes": len(self.content),
        }


@dataclass(frozen=True)
class Package:
    """What repodata says about a package, and its files."""

    name: str
    version: str
    build: str
    subdir: str
    depends: Sequence[str]
    entries: Sequence[Entry]
    entry_points: Sequence[str] = ()

    @property
    def filename(self) -> str:
        """The archive's name in its channel directory."""
        return f"{self.name}-{self.version}-{self.build}.tar.bz2"

    def index(self) -> dict[str, Any]:
        """The content of info/index.json."""
        noarch = self.subdir == "noarch"
        index = {
            "name": self.name,
            "version": self.version,
            "build": self.build,
            "build_number": 0,
            "subdir": self.subdir,
            "depends": list(self.depends),
            "arch": None if noarch else self.subdir.partition("-")[2].replace("64", "x86_64"),
            "platform": None if noarch else self.subdir.partition("-")[0],
            "license": "see the files of the package",
            "timestamp": TIMESTAMP_MS,
        }
        return index | ({"noarch": "python"} if noarch else {})

    def write(self, channel: Path) -> dict[str, Any]:
        """Write the archive and return its record for repodata.json."""
        entries = sorted(self.entries, key=lambda entry: entry.path)
        paths = {"paths": [e.describe() for e in entries], "paths_version": 1}
        about = [
            Entry("info/index.json", to_json(self.index())),
            Entry("info/files", "".join(e.path + "\n" for e in entries).encode()),
            Entry("info/paths.json", to_json(paths)),
        ]
        if self.subdir == "noarch":
            noarch = {"type": "python", "entry_points": list(self.entry_points)}
            link = {"noarch": noarch, "package_metadata_version": 1}
            about.append(Entry("info/link.json", to_json(link)))
        archive = channel / self.subdir / self.filename
        # Level 1: the archive is read once or twice on the machine that wrote it.
        with tarfile.open(archive, "w:bz2", compresslevel=1, format=tarfile.GNU_FORMAT) as tar:
            for entry in [*about, *entries]:
                add(tar, entry)
        data = archive.read_bytes()
        return self.index() | {
            "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
            "sha256": hashlib.sha256(data).hexdigest(),
            "size": len(data),
        }


def add(tar: tarfile.TarFile, entry: Entry) -> None:
    """Add an entry that carries nothing of this machine: no owner, no time."""
    member = tarfile.TarInfo(entry.path)
    member.mode = 0o755 if entry.executable else 0o644
    if entry.link_to is not None:
        member.type, member.linkname = tarfile.SYMTYPE, entry.link_to
    member.size = len(entry.content)
    tar.addfile(member, io.BytesIO(entry.content))


def to_json(value: Any) -> bytes:
    """JSON in one fixed form."""
    return json.dumps(value, sort_keys=True, indent=1).encode()


def from_directory(root: Path) -> list[Entry]:
    """Every file and link below `root`."""
    entries: list[Entry] = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            entries.append(Entry(name, link_to=str(path.readlink())))
        elif path.is_file():
            entries.append(Entry(name, path.read_bytes(), os.access(path, os.X_OK)))
    return entries


def from_wheel(wheel: Path, depends: Sequence[str], python: str) -> Package:
    """The conda package of a wheel: noarch if the wheel is pure, else for `python` (3.11)."""
    name, version, *_, platform = wheel.stem.split("-")
    pure = platform == "any"
    prefix = PurePosixPath("site-packages" if pure else f"lib/python{python}/site-packages")
    entries: list[Entry] = []
    entry_points: list[str] = []
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            executable = bool((info.external_attr >> 16) & 0o111)
            content = archive.read(info)
            entries.append(Entry(str(prefix / info.filename), content, executable))
            if info.filename.endswith(".dist-info/entry_points.txt"):
                entry_points = console_scripts(content.decode())
            if info.filename.endswith(".dist-info/RECORD"):
                # pip asks this file who installed the project, as real conda packages answer.
                installer = str(prefix / info.filename).removesuffix("RECORD") + "INSTALLER"
                entries.append(Entry(installer, b"conda\n"))
    tag = f"py{python.replace('.', '')}_0"
    return Package(
        name=name.replace("_", "-").lower(),
        version=version,
        build="py_0" if pure else tag,
        subdir="noarch" if pure else "linux-64",
        depends=depends if pure else [*depends, f"python {python}.*"],
        entries=entries,
        entry_points=entry_points,
    )


def console_scripts(text: str) -> list[str]:
    """Commands of an entry_points.txt as conda writes them: `name = module:function`."""
    # The format is an INI file whose keys are case-sensitive and whose only
    # separator is the equals sign.
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    parser.read_string(text)
    if not parser.has_section("console_scripts"):
        return []
    return [f"{name} = {target}" for name, target in parser.items("console_scripts")]
