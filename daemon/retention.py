"""Which images may go and which stay, each with its reason: pure.

Three things decide, in this order. What is protected stays, whatever the disk says. Of the rest, what is among the
last of its environment or young stays as well. A budget then takes away from these the ones that were used longest ago.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from envkiln.daemon.engine_values import Layer
from envkiln.daemon.text import ago, size

MOMENT_S = 600.0
"""An image that nobody here has made, and that is younger: the envkiln that made it may not have used it yet."""


@dataclass(frozen=True, slots=True)
class HeldImage:
    """An image of ours in an engine. `name` is the address it was built under, `references` are its tags now.

    `created` and `used` are seconds since 1970; `used` is None where nobody knows of a use. `environments` are the ids
    of those that are known to have had it.
    """

    id: str
    name: str
    references: frozenset[str]
    created: float
    size: int
    layers: tuple[Layer, ...] = ()
    used: float | None = None
    environments: frozenset[str] = frozenset()

    @property
    def last_use(self) -> float:
        """The last use; where none is known, the making."""
        return max(self.created, self.used or 0.0)

    @property
    def address(self) -> str:
        return f"{self.name}:latest"


@dataclass(frozen=True, slots=True)
class Retention:
    """The policy: the last `keep_last` images of each environment stay, and those used in the last `keep_s` seconds.

    `budget` is how many bytes all images of ours may take; `need` how many are to be freed at least (a full disk).
    """

    keep_last: int
    keep_s: float
    budget: int | None = None
    need: int = 0


@dataclass(frozen=True, slots=True)
class Protected:
    """What must stay. `needed` has the environments whose file asks for a name now or whose last good image it is.

    `busy` are the names that somebody works at just now, `ours` the tags that envkiln may take away, `claimed` those of
    them that an environment has. `registered` is None when the registered versions cannot be read; `blind` says why
    nothing can be known at all, and then all stays. `shared` are the layers of images that are not ours; `containers`
    are the ids of images that containers use.
    """

    needed: Mapping[str, str] = field(default_factory=dict)
    busy: frozenset[str] = frozenset()
    registered: frozenset[str] | None = frozenset()
    pinned: tuple[str, ...] = ()
    containers: frozenset[str] = frozenset()
    ours: frozenset[str] = frozenset()
    claimed: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()
    blind: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One image and why it goes or stays. `frees` are the bytes that nothing else holds once it and those before it
    have gone."""

    image: HeldImage
    reason: str
    frees: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """`going` in the order of removal, `staying` by name. `used` are the bytes of all images of ours now, each layer
    counted once, without those that others share."""

    going: tuple[Verdict, ...]
    staying: tuple[Verdict, ...]
    used: int

    @property
    def frees(self) -> int:
        return sum(verdict.frees for verdict in self.going)


def plan(images: Iterable[HeldImage], protected: Protected, policy: Retention, now: float) -> Plan:
    """Return what is to go of `images` and what stays, at wall time `now`; the order of `images` says nothing."""
    held = sorted(images, key=lambda image: (image.last_use, image.created, image.name, image.id))
    newest = newest_tagged(held)
    stays = {image.id: protection(image, protected, newest, now) for image in held}
    kept = _kept(held, policy, now)
    layers = _Layers(held, protected.shared)
    used = layers.bytes
    going: dict[str, Verdict] = {}
    free = [image for image in held if stays[image.id] is None]
    for image in free:
        if image.id not in kept:
            reason = f"not used for {ago(now - image.last_use)}" if image.references else "has no tag any more"
            going[image.id] = Verdict(image, reason, layers.remove(image))
    limit = _limit(policy, used)
    # What holds only layers that stay in any case frees nothing.
    fixed = {layer.id for image in held if stays[image.id] is not None for layer in image.layers} | protected.shared
    for image in free:
        if limit is None or layers.bytes <= limit:
            break
        if image.id not in going and any(layer.id not in fixed for layer in image.layers):
            going[image.id] = Verdict(image, _pressed(policy, limit, now - image.last_use), layers.remove(image))
    staying = [Verdict(image, stays[image.id] or kept[image.id]) for image in held if image.id not in going]
    return Plan(tuple(going.values()), tuple(sorted(staying, key=lambda it: (it.image.name, it.image.id))), used)


def freed_bytes(images: Iterable[HeldImage], gone: frozenset[str], shared: frozenset[str]) -> int:
    """Return the bytes that are free without the images of the ids `gone`; `shared` layers are never free."""
    images = list(images)
    layers = _Layers(images, shared)
    return sum(layers.remove(image) for image in images if image.id in gone)


