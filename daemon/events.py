"""What can happen (events) and what can be asked of the world (effects): plain frozen values.

Events are facts that the loop feeds to `state.step`; effects are what `step` answers. Nothing here acts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from envkiln.cache.definition import EnvironmentDefinition
from envkiln.cache.errors import DefinitionError, EnvkilnError, Turn
from envkiln.daemon.config import EnvironmentSettings
from envkiln.daemon.messages import ProgressView


class Now(NamedTuple):
    """One instant on both clocks, in seconds: `wall` since 1970, for people; `monotonic`, for waiting."""

    wall: float
    monotonic: float


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as a value: what, where, what to do next, and whose turn it is."""

    message: str
    hint: str | None = None
    place: str | None = None
    turn: Turn = Turn.USER

    @classmethod
    def of(cls, error: EnvkilnError) -> "Problem":
        place = error.place if isinstance(error, DefinitionError) else None
        return cls(error.message, error.hint, place, error.turn)

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


@dataclass(frozen=True, slots=True)
class Sighting:
    """One environment as the last look found it: `found` is its definition, or what is wrong with it."""

    id: str
    root: str
    file: str
    found: EnvironmentDefinition | Problem
    settings: EnvironmentSettings


@dataclass(frozen=True, slots=True)
class KnownImage:
    """An image that stands in the engine under an environment's name, and is believed to be what the name says.

    `references` are all its tags (`repository:tag`), `created` is in seconds since 1970, `size` in bytes.
    """

    name: str
    id: str
    references: frozenset[str]
    created: float = 0.0
    size: int = 0
    digest: str | None = None
    """The digest of its manifest in a registry, where the engine knows one."""


class Answer(Enum):
    """Whether a registry has an image. One that does not answer has not said no: missing and forbidden look alike."""

    YES = "yes"
    NO = "no"
    PENDING = "pending"
    """Not yet: another service, which shares the registry, is building it."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RegistryImage:
    """An image that stands in a registry under an environment's name, and is believed to be what the name says.

    `repository` is `<registry>/azureml/azureml_<hash>`, `digest` that of its manifest, `config` that of its
    configuration; `size` counts its configuration and `layers` as they are stored there, in bytes.
    """

    name: str
    repository: str
    digest: str
    config: str
    layers: tuple[str, ...]
    size: int

    @property
    def reference(self) -> str:
        """What cannot move: `<registry>/azureml/azureml_<hash>@sha256:<digest>`."""
        return f"{self.repository}@{self.digest}"


@dataclass(frozen=True, slots=True)
class Looked:
    """A look found `changed` environments new or different, and `gone` ones no longer there."""

    changed: tuple[Sighting, ...]
    gone: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class EngineConnected:
    """The engine answers. Its images follow as `ImagesListed`; nothing is built before them.

    `has_secrets` says whether the builder `auto` is buildx, which can keep a credential out of an image.
    """

    description: str
    has_secrets: bool | None = None


@dataclass(frozen=True, slots=True)
class EngineLost:
    problem: Problem


@dataclass(frozen=True, slots=True)
class ImagesListed:
    """All known images of the engine, asked for at monotonic time `asked_at`."""

    images: Mapping[str, KnownImage]
    asked_at: float


@dataclass(frozen=True, slots=True)
class BaseResolved:
    """The registry (or the engine) knows the digest of `reference`; None means that it has none."""

    reference: str
    digest: str | None


@dataclass(frozen=True, slots=True)
class BaseUnresolved:
    """Nobody could say the digest of `reference` now: what is known stays.

    `recorded` is what an image or the index says it was the last time, for a state that does not know it yet.
    """

    reference: str
    problem: Problem
    recorded: str | None = None


@dataclass(frozen=True, slots=True)
class RegistryAnswered:
    """What the registries say of `name`: yes with the `image`, no, or unknown with the `problem`.

    A no has a `problem` too where something stands under the name that is not believed. `retry_after_s` is how long
    a registry asks to be left alone.
    """

    name: str
    answer: Answer
    image: RegistryImage | None = None
    problem: Problem | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class ImageNeeded:
    """Somebody is about to use the image of this environment: it has to be in the engine, not only in a registry."""

    id: str


@dataclass(frozen=True, slots=True)
class PushRequested:
    """Somebody asks for a push of this environment's image, whatever the settings are."""

    id: str


