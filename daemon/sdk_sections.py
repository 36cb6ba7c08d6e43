"""The sections `python`, `spark`, `databricks` and `r` of the v1 client (FACTS §2.4)."""

from dataclasses import dataclass, field
from typing import Any

from envkiln.daemon.sdk_conda import CondaDependencies
from envkiln.daemon.sdk_element import Element, logger


@dataclass(eq=False)
class PythonSection(Element):
    """Which Python environment is made; none where `user_managed_dependencies` is true."""

    user_managed_dependencies: bool = False
    interpreter_path: str = "python"
    conda_dependencies_file: str | None = None
    base_conda_environment: str | None = None
    conda_dependencies: CondaDependencies | None = field(default_factory=CondaDependencies)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "conda_dependencies_file" and "conda_dependencies" in self.__dict__:
            logger.warning("Property conda_dependencies_file is deprecated. Use Environment.from_conda_specification")
        super().__setattr__(name, value)


@dataclass(eq=False)
class SparkPackage(Element):
    """A Maven package."""

    group: str | None = None
    artifact: str | None = None
    version: str | None = None


@dataclass(eq=False)
class SparkSection(Element):
    """Packages that are fetched while the image is built, where the base image has Spark."""

    repositories: list[str] = field(default_factory=list)
    packages: list[SparkPackage] = field(default_factory=list, metadata={"of": SparkPackage})
    precache_packages: bool = True


@dataclass(eq=False)
class MavenLibrary(Element):
    coordinates: str = ""
    repo: str = ""
    exclusions: list[str] = field(default_factory=list)


@dataclass(eq=False)
class PyPiLibrary(Element):
    package: str = ""
    repo: str = ""


@dataclass(eq=False)
class RCranLibrary(Element):
    package: str = ""
    repo: str = ""


@dataclass(eq=False)
class JarLibrary(Element):
    library: str = ""


@dataclass(eq=False)
class EggLibrary(Element):
    library: str = ""


@dataclass(eq=False)
class DatabricksSection(Element):
    """Libraries of Databricks clusters: kept and written down, without an effect on the image."""

    maven_libraries: list[MavenLibrary] = field(default_factory=list, metadata={"of": MavenLibrary})
    pypi_libraries: list[PyPiLibrary] = field(default_factory=list, metadata={"of": PyPiLibrary})
    rcran_libraries: list[RCranLibrary] = field(default_factory=list, metadata={"of": RCranLibrary})
    jar_libraries: list[JarLibrary] = field(default_factory=list, metadata={"of": JarLibrary})
    egg_libraries: list[EggLibrary] = field(default_factory=list, metadata={"of": EggLibrary})


@dataclass(eq=False)
class RCranPackage(Element):
    name: str | None = None
    version: str | None = None
    repository: str | None = None


@dataclass(eq=False)
class RGitHubPackage(Element):
    repository: str | None = None
    auth_token: str | None = field(default=None, repr=False)


@dataclass(eq=False)
class RSection(Element):
    """Packages of R, which Azure ML has deprecated: kept and written down, without an effect on the image."""

    r_version: str | None = None
    user_managed: bool = False
    rscript_path: str | None = None
    snapshot_date: str | None = None
    cran_packages: list[RCranPackage] | None = field(default=None, metadata={"of": RCranPackage})
    github_packages: list[RGitHubPackage] | None = field(default=None, metadata={"of": RGitHubPackage})
    custom_url_packages: list[str] | None = None
    bioconductor_packages: list[str] | None = None
