"""`Environment` of the v1 client (FACTS §2): made from files, changed, saved, and loaded again.

What needs a workspace or an engine is in the modules that its methods call. `docs/azureml-sdk.md` compares method by
method.
"""

import copy
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from envkiln.daemon import sdk_registered as registered
from envkiln.daemon.sdk_build import ImageBuildDetails, build_here
from envkiln.daemon.sdk_conda import PYTHON_DEFAULT_VERSION, CondaDependencies
from envkiln.daemon.sdk_details import DockerImageDetails, image_details
from envkiln.daemon.sdk_docker import ContainerRegistry, DockerBuildContext, DockerSection, dockerfile_text
from envkiln.daemon.sdk_element import Element, from_plain, logger
from envkiln.daemon.sdk_errors import UserErrorException
from envkiln.daemon.sdk_exported import export_conda_environment
from envkiln.daemon.sdk_json import as_plain, read_base_dockerfile, read_directory, with_defaults, write_directory
from envkiln.daemon.sdk_labels import label_version
from envkiln.daemon.sdk_sections import DatabricksSection, PythonSection, RSection, SparkSection
from envkiln.daemon.sdk_wheels import add_wheel
from envkiln.daemon.sdk_workspace import Workspace

_SECTIONS: dict[str, type[Element]] = {
    "docker": DockerSection,
    "spark": SparkSection,
    "databricks": DatabricksSection,
    "r": RSection,
}
_NO_NAME = "Name is required to instantiate an Environment object"


