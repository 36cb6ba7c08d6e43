"""Debian packages taken apart without installing them.

Each suite gets its own apt state and package cache, so the machine's apt is
neither used nor changed. Addresses come from the machine's own sources.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from steps import TestbedError, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DEFAULT_ADDRESS = "http://deb.debian.org/debian"
DEFAULT_SUITE = "bookworm"
LISTS_ARE_OLD_AFTER = 24 * 3600.0


@dataclass(frozen=True)
class Source:
    """One line of sources.list."""

    address: str
    suite: str
    components: str
    options: str = ""

    def line(self) -> str:
        """The line in the one-line format of sources.list."""
        options = f"[{self.options}] " if self.options else ""
        return f"deb {options}{self.address} {self.suite} {self.components}"


def machine_suite() -> str:
    """Code name of this machine's Debian, or a default on any other system."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return DEFAULT_SUITE
    if release.get("ID") == "debian":
        return release.get("VERSION_CODENAME", DEFAULT_SUITE)
    return DEFAULT_SUITE


def parse_sources(text: str) -> Iterator[Source]:
    """Binary package sources in either format apt knows."""
    for line in text.splitlines():
        match = re.match(r"deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s+(.+)", line)
        if match:
            yield Source(match[2], match[3], match[4].strip(), match[1] or "")
    for stanza in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, flags=re.MULTILINE))
        if "deb" not in fields.get("Types", "").split():
            continue
        # An embedded key (several lines) cannot be written on one line: leave it out.
        key = fields.get("Signed-By", "").strip()
        options = f"signed-by={key}" if key.startswith("/") else ""
        for address in fields.get("URIs", "").split():
            for suite in fields.get("Suites", "").split():
                yield Source(address, suite, fields.get("Components", "main"), options)


def machine_sources(etc: Path = Path("/etc/apt")) -> list[Source]:
    """Every package source this machine is configured for."""
    files = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    text = "\n\n".join(f.read_text(errors="replace") for f in files if f.is_file())
    return list(parse_sources(text))


def sources_of(suite: str) -> list[Source]:
    """Sources for a suite of Debian, from the mirror that this machine uses.

    Any suite is answered: one that the machine does not list gets the address
    and key of the suite that it does list.
    """
    known = machine_sources()
    listed = [s for s in known if s.suite in {suite, f"{suite}-updates", f"{suite}-security"}]
    if any(source.suite == suite for source in listed):
        return listed
    for source in known:
        if source.suite == machine_suite():
            return [Source(source.address, suite, "main", source.options)]
    return [Source(DEFAULT_ADDRESS, suite, "main")]


class Apt:
    """Downloads packages of one suite; needs apt, but no rights on the system."""

    def __init__(self, directory: Path, suite: str) -> None:
        self.suite = suite
        self.directory = directory / suite
        self.archives = self.directory / "cache" / "archives"
        self._environment = {"APT_CONFIG": str(self.directory / "apt.conf")}

    def fetch(self, *names: str, with_dependencies: bool = True) -> list[Path]:
        """Download packages and return their .deb files.

        With dependencies, what this machine has installed already is left out,
        except for the named packages, which always come.
        """
        if not shutil.which("apt-get"):
            raise TestbedError(
                "apt-get is not on this machine",
                "start a Docker engine yourself and set DOCKER_HOST; the test bed will use it",
            )
        self._configure(names)
        self._update()
        for old in self.archives.glob("*.deb"):
            old.unlink()
        command = ["apt-get", "-qq", "--no-install-recommends", "--download-only"]
        if with_dependencies:
            run([*command, "-y", "install", *names], env=self._environment)
        else:
            run(["apt-get", "-qq", "download", *names], env=self._environment, cwd=self.archives)
        return sorted(self.archives.glob("*.deb"))

    def has(self, name: str) -> bool:
        """Whether the suite has a package of this name."""
        self._configure([])
        self._update()
        shown = run(["apt-cache", "policy", name], env=self._environment)
        return bool(re.search(r"Candidate: \d", shown))

    def _configure(self, names: Iterable[str]) -> None:
        for part in ("state/lists/partial", "cache/archives/partial", "parts"):
            (self.directory / part).mkdir(parents=True, exist_ok=True)
        settings = {
            "Dir::State": self.directory / "state/",
            "Dir::State::status": self.directory / "status",
            "Dir::Cache": self.directory / "cache/",
            "Dir::Etc::sourcelist": self.directory / "sources.list",
            "Dir::Etc::sourceparts": self.directory / "parts",
            "Acquire::Languages": "none",
            # As root, apt would drop to a user who may not read the checkout.
            "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
        }
        text = "".join(f'{key} "{value}";\n' for key, value in settings.items())
        (self.directory / "apt.conf").write_text(text)
        lines = "".join(source.line() + "\n" for source in sources_of(self.suite))
        (self.directory / "sources.list").write_text(lines)
        # The machine's list of installed packages, less what is asked for.
        try:
            stanzas = Path("/var/lib/dpkg/status").read_text(errors="replace").split("\n\n")
        except OSError:
            stanzas = []
        unwanted = {f"Package: {name}" for name in names}
        kept = [s for s in stanzas if s.strip() and s.split("\n", 1)[0] not in unwanted]
        (self.directory / "status").write_text("\n\n".join(kept) + "\n")

    def _update(self) -> None:
        lists = self.directory / "state/lists"
        lists_there = any(lists.glob("*Packages*"))
        checked = self.directory / "updated"
        if lists_there and checked.exists():
            age = time.time() - checked.stat().st_mtime
            if age < LISTS_ARE_OLD_AFTER:
                return
        run(
            ["apt-get", "-qq", "update"],
            env=self._environment,
            hint="no Debian mirror answers; see /etc/apt/sources.list*",
        )
        checked.touch()


def unpack(archives: Iterable[Path], target: Path) -> None:
    """Move the files of .deb packages below `target`; the packages' scripts do not run."""
    target.mkdir(parents=True, exist_ok=True)
    for archive in archives:
        run(["dpkg-deb", "-x", archive, target])
        archive.unlink()


def sysroot_environment(sysroot: Path) -> dict[str, str]:
    """Environment in which programs unpacked below `sysroot` find each other."""
    # Debian 12 still has packages with libraries in /lib.
    libraries = [str(d) for top in ("usr/lib", "lib") for d in sorted(sysroot.glob(f"{top}/*-linux-gnu*"))]
    programs = [str(sysroot / d) for d in ("usr/sbin", "usr/bin", "sbin", "bin")]
    inherited = os.environ.get("LD_LIBRARY_PATH", "")
    system = os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin:/sbin:/bin"
    return {
        "PATH": ":".join([*programs, system]),
        "LD_LIBRARY_PATH": ":".join([*libraries, *filter(None, [inherited])]),
        # iptables looks for its modules in a directory that was fixed when it was built.
        "XTABLES_LIBDIR": ":".join(f"{directory}/xtables" for directory in libraries),
    }
