"""What the documents of a registry say (OCI image specification; Docker's image manifest 2, schema 2): pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
ACCEPTED = ", ".join((*_MANIFESTS, *_INDEXES))
"""The header `Accept` of a question for a manifest."""


class NotAnImage(ValueError):  # noqa: N818 -- what it is
    """A document that does not describe an image that an engine could run; the text says what it is instead."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image as its manifest has it: `config` is the digest of its configuration, which is the image's id in most
    engines; `size` counts its configuration and layers as they are stored, in bytes."""

    config: str
    layers: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The configuration of an image: `platform` is `os/architecture`, `last_step` what made its last part."""

    labels: Mapping[str, str]
    variables: Mapping[str, str]
    platform: str
    last_step: str = ""


def read_manifest(data: bytes, platform: str) -> Manifest | str:
    """Return the manifest that `data` is; of an index, the digest of its manifest for `platform`.

    Raises NotAnImage.
    """
    document = _document(data)
    try:
        if isinstance(document.get("manifests"), list):
            return _of_platform(document["manifests"], platform)
        config, layers = document["config"], document["layers"]
        sizes = [int(part["size"]) for part in (config, *layers)]
        return Manifest(str(config["digest"]), tuple(str(layer["digest"]) for layer in layers), sum(sizes))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, NotAnImage):
            raise
        raise NotAnImage("it is not the manifest of an image") from error


def read_config(data: bytes) -> ImageConfig:
    """Return what an image's configuration says; raises NotAnImage."""
    document = _document(data)
    try:
        config = document.get("config") or {}
        pairs = (str(pair).partition("=") for pair in config.get("Env") or ())
        labels = {str(key): str(value) for key, value in (config.get("Labels") or {}).items()}
        platform = f"{document['os']}/{document['architecture']}"
        history = document.get("history") or [{}]
        last_step = str(history[-1].get("created_by") or "")
        return ImageConfig(labels, {name: value for name, _, value in pairs}, platform, last_step)
    except (KeyError, TypeError, AttributeError) as error:
        raise NotAnImage("its configuration is not that of an image") from error


def _of_platform(entries: list[Mapping[str, Any]], platform: str) -> str:
    wanted = tuple(platform.split("/")[:2])
    for entry in entries:
        its = entry.get("platform") or {}
        if (its.get("os"), its.get("architecture")) == wanted:
            return str(entry["digest"])
    raise NotAnImage(f"it has no image for {platform}")


def _document(data: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise NotAnImage("it is not JSON") from error
    if not isinstance(document, dict):
        raise NotAnImage("it is not a JSON object")
    return document
