"""A small model of everything around `step`: files, an engine with its tags, a registry, builds that run."""

from dataclasses import dataclass, field

from values import DIGEST, MOVING, registry_image

from envkiln.daemon.events import (
    AliasSet,
    Answer,
    AskRegistry,
    BaseResolved,
    BaseUnresolved,
    BuildEnded,
    CancelBuild,
    Effect,
    Ending,
    Event,
    ImagesListed,
    KnownImage,
    Looked,
    Problem,
    PushEnded,
    PushImage,
    RegistryAnswered,
    RegistryImage,
    ResolveBase,
    SetAlias,
    Sighting,
    StartBuild,
)

GONE = Problem("the engine does not answer")


@dataclass
class World:
    """What is true; `perform` takes effects, the other methods return the events that tell about it."""

    files: dict[str, Sighting] = field(default_factory=dict)
    told: dict[str, Sighting] = field(default_factory=dict)
    """The files as the last look reported them."""
    tags: dict[str, str] = field(default_factory=dict)
    """The engine: from reference to the id of the image."""
    up: bool = False
    remote: dict[str, RegistryImage] = field(default_factory=dict)
    """The registry: what it has, by name."""
    asked: list[AskRegistry] = field(default_factory=list)
    to_push: list[PushImage] = field(default_factory=list)
    pushed: set[str] = field(default_factory=set)
    """What was ever seen in the registry after a push."""
    digest: str | None = DIGEST
    """What the registry says about the moving base image."""
    running: dict[str, StartBuild] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    to_tag: list[SetAlias] = field(default_factory=list)
    to_resolve: list[str] = field(default_factory=list)
    made: int = 0

    def perform(self, effect: Effect) -> None:
        match effect:
            case StartBuild(name):
                assert name not in self.running, "two builds of one name"
                self.running[name] = effect
            case CancelBuild(name):
                assert name in self.running, "nothing to cancel"
                assert name not in self.cancelled, "cancelled twice"
                self.cancelled.add(name)
            case SetAlias():
                self.to_tag.append(effect)
            case AskRegistry():
                self.asked.append(effect)
            case PushImage(name):
                assert all(push.name != name for push in self.to_push), "pushed twice"
                self.to_push.append(effect)
            case ResolveBase(reference):
                assert reference not in self.to_resolve, "asked twice"
                self.to_resolve.append(reference)

    def look(self) -> Looked:
        changed = tuple(sighting for id_, sighting in self.files.items() if self.told.get(id_) != sighting)
        gone = self.told.keys() - self.files.keys()
        self.told = dict(self.files)
        return Looked(changed, frozenset(gone))

    def images(self) -> dict[str, KnownImage]:
        names = [reference.removesuffix(":latest") for reference in self.tags if reference.startswith("azureml/")]
        return {name: self._image(name) for name in names}

    def list(self, asked_at: float) -> ImagesListed:
        return ImagesListed(self.images(), asked_at)

    def remove(self, name: str) -> None:
        """Somebody removes an image with all of its tags."""
        gone = self.tags[f"{name}:latest"]
        self.tags = {reference: id_ for reference, id_ in self.tags.items() if id_ != gone}

    def end(self, name: str, ending: Ending, *, passing: bool = True) -> BuildEnded:
        """End a running build, as far as the world lets it end so."""
        effect = self.running.pop(name)
        if name in self.cancelled:
            self.cancelled.remove(name)
        elif ending is Ending.CANCELLED:
            ending = Ending.FAILED
        if not self.up and ending is not Ending.CANCELLED:
            ending = Ending.INTERRUPTED
        there = f"{name}:latest" in self.tags
        if ending in (Ending.FOUND, Ending.BUILT):
            # The registry is asked right before the build.
            found = (there or name in self.remote) and not effect.forced
            ending = Ending.FOUND if found else Ending.BUILT
        if ending is Ending.FOUND and not there:
            self.tags[f"{name}:latest"] = f"sha256:pulled-{name}"
            return BuildEnded(name, ending, self._image(name), pulled=self.remote[name])
        if ending is Ending.BUILT:
            self.made += 1
            self.tags[f"{name}:latest"] = f"sha256:{self.made}"
        if ending in (Ending.BUILT, Ending.FOUND):
            return BuildEnded(name, ending, self._image(name))
        if ending is Ending.CANCELLED:
            return BuildEnded(name, ending)
        if ending is Ending.UNANSWERED:
            return BuildEnded(name, ending, problem=GONE)
        return BuildEnded(name, ending, problem=GONE, passing=passing and ending is Ending.FAILED)

    def answer(self, *, reachable: bool = True, elsewhere: bool = False) -> RegistryAnswered:
        """Answer the oldest question about the registry; `elsewhere` somebody builds what is not there."""
        name = self.asked.pop(0).name
        if elsewhere and name not in self.remote:
            return RegistryAnswered(name, Answer.PENDING)
        if not reachable:
            return RegistryAnswered(name, Answer.UNKNOWN, problem=GONE)
        image = self.remote.get(name)
        return RegistryAnswered(name, Answer.YES if image else Answer.NO, image)

    def push(self, *, reachable: bool = True) -> PushEnded:
        """End the oldest push."""
        effect = self.to_push.pop(0)
        if not reachable or f"{effect.name}:latest" not in self.tags:
            return PushEnded(effect.name, effect.image_id, problem=GONE)
        image = self.remote.setdefault(effect.name, registry_image(effect.name))
        self.pushed.add(effect.name)
        return PushEnded(effect.name, effect.image_id, image)

    def tag(self) -> AliasSet:
        effect = self.to_tag.pop(0)
        source = self.tags.get(f"{effect.name}:latest") if self.up else None
        if source is None:
            return AliasSet(effect.alias, effect.name, GONE)
        self.tags[effect.alias] = source
        return AliasSet(effect.alias, effect.name)

    def resolve(self, *, reachable: bool = True) -> Event:
        reference = self.to_resolve.pop(0)
        assert reference == str(MOVING)
        return BaseResolved(reference, self.digest) if reachable else BaseUnresolved(reference, GONE)

    def _image(self, name: str) -> KnownImage:
        id_ = self.tags[f"{name}:latest"]
        return KnownImage(name, id_, frozenset(reference for reference, other in self.tags.items() if other == id_))
