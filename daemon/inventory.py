"""The images of ours in an engine, with all that decides whether they may go; and what others hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from envkiln.cache.dockerfile import STAGE
from envkiln.cache.names import is_image_name
from envkiln.daemon.engine import Engine
from envkiln.daemon.engine_errors import EngineRefused
from envkiln.daemon.engine_values import EngineImage, ImageHistory
from envkiln.daemon.labels import NAME, is_closed
from envkiln.daemon.retention import HeldImage


class Use(NamedTuple):
    """The last use of an image, in seconds since 1970 (None: not known), and the environments that have had it."""

    at: float | None
    environments: frozenset[str]


@dataclass(frozen=True, slots=True)
class Inventory:
    """`shared` are the layers of images that are not ours, `containers` the ids of images that containers use."""

    images: tuple[HeldImage, ...]
    shared: frozenset[str]
    containers: frozenset[str]


def take_inventory(engine: Engine, uses: Mapping[str, Use]) -> Inventory:
    """Return what the engine has now; raises EngineUnavailable and EngineRefused.

    Ours is what carries our label and was not made from such an image by somebody else, and the stages of builds.
    """
    images, shared = [], set()
    for image in engine.all_images():
        history = _history(engine, image.id)
        if history is None:
            continue
        name = _name(image, history)
        if name is not None:
            images.append(_held(image, name, history, uses.get(name)))
        else:
            shared |= {layer.id for layer in history.layers}
    return Inventory(tuple(images), frozenset(shared), engine.used_images())


def _name(image: EngineImage, history: ImageHistory) -> str | None:
    """Return the name that an image of ours was built under, or for as a stage; None for others' images."""
    for label in (NAME, STAGE):
        name = image.labels.get(label, "")
        if is_image_name(name) and is_closed(name, history.last_step, label):
            return name
    return None


def _history(engine: Engine, image_id: str) -> ImageHistory | None:
    try:
        return engine.history(image_id)
    except EngineRefused as refused:
        if refused.status == 404:
            return None  # it was removed a moment ago
        raise


def _held(image: EngineImage, name: str, history: ImageHistory, use: Use | None) -> HeldImage:
    return HeldImage(
        image.id,
        name,
        frozenset(image.references),
        image.created,
        image.size,
        history.layers,
        use.at if use else None,
        use.environments if use else frozenset(),
    )