def protection(image: HeldImage, protected: Protected, newest: Mapping[str, HeldImage], now: float) -> str | None:
    """Return why `image` must stay, None where nothing says so.

    `newest` is the image that stands under each name now (`newest_tagged`).
    """
    if protected.blind is not None:
        return protected.blind
    if image.id in protected.containers:
        return "a container uses it"
    if image.name in protected.busy:
        return "is being built, tagged or pushed"
    if image.references:
        return _protection_by_name(image, protected) or _protection_by_tags(image, protected, now)
    return _protection_untagged(image, protected, newest, now)


def _protection_by_name(image: HeldImage, protected: Protected) -> str | None:
    if image.name in protected.needed:
        return f"{protected.needed[image.name]} needs it"
    if protected.registered is None:
        return "the registered versions cannot be read"
    if image.name in protected.registered:
        return "is a registered version"
    pin = next((pin for pin in protected.pinned if _matches(image, pin)), None)
    return f"is pinned ({pin})" if pin is not None else None


def _protection_by_tags(image: HeldImage, protected: Protected, now: float) -> str | None:
    claimed = sorted(image.references & protected.claimed)
    if claimed:
        return f"has the tag {claimed[0]} of an environment"
    others = sorted(reference for reference in image.references if not _is_ours(reference, image, protected))
    if others:
        return f"has the tag {others[0]}, which is not from here"
    if image.used is None and not image.environments and now - image.created < MOMENT_S:
        return "was made a moment ago"
    return None


def _protection_untagged(
    image: HeldImage, protected: Protected, newest: Mapping[str, HeldImage], now: float
) -> str | None:
    if protected.registered is None:
        return "the registered versions cannot be read"
    tagged = newest.get(image.name)
    if tagged is None and (image.name in protected.needed or image.name in protected.registered):
        return "it gets its tag back"
    # A build tags last: until then its image looks like one that has lost its tag.
    if (tagged is None or tagged.created < image.created) and now - image.created < MOMENT_S:
        return "was made a moment ago"
    return None


def _is_ours(reference: str, image: HeldImage, protected: Protected) -> bool:
    """A registry's address of the image is ours too: it ends in the name."""
    repository = reference.rpartition(":")[0]
    return reference in protected.ours or repository == image.name or repository.endswith(f"/{image.name}")


def _matches(image: HeldImage, pin: str) -> bool:
    """Return whether the shell pattern `pin` names the image: by id of an environment, by tag, or by name."""
    words = {*image.environments, *image.references, image.name, image.name.removeprefix("azureml/")}
    words |= {reference.rpartition(":")[0] for reference in image.references}
    return any(fnmatchcase(word, pin) for word in words)


def newest_tagged(held: Iterable[HeldImage]) -> dict[str, HeldImage]:
    """Return the image that stands under each name now."""
    found: dict[str, HeldImage] = {}
    for image in held:
        if image.address in image.references:
            found[image.name] = image
    return found


def _kept(held: Sequence[HeldImage], policy: Retention, now: float) -> dict[str, str]:
    """Return why an image is worth keeping, by its id; `held` is in the order of last use."""
    kept: dict[str, str] = {}
    counted: Counter[str] = Counter()
    for image in reversed(held):
        if not image.references:
            continue
        # A clock that was set back makes an image look as if it came from the future: it is young.
        age = max(0.0, now - image.last_use)
        if age < policy.keep_s:
            kept[image.id] = f"was used {ago(age)} ago"
        for environment in sorted(image.environments):
            counted[environment] += 1
            if counted[environment] <= policy.keep_last:
                kept[image.id] = f"is among the last {policy.keep_last} of {environment}"
    return kept


def _limit(policy: Retention, used: int) -> int | None:
    """Return how many bytes may be used afterwards, None for any."""
    limits = [policy.budget] if policy.budget is not None else []
    if policy.need > 0:
        limits.append(max(0, used - policy.need))
    return min(limits, default=None)


def _pressed(policy: Retention, limit: int, age: float) -> str:
    what = f"over the budget of {size(limit)}" if limit == policy.budget else "the disk is nearly full"
    return f"{what}; not used for {ago(age)}"


class _Layers:
    """Which layers are still held, and how many bytes they are."""

    def __init__(self, images: Iterable[HeldImage], shared: frozenset[str]) -> None:
        self._holders: Counter[str] = Counter(layer.id for image in images for layer in set(image.layers))
        self._shared = shared
        sizes = {layer.id: layer.size for image in images for layer in image.layers if layer.id not in shared}
        self.bytes = sum(sizes.values())

    def remove(self, image: HeldImage) -> int:
        """Return the bytes that nothing holds once `image` has gone too."""
        freed = 0
        for layer in set(image.layers):
            self._holders[layer.id] -= 1
            if not self._holders[layer.id] and layer.id not in self._shared:
                freed += layer.size
        self.bytes -= freed
        return freed