@dataclass(eq=False, init=False, repr=False)
class Environment(Element):
    """An environment that can be changed. Its name, version and variables enter no name of an image."""

    name: str | None
    version: str | None
    environment_variables: Any
    python: PythonSection = field(metadata={"of": PythonSection})
    docker: DockerSection = field(metadata={"of": DockerSection})
    spark: SparkSection = field(metadata={"of": SparkSection})
    databricks: DatabricksSection = field(metadata={"of": DatabricksSection})
    r: RSection | None = field(metadata={"of": RSection})
    inferencing_stack_version: str | None
    asset_id: str | None

    def __init__(self, name: str | None, **_: Any) -> None:
        if name is not None and not isinstance(name, str):
            raise TypeError(f"Environment name expected str, {type(name)} found")
        self.name = name
        self.version = None
        self.environment_variables = {"EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"}
        self.python = PythonSection()
        self.docker = DockerSection()
        self.spark = SparkSection()
        self.databricks = DatabricksSection()
        self.r = None
        self.inferencing_stack_version = None
        self.asset_id = None

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "environment_variables" and "asset_id" in self.__dict__:
            logger.warning(
                "Property environment_variables is deprecated. "
                "Use RunConfiguration.environment_variables to set runtime variables."
            )
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        return json.dumps(as_plain(self), sort_keys=True, indent=4)

    def __str__(self) -> str:
        return f"Environment(Name: {self.name},\nVersion: {self.version})"

    # Made from files

    @staticmethod
    def from_conda_specification(name: str, file_path: str | Path | None) -> "Environment":
        """Return the environment of a conda file; a Python that is not recognised becomes the default one.

        Raises UserErrorException for what is wrong in the file, OSError when it cannot be read.
        """
        made = Environment(name)
        conda = CondaDependencies(file_path)
        if conda.get_python_version() is None:
            logger.warning('No Python version provided, defaulting to "%s"', PYTHON_DEFAULT_VERSION)
            conda.set_python_version(PYTHON_DEFAULT_VERSION)
        made.python.conda_dependencies = conda
        return made

    @staticmethod
    def from_pip_requirements(name: str, file_path: str | Path, pip_version: str | None = None) -> "Environment":
        """Return the environment of a requirements file: its lines, as they are, are the pip part."""
        made = Environment(name)
        conda = CondaDependencies()
        conda.set_pip_requirements(Path(file_path).read_text(encoding="utf-8").splitlines())
        conda.add_conda_package(f"pip={pip_version}" if pip_version else "pip")
        made.python.conda_dependencies = conda
        return made

    @staticmethod
    def from_docker_image(
        name: str,
        image: str,
        container_registry: ContainerRegistry | None = None,
        conda_specification: str | Path | None = None,
        pip_requirements: str | Path | None = None,
    ) -> "Environment":
        """Return the environment of an image; without a specification the image is taken as it is."""
        made = _with_python(name, conda_specification, pip_requirements)
        made.docker.base_image = image
        if container_registry is not None:
            made.docker.base_image_registry = container_registry
        return made

    @staticmethod
    def from_dockerfile(
        name: str,
        dockerfile: str | Path | TextIO,
        conda_specification: str | Path | None = None,
        pip_requirements: str | Path | None = None,
    ) -> "Environment":
        """Return the environment of a Dockerfile: a file, its path or its text."""
        made = _with_python(name, conda_specification, pip_requirements)
        made.docker.base_image = None
        made.docker.base_dockerfile = dockerfile_text(dockerfile)
        return made

    @staticmethod
    def from_docker_build_context(name: str, docker_build_context: DockerBuildContext) -> "Environment":
        """Return the environment of a build context: its image is what the context's Dockerfile makes."""
        context = {"buildContext": None}
        made = Environment._from_plain({"name": name, "docker": context})
        made.docker.build_context = docker_build_context
        return made

    @staticmethod
    def from_existing_conda_environment(name: str, conda_environment_name: str) -> "Environment | None":
        """Return the environment of what `conda env export` says, None when conda cannot say it."""
        text = export_conda_environment(conda_environment_name)
        if text is None:
            return None
        made = Environment(name)
        made.python.conda_dependencies = CondaDependencies.from_text(text, conda_environment_name)
        return made

    # In a workspace

    def register(self, workspace: Workspace) -> "Environment":
        """Register the environment and return it as the workspace has it, with its version.

        What has not changed since the latest version keeps that version.
        """
        if not self.name:
            raise UserErrorException(_NO_NAME, hint="set the name of the environment")
        version = registered.register(workspace, as_plain(self))
        return Environment._from_plain(registered.plain_of(workspace, version))

    @staticmethod
    def get(workspace: Workspace, name: str, version: str | None = None, label: str | None = None) -> "Environment":
        """Return a registered environment: the latest, or that of a version or a label."""
        found = registered.find(workspace, name, version, label)
        return Environment._from_plain(registered.plain_of(workspace, found))

    @staticmethod
    def list(workspace: Workspace) -> dict[str, "Environment"]:
        """Return the latest version of every environment, by name."""
        found = registered.all_latest(workspace)
        return {it.name: Environment._from_plain(registered.plain_of(workspace, it)) for it in found}

    @staticmethod
    def label(workspace: Workspace, name: str, version: str, labels: Iterable[str]) -> None:
        """Give labels to a registered version; a label that another version has moves to this one."""
        found = registered.find(workspace, name, version)
        label_version(workspace, name, found.version, labels)

    @staticmethod
    def add_private_pip_wheel(workspace: Workspace, file_path: str | Path, exist_ok: bool = False) -> str:
        """Keep a wheel in the workspace; return its URL, for `add_pip_package`."""
        return add_wheel(workspace, file_path, exist_ok=exist_ok)

    def get_image_details(self, workspace: Workspace) -> DockerImageDetails:
        """Return what is known of the image of the registered environment, before anything is built."""
        return image_details(workspace, registered.find(workspace, str(self.name), self.version))

    def build(self, workspace: Workspace, image_build_compute: str | None = None) -> ImageBuildDetails:
        """Start to build the image of the registered environment, on this machine, and push it where a registry is.

        `image_build_compute` is not used. An environment that is not registered is registered first.
        """
        del image_build_compute
        try:
            version = registered.find(workspace, str(self.name), self.version)
        except UserErrorException:
            logger.warning("Building a non-registered environment is not supported. Registering environment.")
            version = registered.register(workspace, as_plain(self))
        return ImageBuildDetails(workspace, version)

    def build_local(self, workspace: Workspace, platform: str | None = None, **kwargs: Any) -> None:
        """Make the image (`useDocker=True`) or the conda environment of the registered environment on this machine.

        With `pushImageToWorkspaceAcr=True` the image is pushed to the first registry of the settings. `platform` is
        not used: what is built is for Linux.
        """
        del platform
        build_here(
            workspace,
            registered.find(workspace, str(self.name), self.version),
            use_docker=kwargs.get("useDocker", self.docker.enabled),
            push=kwargs.get("pushImageToWorkspaceAcr", False),
        )

    # Saved and loaded

    def save_to_directory(self, path: str | Path, overwrite: bool = False) -> None:
        """Write `azureml_environment.json` and the files beside it."""
        write_directory(as_plain(self), Path(path), overwrite=overwrite)

    @staticmethod
    def load_from_directory(path: str | Path) -> "Environment | EnvironmentReference":
        """Return what `save_to_directory` wrote; a JSON with nothing but name and version is a reference."""
        made = Environment._from_plain_or_reference(read_directory(Path(path)))
        dockerfile = read_base_dockerfile(Path(path))
        if dockerfile is not None and isinstance(made, Environment):
            made.docker.base_dockerfile = dockerfile
        return made

    def clone(self, new_name: str) -> "Environment":
        """Return a copy with another name and no version."""
        if not new_name:
            raise UserErrorException(_NO_NAME, hint="give a name, such as clone('training-2')")
        made = Environment._from_plain({**copy.deepcopy(as_plain(self)), "version": None, "assetId": None})
        made.name = new_name
        return made

    @staticmethod
    def _from_plain_or_reference(value: Mapping[str, Any]) -> "Environment | EnvironmentReference":
        if value.keys() <= {"name", "version", "assetId"}:
            return EnvironmentReference(value.get("name"), value.get("version"))
        return Environment._from_plain(value)

    @staticmethod
    def _from_plain(value: Mapping[str, Any]) -> "Environment":
        found = with_defaults(value)
        made = Environment(found.get("name"))
        object.__setattr__(made, "environment_variables", found["environmentVariables"])
        made.version, made.asset_id = found["version"], found["assetId"]
        made.inferencing_stack_version = found["inferencingStackVersion"]
        for name, kind in _SECTIONS.items():
            if found.get(name) is not None:
                setattr(made, name, from_plain(kind, found[name]))
        python = found.get("python") or {}
        made.python = from_plain(PythonSection, {key: it for key, it in python.items() if key != "condaDependencies"})
        conda = python.get("condaDependencies")
        made.python.conda_dependencies = None if conda is None else CondaDependencies.from_dict(conda)
        return made


@dataclass(eq=False)
class EnvironmentReference(Element):
    """The name, and perhaps the version, of a registered environment."""

    name: str | None = None
    version: str | None = None

    def get_environment(self, workspace: Workspace) -> Environment:
        return Environment.get(workspace, str(self.name), self.version)

    def __repr__(self) -> str:
        return json.dumps({"name": self.name, "version": self.version}, sort_keys=True, indent=4)


def _with_python(name: str, conda_specification: str | Path | None, pip_requirements: str | Path | None) -> Environment:
    if conda_specification and pip_requirements:
        raise UserErrorException(
            "Only one of conda_specification or pip_requirements can be specified as python dependencies"
        )
    if conda_specification:
        return Environment.from_conda_specification(name, conda_specification)
    if pip_requirements:
        return Environment.from_pip_requirements(name, pip_requirements)
    made = Environment(name)
    made.python.user_managed_dependencies = True
    return made
