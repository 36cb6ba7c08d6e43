"""Everything the daemon believes, as one frozen value. `step.step` makes the next one; nothing else does."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain

from envkiln.cache.definition import EnvironmentDefinition, ImageReference
from envkiln.cache.identity import Identity, base_image_of
from envkiln.daemon.events import KnownImage, Now, Problem, Sighting
from envkiln.daemon.messages import ProgressView
from envkiln.daemon.registry_facts import Push, Remote

EVERYTHING = ""
"""Stands in `State.paused` for all environments; no id is empty."""


class Phase(Enum):
    """The life of an environment (docs/design.md)."""

    INVALID = "invalid"
    """The definition has an error; the last good image stays."""
    QUEUED = "queued"
    BUILDING = "building"
    READY = "ready"
    FAILED = "failed"
    NAMED = "named"
    """Only named: the setting `build` is false."""


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment. `since` is the wall time at which phase or image last changed.

    `last_good` is the name of the last image that was ready: its aliases still point there. `aliases` are the
    references that its settings give it (`aliases.aliases_of`).
    """

    sighting: Sighting
    identity: Identity | None
    phase: Phase
    since: float
    reason: str
    last_good: str | None = None
    aliases: tuple[str, ...] = ()

    @property
    def wanted(self) -> str | None:
        """The name of the image that this environment asks for."""
        return self.identity.image if self.identity else None

    @property
    def problem(self) -> Problem | None:
        return self.sighting.found if isinstance(self.sighting.found, Problem) else None


@dataclass(frozen=True, slots=True)
class Build:
    """A build that is running, for the environment `id` among those that share the name."""

    name: str
    id: str
    started: Now
    forced: bool = False
    cancelling: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the last build of a name failed. `retry_at` (monotonic) is None for a cause that will not pass."""

    problem: Problem
    count: int
    retry_at: float | None


@dataclass(frozen=True, slots=True)
class Base:
    """What is known of a base image's tag. No build starts on it before somebody `answered` once.

    `due` is the monotonic time of the next question.
    """

    digest: str | None = None
    answered: bool = False
    asking: bool = False
    due: float = 0.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """An alias that could not be set to `name`; asked again at monotonic `retry_at`."""

    name: str
    problem: Problem
    retry_at: float


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """`listed` says that its images are known: only then can a missing image be told from an unknown one."""

    connected: bool = False
    listed: bool = False
    problem: Problem | None = None
    description: str = ""
    has_secrets: bool | None = None
    """Whether the builder `auto` can keep a credential out of an image; as it was last known."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings say to `step`: how many builds run side by side, and how often a digest is asked for (s).

    `registries` says that there are any to ask. `host` is unlike that of other machines: it puts names that have
    waited equally long into an order of this machine's own (`schedule.next_builds`); empty, they go by name.
    """

    concurrent_builds: int = 2
    digest_refresh_s: float = 86400.0
    registries: bool = False
    host: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """`wanted` maps an image name to the environments that ask for it; `queue` holds names that need a build.

    `seen` is the monotonic time at which an image was last known to be there; `setting` the aliases being set.
    """

    policy: Policy = Policy()
    engine: EngineStatus = EngineStatus()
    environments: Mapping[str, Environment] = field(default_factory=dict)
    wanted: Mapping[str, frozenset[str]] = field(default_factory=dict)
    images: Mapping[str, KnownImage] = field(default_factory=dict)
    seen: Mapping[str, float] = field(default_factory=dict)
    queue: Mapping[str, float] = field(default_factory=dict)
    builds: Mapping[str, Build] = field(default_factory=dict)
    failures: Mapping[str, Failure] = field(default_factory=dict)
    bases: Mapping[str, Base] = field(default_factory=dict)
    setting: Mapping[str, str] = field(default_factory=dict)
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    claims: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Which environments claim an alias; the first by id owns it."""
    registered: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The tags that registered versions give an image, by its name."""
    progress: Mapping[str, ProgressView] = field(default_factory=dict)
    """How far the running builds are, by name, where that is known."""
    remote: Mapping[str, Remote] = field(default_factory=dict)
    """What the registries said of wanted images."""
    silent: frozenset[str] = frozenset()
    """The names for which they are asked again at the `due` time of `remote`."""
    recalled: float = -math.inf
    """The monotonic time at which an answer last made those be asked sooner."""
    pushes: Mapping[str, Push] = field(default_factory=dict)
    needed: frozenset[str] = frozenset()
    """The names that somebody is about to use: a registry's word is not enough for them."""
    forced: frozenset[str] = frozenset()
    paused: frozenset[str] = frozenset()
    """The environments for which no build is to start; `EVERYTHING` stands for all."""
    changed: frozenset[str] = frozenset()
    """The environments that the last step derived anew or removed."""


def movable_base(sighting: Sighting) -> ImageReference | None:
    """Return the base image whose digest has to be asked for, None where the name needs none."""
    found = sighting.found
    if not isinstance(found, EnvironmentDefinition) or found.context is not None or found.base_dockerfile is not None:
        return None
    base = base_image_of(found, sighting.settings.base_image)
    return None if base.digest or sighting.settings.base_image_digest == "ignore" else base


def next_wake(state: State) -> float | None:
    """Return the monotonic time at which a Tick has something to do, None if there is none.

    It may have passed, when other events came just then: until there was a Tick, the time stays.
    """
    times = chain(
        (failure.retry_at for name, failure in state.failures.items() if _waits(state, name)),
        (base.due for base in state.bases.values() if not base.asking),
        (refusal.retry_at for refusal in state.refusals.values()),
        (state.remote[name].due for name in state.silent),
        (push.retry_at for push in state.pushes.values() if push.problem is not None),
    )
    return min((time for time in times if time is not None), default=None)


def _waits(state: State, name: str) -> bool:
    """Return whether an environment waits for the next try: one whose time has come is queued, or needs none."""
    return any(state.environments[id_].phase is Phase.FAILED for id_ in state.wanted.get(name, ()))


def is_idle(state: State) -> bool:
    """Return whether nothing runs and nothing waits that could run now."""
    pushing = any(push.pushing for push in state.pushes.values())
    return not state.builds and not state.queue and not state.setting and not pushing
