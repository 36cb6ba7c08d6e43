"""What is found about this machine: disk, limits of inotify, permissions. Facts in, findings out. Pure."""

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from envkiln.cache.errors import Turn
from envkiln.daemon.doctor_finding import Finding, good, unknown, warning, wrong
from envkiln.daemon.text import size

_GB = 1_000_000_000
_USUAL_WATCHES = 524_288
_FEW_FILES = 0.02


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """One place: `free` of `total` bytes, `free_files` as a part of all that it can hold, `low` and `least` bytes."""

    what: str
    path: Path
    total: int
    free: int
    free_files: float
    low: int
    least: int


@dataclass(frozen=True, slots=True)
class InotifyFacts:
    """The kernel's limits for this user, what is in use (without envkiln), and what the roots need.

    `counted` is false where there are more directories than were counted.
    """

    max_watches: int
    max_instances: int
    used_watches: int
    used_instances: int
    directories: int
    roots: int
    counted: bool = True


@dataclass(frozen=True, slots=True)
class PathFacts:
    """A file or directory of the service: who has it, with which mode, and what others may never have of it."""

    what: str
    path: Path
    owner: int
    mode: int
    never: int = 0o077
    wanted: int = 0o700


def disk_findings(facts: Sequence[DiskFacts]) -> list[Finding]:
    """Return what is found about the disks."""
    return [_disk_finding(each) for each in facts] or [unknown("disk", "no disk could be looked at")]


def _disk_finding(disk: DiskFacts) -> Finding:
    text = f"{size(disk.free)} of {size(disk.total)} are free for {disk.what} ({disk.path})"
    fix = "make room; `envkiln images` shows what is kept, docker system df what else there is"
    if disk.free < disk.least:
        return wrong("disk", text, fix, Turn.SURROUNDINGS)
    if disk.free < disk.low:
        return warning("disk", text, fix)
    if disk.free_files < _FEW_FILES:
        return warning("disk", f"the disk of {disk.what} ({disk.path}) can hold few files more", "remove small files")
    return good("disk", text)


def inotify_findings(facts: InotifyFacts | None) -> list[Finding]:
    """Return what is found about the kernel's limits of watching."""
    if facts is None:
        return [unknown("inotify", "the kernel does not say its limits")]
    findings = []
    needed = facts.used_watches + facts.directories
    at_least = "" if facts.counted else "at least "
    if needed > facts.max_watches:
        text = (
            f"the roots have {at_least}{facts.directories} directories, other programs use {facts.used_watches} "
            f"watches, and {facts.max_watches} are allowed: some roots are polled"
        )
        findings.append(warning("inotify", text, _sysctl("max_user_watches", _enough(needed))))
    if facts.used_instances + facts.roots > facts.max_instances:
        text = (
            f"{facts.roots} roots need an instance each, other programs use {facts.used_instances}, and "
            f"{facts.max_instances} are allowed: some roots are polled"
        )
        findings.append(warning("inotify", text, _sysctl("max_user_instances", facts.max_instances * 8)))
    text = f"{at_least}{facts.directories} directories are watched, {facts.max_watches - facts.used_watches} can be"
    return findings or [good("inotify", text)]


def _enough(needed: int) -> int:
    limit = _USUAL_WATCHES
    while limit < 2 * needed:
        limit *= 2
    return limit


def _sysctl(name: str, value: int) -> str:
    line = f"fs.inotify.{name}={value}"
    return f"sudo sysctl {line} (for ever: echo {line} | sudo tee -a /etc/sysctl.d/90-envkiln.conf)"


def permission_findings(facts: Sequence[PathFacts], me: int) -> list[Finding]:
    """Return what is found about who may read and write what is the service's; `me` is this user's number."""
    findings = [finding for each in facts if (finding := _permission_finding(each, me)) is not None]
    return findings or [
        good("permissions", "what is envkiln's is this user's alone" if facts else "nothing is there yet")
    ]


def _permission_finding(fact: PathFacts, me: int) -> Finding | None:
    if fact.owner != me:
        text = f"{fact.what} {fact.path} belongs to user {fact.owner}, not to you ({me})"
        return wrong("permissions", text, f"remove it, or: sudo chown -R {me} {fact.path}")
    open_to = stat.S_IMODE(fact.mode) & fact.never
    if not open_to:
        return None
    text = f"{fact.what} {fact.path} has mode {stat.S_IMODE(fact.mode):04o}: others may use it"
    fix = f"chmod {fact.wanted:04o} {fact.path}"
    return wrong("permissions", text, fix) if open_to & 0o022 else warning("permissions", text, fix)
