"""Which names the engine has an image for: the truth that every skip rests on."""

from collections.abc import Mapping
from dataclasses import dataclass

from envkiln.cache.names import is_image_name
from envkiln.daemon.engine import Engine
from envkiln.daemon.engine_errors import EngineRefused
from envkiln.daemon.engine_values import EngineImage
from envkiln.daemon.events import KnownImage
from envkiln.daemon.fault_point import reach
from envkiln.daemon.labels import NAME, is_believed, is_closed, is_ours, recorded_digest


@dataclass(frozen=True, slots=True)
class Listing:
    """The images by name, and the base image digests that their labels recorded (the newest image's wins)."""

    images: Mapping[str, KnownImage]
    digests: Mapping[str, str]


def list_known_images(engine: Engine) -> Listing:
    """Return what stands in the engine under our names and is believed; raises EngineUnavailable."""
    images: dict[str, KnownImage] = {}
    digests: dict[str, str] = {}
    for image in sorted(engine.images(), key=lambda image: image.created):
        recorded = recorded_digest(image.labels)
        if recorded:
            digests[recorded[0]] = recorded[1]
        for name in _names(image):
            known = _known(engine, name, image)
            if known is not None:
                images[name] = known
    return Listing(images, digests)


def find_known_image(engine: Engine, name: str) -> KnownImage | None:
    """Return the image that stands under `name` and is believed; raises EngineUnavailable."""
    image = engine.inspect(f"{name}:latest")
    if image is None or not is_believed(name, image.labels, image.environment) or is_derived(engine, image):
        return None
    return _value(name, image)


def is_derived(engine: Engine, image: EngineImage) -> bool:
    """Return whether somebody made the image from one of ours and it has only inherited our labels.

    Raises EngineUnavailable.
    """
    if not is_ours(image.labels):
        return False
    try:
        return not is_closed(image.labels[NAME], engine.history(image.id).last_step)
    except EngineRefused as refused:
        if refused.status == 404:
            return True  # it was removed a moment ago
        raise


def adopt_image(engine: Engine, name: str) -> KnownImage | None:
    """Give the newest image that was built under `name`, and lost that tag, its tag back; None where there is none.

    Raises EngineUnavailable and EngineRefused.
    """
    labelled = sorted(engine.labelled(NAME, name), key=lambda image: image.created, reverse=True)
    lost = next((image for image in labelled if not is_derived(engine, image)), None)
    if lost is None:
        return None
    reach("lost-image-found")
    engine.tag(lost.id, f"{name}:latest")
    reach("lost-image-named")
    return find_known_image(engine, name)


def _known(engine: Engine, name: str, image: EngineImage) -> KnownImage | None:
    if is_ours(image.labels):
        believed = is_believed(name, image.labels, {}) and not is_derived(engine, image)
        return _value(name, image) if believed else None
    # A list of images does not tell their variables: an image without our label is looked at by itself.
    return find_known_image(engine, name)


def _names(image: EngineImage) -> list[str]:
    found = (reference.removesuffix(":latest") for reference in image.references)
    return [name for name in found if is_image_name(name)]


def _value(name: str, image: EngineImage) -> KnownImage:
    # Whole seconds: a list of images has no more, and what one look knows must equal what the other does.
    digest = image.repo_digests[0].rpartition("@")[2] if image.repo_digests else None
    return KnownImage(name, image.id, frozenset(image.references), float(int(image.created)), image.size, digest)
