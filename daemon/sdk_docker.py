"""The `docker` section of the v1 client, its registry and its build context (FACTS §2.1, §2.3, §2.4)."""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, TextIO

from envkiln.daemon.sdk_element import Element, logger
from envkiln.daemon.sdk_errors import UserErrorException

DEFAULT_CPU_IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1"
DEFAULT_GPU_IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-cuda11.8-cudnn8-ubuntu22.04"

_BASES = ("base_image", "base_dockerfile", "build_context")
_INSTEAD = "Please use the azureml.core.runconfig.DockerConfiguration object"
_DEPRECATED = {
    "enabled": f"'enabled' is deprecated. {_INSTEAD} with the 'use_docker' param instead.",
    "arguments": f"'arguments' is deprecated. {_INSTEAD} instead.",
    "shm_size": f"'shm_size' is deprecated. {_INSTEAD} instead.",
    "shared_volumes": f"'shared_volumes' is deprecated. {_INSTEAD} instead.",
    "gpu_support": (
        "'gpu_support' is no longer necessary; AzureML now automatically detects and uses nvidia docker extension "
        "when it is available. It will be removed in a future release."
    ),
}


def dockerfile_text(dockerfile: str | Path | TextIO) -> str:
    """Return the text of a Dockerfile that is given as an open file, as a path, or as it is."""
    if hasattr(dockerfile, "read"):
        return str(dockerfile.read())
    if isinstance(dockerfile, Path) or ("\n" not in dockerfile and Path(dockerfile).is_file()):
        return Path(dockerfile).read_text(encoding="utf-8")
    return dockerfile


@dataclass(eq=False)
class ContainerRegistry(Element):
    """Where a base image is pulled from. A password is kept out of `repr`, and is never written to a workspace."""

    address: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    registry_identity: Any = field(default=None, repr=False)


@dataclass(eq=False)
class DockerImagePlatform(Element):
    """Azure ML knows one platform."""

    os: str = "Linux"
    architecture: str = "amd64"


@dataclass(eq=False)
class DockerBuildContext(Element):
    """Where a build context is: `location_type` is `git`, `storageAccount`, or a text of the caller's."""

    class LocationType(Enum):
        Git = "git"
        StorageAccount = "storageAccount"

    location_type: "LocationType | str | None" = None
    location: str | None = None
    dockerfile_path: str = "Dockerfile"

    @staticmethod
    def from_local_directory(
        workspace: Any,  # noqa: ARG004 -- nothing is uploaded
        path: str | Path,
        dockerfile_path: str = "Dockerfile",
    ) -> "DockerBuildContext":
        """Return the context in a directory of this machine, which is read when the environment is registered or built.

        Raises UserErrorException where there is no directory, or nothing in it.
        """
        directory = Path(path)
        if not directory.is_dir():
            raise UserErrorException(f"{path} is not a valid directory.", hint="give the directory of a Dockerfile")
        if not any(each.is_file() for each in directory.rglob("*")):
            raise UserErrorException(f"No files found in {path}.", hint=f"put a {dockerfile_path} there")
        location = directory.resolve().as_uri()
        return DockerBuildContext(DockerBuildContext.LocationType.StorageAccount, location, dockerfile_path)


@dataclass(eq=False)
class DockerSection(Element):
    """What an image is made from: one of `base_image`, `base_dockerfile` and `build_context`.

    Setting one of the three resets another that was set, with a warning.
    """

    enabled: bool = False
    base_image: str | None = DEFAULT_CPU_IMAGE
    base_dockerfile: str | None = None
    build_context: DockerBuildContext | None = field(default=None, metadata={"of": DockerBuildContext})
    shared_volumes: bool = True
    shm_size: str | None = "2g"
    arguments: list[str] = field(default_factory=list)
    base_image_registry: ContainerRegistry = field(
        default_factory=ContainerRegistry, metadata={"of": ContainerRegistry}
    )
    platform: DockerImagePlatform = field(default_factory=DockerImagePlatform, metadata={"of": DockerImagePlatform})

    gpu_support: ClassVar[bool] = True

    def __setattr__(self, name: str, value: Any) -> None:
        made = "platform" in self.__dict__  # the last of the fields: from there on it is the caller who sets
        if made and name in _DEPRECATED:
            logger.warning(_DEPRECATED[name])
        if name == "gpu_support":
            return
        if made and name in _BASES and value is not None:
            self._reset_others(name)
        super().__setattr__(name, value)

    def _reset_others(self, name: str) -> None:
        for other in _BASES:
            if other != name and getattr(self, other) is not None:
                logger.warning("Property %s is mutually exclusive with %s. Reset %s to None", other, name, other)
                super().__setattr__(other, None)
