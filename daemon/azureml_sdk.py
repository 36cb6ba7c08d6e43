"""The Python API, shaped like azureml.core: change the import, and the rest of a script stays.

    from envkiln.daemon.azureml_sdk import Environment, Workspace

`docs/azureml-sdk.md` says, method by method, what is the same and what is not.
"""

from envkiln.daemon.sdk_build import ImageBuildDetails
from envkiln.daemon.sdk_conda import PYTHON_DEFAULT_VERSION, CondaDependencies
from envkiln.daemon.sdk_details import DockerImageDetails
from envkiln.daemon.sdk_docker import (
    DEFAULT_CPU_IMAGE,
    DEFAULT_GPU_IMAGE,
    ContainerRegistry,
    DockerBuildContext,
    DockerImagePlatform,
    DockerSection,
)
from envkiln.daemon.sdk_environment import Environment, EnvironmentReference
from envkiln.daemon.sdk_errors import AzureMLException, BuildFailedException, UserErrorException
from envkiln.daemon.sdk_sections import (
    DatabricksSection,
    EggLibrary,
    JarLibrary,
    MavenLibrary,
    PyPiLibrary,
    PythonSection,
    RCranLibrary,
    RCranPackage,
    RGitHubPackage,
    RSection,
    SparkPackage,
    SparkSection,
)
from envkiln.daemon.sdk_workspace import Workspace

__all__ = [
    "DEFAULT_CPU_IMAGE",
    "DEFAULT_GPU_IMAGE",
    "PYTHON_DEFAULT_VERSION",
    "AzureMLException",
    "BuildFailedException",
    "CondaDependencies",
    "ContainerRegistry",
    "DatabricksSection",
    "DockerBuildContext",
    "DockerImageDetails",
    "DockerImagePlatform",
    "DockerSection",
    "EggLibrary",
    "Environment",
    "EnvironmentReference",
    "ImageBuildDetails",
    "JarLibrary",
    "MavenLibrary",
    "PyPiLibrary",
    "PythonSection",
    "RCranLibrary",
    "RCranPackage",
    "RGitHubPackage",
    "RSection",
    "SparkPackage",
    "SparkSection",
    "UserErrorException",
    "Workspace",
]
