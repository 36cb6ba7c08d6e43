"""What an image says about itself, and whether we believe it: pure.

The labels hold everything that the index can be rebuilt from (docs/design.md).
"""

import json
import re
from collections.abc import Mapping
from importlib.metadata import version

from envkiln.cache.definition import EnvironmentDefinition
from envkiln.cache.dockerfile import BUILT_RECIPE
from envkiln.cache.identity import Identity
from envkiln.cache.redact import redact
from envkiln.cache.shown import definition_text

NAME = "envkiln.name"
RECIPE = "envkiln.recipe"
DEFINITION = "envkiln.definition"
"""The canonical conda specification, else the named text, as one JSON string: a label with line breaks costs a step."""
BUILT_BY = "envkiln.built-by"
BASE_TAG = "envkiln.base-tag"
"""The base image's movable reference; its digest at that time is in `org.opencontainers.image.base.digest`."""
_BASE_NAME = "org.opencontainers.image.base.name"
_BASE_DIGEST = "org.opencontainers.image.base.digest"


def labels_for(definition: EnvironmentDefinition, identity: Identity, *, resolved: bool) -> dict[str, str]:
    """Return the labels of the image that is built; `resolved` says that we looked up the base image's digest."""
    labels = {
        NAME: identity.image,
        RECIPE: f"{identity.recipe} {BUILT_RECIPE}",
        BUILT_BY: f"envkiln {version('envkiln')}",
        DEFINITION: json.dumps(definition_text(definition, identity)),
        "org.opencontainers.image.title": " ".join(redact(definition.declared_name or identity.image).split()),
    }
    if identity.base_image is not None:
        labels[_BASE_NAME] = identity.base_image.unpinned
        if identity.base_image.digest:
            labels[_BASE_DIGEST] = identity.base_image.digest
            if resolved:
                labels[BASE_TAG] = identity.base_image.unpinned
    return labels


def recorded_digest(labels: Mapping[str, str]) -> tuple[str, str] | None:
    """Return (base image reference, digest) as an image of ours recorded it, None where it did not."""
    reference, digest = labels.get(BASE_TAG), labels.get(_BASE_DIGEST)
    return (reference, digest) if reference and digest else None


def is_ours(labels: Mapping[str, str]) -> bool:
    """Return whether envkiln built the image, or one that it was made from: `is_closed` tells the two apart."""
    return NAME in labels


def is_closed(name: str, last_step: str, label: str = NAME) -> bool:
    """Return whether the last instruction of an image is the one that says `name`, as in all images of ours.

    An image that somebody makes `FROM` one of ours inherits its labels, and goes on behind that instruction.
    """
    return re.search(rf"\bLABEL .*{re.escape(label)}={re.escape(name)}(\s|$)", last_step, re.DOTALL) is not None


def is_believed(name: str, labels: Mapping[str, str], variables: Mapping[str, str]) -> bool:
    """Return whether an image that stands under `name` is what the name says.

    Ours carries the name in its label. An image without our label is believed when it looks like Azure ML's own, or
    like our setup content built by hand: both set the same environment variables.
    """
    if is_ours(labels):
        return labels[NAME] == name
    return variables.get("AZUREML_ENVIRONMENT_IMAGE") == "True"
