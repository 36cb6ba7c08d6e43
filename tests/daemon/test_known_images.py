"""What a list of images and a single look tell, and that they tell the same."""

from dataclasses import dataclass, replace

import pytest

from envkiln.daemon.engine import Engine
from envkiln.daemon.engine_values import EngineImage, ImageHistory
from envkiln.daemon.known_images import adopt_image, find_known_image, list_known_images

NAME = "azureml/azureml_" + "0" * 32
LABELS = {"envkiln.name": NAME}
DIGESTS = ["sha256:" + digit * 64 for digit in "12"]


def _image(name: str = NAME, *, created: float = 100.0, **labels: str) -> EngineImage:
    return EngineImage(
        id=f"sha256:{created}",
        references=(f"{name}:latest", "alias:latest"),
        labels={"envkiln.name": name, **labels},
        created=created,
        size=10,
    )


@dataclass
class _Images(Engine):
    """An engine that has these images, and that inspects with fractions of a second, as the real one does."""

    has: tuple[EngineImage, ...] = ()
    derived: frozenset[str] = frozenset()
    """The ids of the images that somebody made from one of ours."""

    def images(self) -> list[EngineImage]:
        return list(self.has)

    def inspect(self, reference: str) -> EngineImage | None:
        found = [image for image in self.has if reference in image.references]
        return replace(found[0], created=found[0].created + 0.75) if found else None

    def labelled(self, key: str, value: str) -> list[EngineImage]:
        return [image for image in self.has if image.labels.get(key) == value]

    def history(self, image_id: str) -> ImageHistory:
        (image,) = (image for image in self.has if image.id == image_id)
        closing = f"LABEL envkiln.name={image.labels['envkiln.name']}"
        return ImageHistory("RUN make mine" if image_id in self.derived else closing, ())


def test_a_list_and_a_look_are_equal() -> None:
    engine = _Images(has=(_image(),))
    assert list_known_images(engine).images == {NAME: find_known_image(engine, NAME)}


def test_an_image_of_ours_under_another_name_is_not_known() -> None:
    image = replace(_image(), labels={"envkiln.name": "azureml/azureml_" + "1" * 32})
    engine = _Images(has=(image,))
    assert list_known_images(engine).images == {}
    assert find_known_image(engine, NAME) is None


def test_an_image_made_from_ours_is_not_believed_under_our_name() -> None:
    """It has our labels, which it inherited, and whatever somebody put on top."""
    image = _image()
    engine = _Images(has=(image,), derived=frozenset({image.id}))
    assert list_known_images(engine).images == {}
    assert find_known_image(engine, NAME) is None


def test_an_image_made_from_ours_is_not_given_our_name() -> None:
    image = replace(_image(), references=("somebodys:latest",))
    assert adopt_image(_Images(has=(image,), derived=frozenset({image.id})), NAME) is None


@pytest.mark.parametrize(("variables", "known"), [({"AZUREML_ENVIRONMENT_IMAGE": "True"}, True), ({}, False)])
def test_an_image_that_azure_ml_built_is_known(variables: dict[str, str], known: bool) -> None:
    engine = _Images(has=(replace(_image(), labels={}, environment=variables),))
    assert (NAME in list_known_images(engine).images) is known


def test_base_digests_come_back_from_labels_the_newest_wins() -> None:
    images = [
        _image(f"azureml/azureml_{number:032x}", created=created, **_recorded(digest))
        for number, created, digest in ((1, 300.0, DIGESTS[1]), (2, 200.0, DIGESTS[0]))
    ]
    listing = list_known_images(_Images(has=(*images, _image())))
    assert listing.digests == {"registry/base:1": DIGESTS[1]}
    assert len(listing.images) == 3


def _recorded(digest: str) -> dict[str, str]:
    return {"envkiln.base-tag": "registry/base:1", "org.opencontainers.image.base.digest": digest}
