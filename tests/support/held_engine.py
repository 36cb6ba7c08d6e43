"""An engine of values for clean-ups: images with tags and layers, containers, and what it was told."""

from dataclasses import replace

from envkiln.daemon.builder import EngineUnavailable
from envkiln.daemon.engine import Engine
from envkiln.daemon.engine_errors import EngineRefused
from envkiln.daemon.engine_values import EngineImage, ImageHistory, Layer


class HeldEngine(Engine):
    """Answers as the real one does: the last tag of an image that a container uses is refused with 409."""

    def __init__(self, *images: EngineImage) -> None:
        super().__init__("unix:///nowhere")
        self.all = {image.id: image for image in images}
        self.containers: set[str] = set()
        self.derived: set[str] = set()
        self.told: list[str] = []
        self.down = False

    def all_images(self) -> list[EngineImage]:
        self._answer()
        return list(self.all.values())

    def used_images(self) -> frozenset[str]:
        self._answer()
        return frozenset(self.containers)

    def inspect(self, reference: str) -> EngineImage | None:
        self._answer()
        return next((it for it in self.all.values() if reference in (it.id, *it.references)), None)

    def history(self, image_id: str) -> ImageHistory:
        image = self.all.get(image_id)
        if image is None:
            raise EngineRefused("no such image", status=404)
        closing = "" if image_id in self.derived else f"LABEL envkiln.name={image.labels.get('envkiln.name')}"
        return ImageHistory(closing, (Layer(image_id, image.size),))

    def tag(self, image_reference: str, target_reference: str) -> None:
        self._answer()
        image = self.inspect(image_reference)
        assert image is not None
        self.told.append(f"tag {target_reference}")
        self.all[image.id] = replace(image, references=(*image.references, target_reference))

    def remove(self, reference: str) -> bool:
        self._answer()
        image = self.inspect(reference)
        if image is None:
            return False
        left = tuple(it for it in image.references if it != reference)
        if not left and image.id in self.containers:
            raise EngineRefused("conflict: a container is using it", status=409)
        self.told.append(f"remove {reference}")
        if left:
            self.all[image.id] = replace(image, references=left)
        else:
            del self.all[image.id]
        return True

    def _answer(self) -> None:
        if self.down:
            raise EngineUnavailable("the engine does not answer")


def image_of_ours(number: int, *tags: str, size: int = 10, created: float = 1.0) -> EngineImage:
    """Return an image of ours with its address and these tags."""
    name = f"azureml/azureml_{number:032x}"
    return EngineImage(f"sha256:{number}", (f"{name}:latest", *tags), {"envkiln.name": name}, created, size)
