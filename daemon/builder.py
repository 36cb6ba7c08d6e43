"""The contract of a builder: one definition in, one tagged image in the engine out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from envkiln.cache.definition import EnvironmentDefinition
from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.cache.identity import Identity
from envkiln.cache.source import SourceTree

Log = Callable[[str], None]
"""Takes one line of build output, without its line end; called from the event loop's thread."""


BuilderKind = Literal["auto", "buildx", "classic"]


def has_secrets(kind: BuilderKind, auto: bool | None) -> bool | None:
    """Return whether a builder of this kind can keep a credential out of an image; `auto` says so of that one."""
    return auto if kind == "auto" else kind == "buildx"


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How a build reaches the world: none of it enters a name or stays in the image."""

    platform: str | None = None
    network: str | None = None
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Docker's predefined proxy arguments (`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`, ...): they leave no history."""
    ca_bundle: Path | None = None
    no_cache: bool = False
    """Build every step again, whatever the engine has kept of earlier builds."""


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What to build. `tree` is where the definition's files are read; `labels` go onto the image."""

    definition: EnvironmentDefinition
    identity: Identity
    tree: SourceTree
    labels: Mapping[str, str]
    options: BuildOptions = BuildOptions()

    @property
    def tag(self) -> str:
        """The reference that the image gets: `azureml/azureml_<hash>:latest`."""
        return f"{self.identity.image}:latest"


class Builder(Protocol):
    """Builds one request at a time per call; calls may run side by side.

    `build` returns when the image stands in the engine under `request.tag` with the request's labels. It raises
    BuildFailed when the build itself ended badly, EngineUnavailable when there is nothing to build with, and lets
    CancelledError out only after the build has stopped. In all of these cases no tag was made or moved.
    """

    name: str

    async def build(self, request: BuildRequest, log: Log) -> None: ...


class BuildFailed(EnvkilnError):  # noqa: N818 -- the field's own word
    """A build that ended badly. `passing` says whether the same build may succeed later, with nothing changed."""

    def __init__(self, message: str, *, hint: str | None = None, passing: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.passing = passing
        self.turn = Turn.SURROUNDINGS if passing else Turn.USER


class EngineUnavailable(EnvkilnError):  # noqa: N818 -- the field's own word
    """The engine does not answer, or answers with an error of its own."""

    turn = Turn.SURROUNDINGS
