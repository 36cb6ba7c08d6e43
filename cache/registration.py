"""Which version a definition gets: numbers rise by name, what has not changed keeps its number. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from envkiln.cache.registered_version import RegisteredVersion, VersionError, checked_number


class Change(Enum):
    """What registering did."""

    REGISTERED = "registered"
    """There is one version more."""

    UNCHANGED = "unchanged"
    COMPLETED = "completed"
    """The version was registered while the digest of its base image was not known: it has the digest now."""


@dataclass(frozen=True, slots=True)
class Registration:
    version: RegisteredVersion
    change: Change


def register_as(
    candidate: RegisteredVersion,
    known: Sequence[RegisteredVersion],
    *,
    number: int | None = None,
) -> Registration:
    """Return what registering `candidate` comes to, where `known` are the versions of its name.

    Its own number does not count: it keeps that of the latest version when nothing has changed, gets `number` where
    one is asked for, and otherwise the next. Raises VersionError for a
    number that another definition has, or that does not rise.
    """
    newest = latest(known)
    highest = max((each.version for each in known), default=0)
    if number is None:
        if newest is not None and newest.content == candidate.content:
            return _kept(newest, candidate)
        return Registration(replace(candidate, version=checked_number(highest + 1)), Change.REGISTERED)
    same = next((each for each in known if each.version == checked_number(number)), None)
    if same is not None and same.content == candidate.content and not same.archived:
        return _kept(same, candidate)
    if same is not None:
        what = "is archived" if same.archived else "has another definition"
        raise VersionError(
            f"{candidate.name}:{number} {what}",
            hint=f"register it without a version: it becomes {candidate.name}:{highest + 1}",
        )
    if number < highest:
        raise VersionError(
            f"{number} is lower than {highest}, the highest version of {candidate.name}",
            hint=f"versions rise: register it without a version, and it becomes {highest + 1}",
        )
    return Registration(replace(candidate, version=number), Change.REGISTERED)


def latest(known: Sequence[RegisteredVersion]) -> RegisteredVersion | None:
    """Return what the label `latest` stands for: the highest version that is not archived."""
    return max((each for each in known if not each.archived), key=lambda each: each.version, default=None)


def _kept(version: RegisteredVersion, candidate: RegisteredVersion) -> Registration:
    before, after = version.base_image or "", candidate.base_image or ""
    completed = "@" not in before and after.startswith(f"{before}@")
    kept = replace(version, image=candidate.image, base_image=candidate.base_image) if completed else version
    if candidate.description:
        kept = replace(kept, description=candidate.description)
    return Registration(kept, Change.COMPLETED if completed else Change.UNCHANGED)