@dataclass(frozen=True, slots=True)
class PushEnded:
    """The image `image_id` of `name` stands in the registry as `image`, or does not because of `problem`."""

    name: str
    image_id: str
    image: RegistryImage | None = None
    problem: Problem | None = None
    retry_after_s: float | None = None


class Ending(Enum):
    BUILT = "built"
    FOUND = "found"
    """No build was needed after all: the image was there when we looked once more, or was pulled."""
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """The engine went away: no fault of the build, which starts again when the engine is back."""
    UNANSWERED = "unanswered"
    """Right before the build the registries said neither yes nor no (`BuildEnded.said`): nothing was built."""


@dataclass(frozen=True, slots=True)
class BuildEnded:
    name: str
    ending: Ending
    image: KnownImage | None = None
    problem: Problem | None = None
    passing: bool = False
    seconds: float = 0.0
    pulled: RegistryImage | None = None
    """What the image was pulled from."""
    said: RegistryAnswered | None = None


@dataclass(frozen=True, slots=True)
class AliasSet:
    """`alias` now points to the image of `name`, or could not be set because of `problem`."""

    alias: str
    name: str
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class BuildRequested:
    """Somebody asks for a build of this environment although its image may be there."""

    id: str


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody does not want the build of this environment, until its text changes or a build is asked for."""

    id: str


@dataclass(frozen=True, slots=True)
class Paused:
    """No more builds are to start for this environment; None: for any."""

    id: str | None


@dataclass(frozen=True, slots=True)
class Resumed:
    """Takes one `Paused` back; None: all of them."""

    id: str | None


@dataclass(frozen=True, slots=True)
class Progressed:
    """The running build of `name` has come so far, `elapsed` seconds after its beginning."""

    name: str
    progress: ProgressView
    elapsed: float = 0.0


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """What `state.Policy` has is set anew; no build starts while `concurrent_builds` is 0."""

    concurrent_builds: int
    digest_refresh_s: float


@dataclass(frozen=True, slots=True)
class Registered:
    """The workspace says which image each of the tags `<name>:<version>` should point to."""

    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: back-offs and refreshes may be due."""


Event = (
    Looked
    | EngineConnected
    | EngineLost
    | ImagesListed
    | BaseResolved
    | BaseUnresolved
    | RegistryAnswered
    | ImageNeeded
    | PushRequested
    | PushEnded
    | BuildEnded
    | AliasSet
    | BuildRequested
    | CancelRequested
    | Paused
    | Resumed
    | Progressed
    | Registered
    | Reconfigured
    | Tick
)


@dataclass(frozen=True, slots=True)
class ResolveBase:
    """Ask for the digest of a base image; answer with BaseResolved or BaseUnresolved."""

    reference: str


@dataclass(frozen=True, slots=True)
class AskRegistry:
    """Ask the registries for `name`, for `platform` (None: the engine's own); answer with RegistryAnswered."""

    name: str
    platform: str | None


@dataclass(frozen=True, slots=True)
class PushImage:
    """See to it that the image `image_id` of `name` is in the registry; answer with PushEnded."""

    name: str
    image_id: str
    platform: str | None


@dataclass(frozen=True, slots=True)
class StartBuild:
    """Build the image `name` as environment `id` defines it; answer with BuildEnded, always."""

    name: str
    id: str
    forced: bool


@dataclass(frozen=True, slots=True)
class CancelBuild:
    """Stop the build of `name`; its BuildEnded follows."""

    name: str


@dataclass(frozen=True, slots=True)
class SetAlias:
    """Point `alias` to the image of `name`; answer with AliasSet."""

    alias: str
    name: str


Effect = ResolveBase | AskRegistry | PushImage | StartBuild | CancelBuild | SetAlias
