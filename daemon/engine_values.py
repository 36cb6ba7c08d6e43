"""What an engine says of itself, its images and what happens to them, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

DEFAULT_URL = "unix:///var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """`platform` is `os/architecture` as image platforms are written.

    `data_root` is where it keeps its images, on its own machine; `clock` is its time (Unix seconds) when it answered,
    0 when it does not say.
    """

    version: str
    api_version: str
    platform: str
    storage_driver: str
    data_root: str = ""
    clock: float = 0.0

    @property
    def has_buildkit(self) -> bool:
        """Whether the engine has BuildKit built in and switched on without asking (API 1.39, engine 18.09; Linux)."""
        numbers = tuple(int(part) for part in self.api_version.split(".") if part.isdecimal())
        return numbers >= (1, 39) and self.platform.startswith("linux/")


@dataclass(frozen=True, slots=True)
class EngineImage:
    """An image in the engine. `platform` and `environment` are known only from `Engine.inspect`."""

    id: str
    references: tuple[str, ...]
    labels: Mapping[str, str]
    created: float
    size: int
    platform: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    repo_digests: tuple[str, ...] = ()


class Layer(NamedTuple):
    """A layer that takes `size` bytes; images that share it have the same `id` for it."""

    id: str
    size: int


@dataclass(frozen=True, slots=True)
class ImageHistory:
    """How an image came about: `last_step` is its last instruction, `layers` are those that take space."""

    last_step: str
    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """Something happened to an image. `time` is the engine's clock (Unix seconds)."""

    action: str
    reference_or_id: str
    time: float


def engine_info(version: Mapping[str, Any], info: Mapping[str, Any]) -> EngineInfo:
    """Return what the engine's answers about its version and about itself say."""
    return EngineInfo(
        version=str(version["Version"]),
        api_version=str(version["ApiVersion"]),
        platform=f"{version.get('Os', 'linux')}/{version.get('Arch', 'unknown')}",
        storage_driver=str(info.get("Driver", "")),
        data_root=str(info.get("DockerRootDir") or ""),
        clock=_unix_time(info.get("SystemTime")),
    )


def listed_image(image: Mapping[str, Any]) -> EngineImage:
    """Return one entry of the engine's list of images."""
    return EngineImage(
        id=str(image["Id"]),
        references=_references(image.get("RepoTags")),
        labels=dict(image.get("Labels") or {}),
        created=float(image.get("Created") or 0),
        size=int(image.get("Size") or 0),
        repo_digests=_references(image.get("RepoDigests")),
    )


def inspected_image(found: Mapping[str, Any]) -> EngineImage:
    """Return the engine's answer about one image."""
    config = found.get("Config") or {}
    parts = (found.get("Os"), found.get("Architecture"), found.get("Variant"))
    return EngineImage(
        id=str(found["Id"]),
        references=_references(found.get("RepoTags")),
        labels=dict(config.get("Labels") or {}),
        created=_unix_time(found.get("Created")),
        size=int(found.get("Size") or 0),
        platform="/".join(part for part in parts if part),
        environment=dict(pair.partition("=")[::2] for pair in config.get("Env") or ()),
        repo_digests=_references(found.get("RepoDigests")),
    )


def image_history(steps: Sequence[Mapping[str, Any]]) -> ImageHistory:
    """Return the engine's answer about one image's history, which has the last step first.

    The engine does not say which layer a step has made. Images that share layers share the steps up to there, with
    their times, so a layer's id is the hash of these.
    """
    layers = []
    chain = sha256()
    for step in reversed(steps):
        size = int(step.get("Size") or 0)
        chain.update(repr((step.get("Created"), step.get("CreatedBy"), size)).encode(errors="surrogatepass"))
        if size:
            layers.append(Layer(chain.hexdigest()[:32], size))
    last = str(steps[0].get("CreatedBy") or "") if steps else ""
    return ImageHistory(last, tuple(layers))


def _unix_time(text: str | None) -> float:
    """Unix seconds of an RFC 3339 time; 0 for none, and for Go's year 1, which means the same."""
    if not text or text.startswith("0001-"):
        return 0.0
    return datetime.fromisoformat(text).timestamp()


def engine_event(event: Mapping[str, Any]) -> EngineEvent:
    """Return one message of the engine's event stream."""
    actor = event.get("Actor") or {}
    name = (actor.get("Attributes") or {}).get("name") or actor.get("ID") or event.get("id") or ""
    moment = event["timeNano"] / 1e9 if event.get("timeNano") else float(event.get("time") or 0)
    return EngineEvent(str(event.get("Action") or event.get("status") or ""), str(name), moment)


def _references(names: list[str] | None) -> tuple[str, ...]:
    return tuple(sorted(name for name in names or () if not name.startswith("<none>")))
