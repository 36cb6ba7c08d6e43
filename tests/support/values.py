"""Values for tests, with defaults for everything that a test does not talk about.

On `pythonpath` (pyproject.toml): test files import it as `values`.
"""

from dataclasses import dataclass, field, replace

from envkiln.cache.canonical import canonical_text
from envkiln.cache.definition import CondaSpecification, EnvironmentDefinition, Format, ImageReference
from envkiln.cache.errors import Turn
from envkiln.cache.identity import Identity, identify
from envkiln.daemon.config import EnvironmentSettings
from envkiln.daemon.events import (
    BuildEnded,
    Effect,
    Ending,
    EngineConnected,
    Event,
    ImagesListed,
    KnownImage,
    Looked,
    Now,
    Problem,
    RegistryImage,
    Sighting,
)
from envkiln.daemon.state import Environment, Phase, State
from envkiln.daemon.step import step

DIGEST = "sha256:" + "1" * 64
OTHER_DIGEST = "sha256:" + "2" * 64
PINNED = ImageReference("base", "1", DIGEST)
MOVING = ImageReference("base", "1")
"""A base image whose digest has to be asked for."""
PROBLEM = Problem("the solver found no way", hint="loosen a version")
BROKEN = Problem("unknown key", hint="remove it", place="a/env.yml:3:1")
PASSING = Problem("the mirror does not answer", turn=Turn.SURROUNDINGS)

SETTINGS = EnvironmentSettings(
    base_image=PINNED,
    base_image_digest="pin",
    builder="auto",
    buildx_builder=None,
    aliases=("{id}:latest",),
    build=True,
    concurrency=None,
    time_limit_s=0.0,
    silence_limit_s=0.0,
    platform=None,
    build_network=None,
    http_proxy=None,
    https_proxy=None,
    no_proxy=None,
    ca_bundle=None,
)
MOVING_SETTINGS = replace(SETTINGS, base_image=MOVING)


def definition(*packages: str, name: str | None = None, comment: str = "") -> EnvironmentDefinition:
    """Return the definition of a conda file; what does not count about it (`comment`) goes into its warnings."""
    conda = CondaSpecification(canonical_text({"dependencies": list(packages or ("python=3.11",))}), name)
    warnings = (comment,) if comment else ()
    return EnvironmentDefinition(Format.CONDA, "env.yml", "", declared_name=name, conda=conda, warnings=warnings)


def sighting(
    id_: str,
    found: EnvironmentDefinition | Problem | None = None,
    settings: EnvironmentSettings = SETTINGS,
) -> Sighting:
    return Sighting(id_, "root", f"{id_}/env.yml", found or definition(), settings)


def identity_of(found: EnvironmentDefinition, base: ImageReference = PINNED) -> Identity:
    return identify(found, base)


def name_of(found: EnvironmentDefinition, base: ImageReference = PINNED) -> str:
    """Return the image name of a definition on a base image."""
    return identity_of(found, base).image


def image(name: str, *aliases: str, id_: str | None = None) -> KnownImage:
    return KnownImage(
        name, id_ or f"sha256:{name[-32:]}", frozenset({f"{name}:latest", *aliases}), created=1.0, size=10
    )


def registry_image(name: str) -> RegistryImage:
    """Return an image as a registry has it."""
    return RegistryImage(name, f"registry.example/{name}", f"sha256:{name[-32:]}", "sha256:0", ("sha256:1",), 5)


@dataclass
class Story:
    """A state that is told what happens: `tell` applies an event and returns what it asked for.

    The clock stands still unless a test moves it.
    """

    state: State = field(default_factory=State)
    monotonic: float = 1000.0

    def tell(self, event: Event, *, after: float = 0.0) -> tuple[Effect, ...]:
        self.monotonic += after
        self.state, effects = step(self.state, event, Now(self.monotonic + 1e9, self.monotonic))
        return effects

    def see(self, id_: str, found: EnvironmentDefinition | Problem, **settings: object) -> tuple[Effect, ...]:
        """One file was saved; `settings` differ from the usual ones."""
        return self.tell(Looked((sighting(id_, found, replace(SETTINGS, **settings)),)))  # type: ignore[arg-type]

    def connect(self, *images: KnownImage) -> tuple[Effect, ...]:
        """The engine answers and lists its images."""
        return (*self.tell(EngineConnected("engine")), *self.list(*images))

    def list(self, *images: KnownImage, asked: float = 0.0) -> tuple[Effect, ...]:
        """Tell the engine's list, asked for `asked` seconds ago."""
        return self.tell(ImagesListed({image.name: image for image in images}, self.monotonic - asked))

    def built(self, name: str, *, id_: str | None = None) -> tuple[Effect, ...]:
        return self.tell(BuildEnded(name, Ending.BUILT, image(name, id_=id_), seconds=2.0), after=1.0)

    def failed(self, name: str, *, passing: bool) -> tuple[Effect, ...]:
        problem = PASSING if passing else PROBLEM
        return self.tell(BuildEnded(name, Ending.FAILED, problem=problem, passing=passing))

    def cancelled(self, name: str) -> tuple[Effect, ...]:
        return self.tell(BuildEnded(name, Ending.CANCELLED))

    def environment(self, id_: str) -> Environment:
        return self.state.environments[id_]

    def phase(self, id_: str) -> Phase:
        return self.environment(id_).phase
