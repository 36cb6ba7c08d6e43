"""What is said of an environment's image: `get_image_details` of the v1 client (FACTS §2.7)."""

from typing import Any

from envkiln.cache.errors import EnvkilnError
from envkiln.cache.identity import AZUREML_PLATFORM
from envkiln.cache.registered_version import RegisteredVersion
from envkiln.daemon.engine import Engine
from envkiln.daemon.events import Answer
from envkiln.daemon.known_images import find_known_image
from envkiln.daemon.registries import registry_of
from envkiln.daemon.sdk_apart import run_apart
from envkiln.daemon.sdk_registered import definition_of
from envkiln.daemon.sdk_workspace import Workspace

_SHOWN = 3


class DockerImageDetails(dict[str, Any]):
    """The details as the service's JSON has them; the usual ones are properties. `repr` masks the registry's login."""

    @property
    def image_exist(self) -> bool | None:
        return self.get("imageExistsInRegistry")

    @property
    def repository(self) -> Any:
        return self._of("dockerImage", "name")

    @property
    def registry(self) -> Any:
        return self._of("dockerImage", "registry", "address")

    @property
    def image(self) -> str | None:
        """The whole reference, with the registry."""
        parts = (self.registry, self.repository)
        return "/".join(part for part in parts if part) or None

    @property
    def interpreter_path(self) -> Any:
        return self._of("pythonEnvironment", "interpreterPath")

    @property
    def environment_path(self) -> Any:
        return self._of("pythonEnvironment", "condaEnvironmentPath")

    @property
    def dockerfile(self) -> Any:
        return self._of("ingredients", "dockerfile")

    def __repr__(self) -> str:
        docker = self.get("dockerImage")
        if not isinstance(docker, dict) or not isinstance(docker.get("registry"), dict):
            return super().__repr__()
        registry = dict(docker["registry"])
        if registry.get("username"):
            registry["username"] = f"{registry['username'][:_SHOWN]}***"
        if registry.get("password"):
            registry["password"] = "***"  # noqa: S105 -- what is shown instead of one
        return repr({**self, "dockerImage": {**docker, "registry": registry}})

    __str__ = __repr__

    def _of(self, *keys: str) -> Any:
        value: Any = self
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value


def image_details(workspace: Workspace, version: RegisteredVersion) -> DockerImageDetails:
    """Return the details of a version's image; nothing has to be built for it.

    `imageExistsInRegistry` says whether one of the registries of the settings has it, and without any whether the
    engine has; None where they do not answer.
    """
    definition, identity = definition_of(workspace, version)
    conda = identity.conda_environment
    prefix = f"/azureml-envs/{conda}" if conda else None
    registries = workspace.config.registries
    return DockerImageDetails(
        imageExistsInRegistry=_exists(workspace, version),
        intellectualPropertyPublisher=None,
        imageCapabilities={"canAccessData": None, "hasCrossTenantSupport": None},
        ingredients={"dockerfile": identity.named_text, "condaSpecification": _specification(definition, conda)},
        vulnerabilityFindings={"details": None},
        pythonEnvironment={
            "interpreterPath": f"{prefix}/bin/python" if prefix else "python",
            "condaEnvironmentName": conda,
            "condaEnvironmentPath": prefix,
        },
        dockerImage={
            "name": identity.image,
            "registry": {"address": str(registries[0]) if registries else None, "username": None, "password": None},
        },
        warnings=list(definition.warnings),
    )


def _specification(definition: Any, conda: str | None) -> str | None:
    return definition.conda.mutated(conda) if definition.conda is not None and conda is not None else None


def _exists(workspace: Workspace, version: RegisteredVersion) -> bool | None:
    engine = Engine(workspace.config.docker_host)
    if not workspace.has_registry:
        try:
            return find_known_image(engine, version.image) is not None
        except EnvkilnError:
            return None

    platform = workspace.config.for_environment(workspace.root, version.name).platform

    async def asked() -> Answer:
        # An engine that is away does not hide what a registry has: Azure ML's platform is the usual one.
        registry = registry_of(workspace.config, engine, lambda: AZUREML_PLATFORM)
        return (await registry.ask(version.image, platform)).answer

    answer = run_apart(asked())
    return None if answer is Answer.UNKNOWN else answer is Answer.YES
