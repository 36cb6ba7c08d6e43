"""What the state believes of registries: what they said of a name, and how far its push is."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from envkiln.daemon.events import Answer, Problem, RegistryImage, Sighting

FIRST_BACK_OFF_S = 5.0
LONGEST_BACK_OFF_S = 600.0
ASK_WHO_BUILDS_S = 5.0
"""How long to wait for an image that somebody else is building, before the registry is asked again."""


def back_off_s(count: int) -> float:
    """Return how long to wait after the try number `count` (from 1) went wrong, in seconds."""
    # The exponent is limited: after a week of failures the power would be no float any more.
    return min(FIRST_BACK_OFF_S * 2.0 ** min(count - 1, 10), LONGEST_BACK_OFF_S)


@dataclass(frozen=True, slots=True)
class Remote:
    """What the registries said of a name. `answer` is None before they said anything.

    After `count` times of not knowing they are asked again at monotonic `due`.
    """

    answer: Answer | None = None
    image: RegistryImage | None = None
    problem: Problem | None = None
    count: int = 0
    asking: bool = False
    due: float = 0.0


@dataclass(frozen=True, slots=True)
class Push:
    """The push of the image `image_id` of a name. `done` says that it was seen in the registry.

    After `count` tries that went wrong, the last with `problem`, it is tried again at monotonic `retry_at`. `asked`
    says that somebody asked for it, whatever the settings are.
    """

    image_id: str
    pushing: bool = False
    done: bool = False
    problem: Problem | None = None
    count: int = 0
    retry_at: float = 0.0
    asked: bool = False


def asks_registries(sighting: Sighting) -> bool:
    """Return whether the registries may be asked for an environment's image."""
    return sighting.settings.pull != "never"


def is_remote(sighting: Sighting, remote: Remote | None) -> bool:
    """Return whether it is enough for an environment that a registry has its image."""
    return sighting.settings.pull == "when-needed" and remote is not None and remote.answer is Answer.YES


def must_push(sighting: Sighting, name: str, registered: Collection[str]) -> bool:
    """Return whether the settings of an environment want its image `name` in the registry."""
    policy = sighting.settings.push
    return policy == "ready" or (policy == "registered" and name in registered)


def silence(remote: Mapping[str, Remote], name: str) -> Problem | None:
    """Return why the registries do not say whether they have `name`; None where they did, or were not asked yet."""
    known = remote.get(name)
    return known.problem if known is not None and known.answer is Answer.UNKNOWN else None
