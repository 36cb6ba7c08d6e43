"""What a definition says, as frozen values: if one exists, it is valid."""

import re
from dataclasses import dataclass, replace
from enum import Enum

from envkiln.cache.credentials import Credential
from envkiln.cache.errors import EnvkilnError
from envkiln.cache.redact import quoted
from envkiln.cache.source import EntryKind


class Format(Enum):
    """How a definition is written."""

    CONDA = "conda"
    AZUREML_V1 = "azureml-v1"
    AZUREML_V2 = "azureml-v2"
    REQUIREMENTS = "requirements"
    DOCKERFILE = "docker-build-context"


_DOMAIN = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<repository>(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


class ImageReferenceError(EnvkilnError):
    """Raised for a text that is not an image reference."""


@dataclass(frozen=True, slots=True)
class ImageReference:
    """`repository[:tag][@digest]`, as Docker's reference grammar has it; a missing tag is not invented (FACTS §1.3)."""

    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> "ImageReference":
        """Return the reference that `text` is; raises ImageReferenceError when it is none."""
        match = _REFERENCE.fullmatch(text) if len(text) <= 512 else None
        if match is None:
            raise ImageReferenceError(
                f"{quoted(text, 120)} is not an image reference",
                hint="write it as registry/repository:tag, in lower case, with or without @sha256:<digest>",
            )
        return cls(match["repository"], match["tag"], match["digest"])

    def with_digest(self, digest: str | None) -> "ImageReference":
        """Return the reference pinned to `digest`, unless it already is to one."""
        return self if self.digest or digest is None else replace(self, digest=digest)

    @property
    def unpinned(self) -> str:
        """`repository[:tag]`: what can move."""
        return f"{self.repository}:{self.tag}" if self.tag else self.repository

    def __str__(self) -> str:
        return f"{self.unpinned}@{self.digest}" if self.digest else self.unpinned


@dataclass(frozen=True, slots=True)
class CondaSpecification:
    """A conda specification: `canonical` is its canonical text with the name `''` (`canonical.canonical_text`)."""

    canonical: str
    declared_name: str | None = None

    def mutated(self, conda_environment: str) -> str:
        """Return the text of `mutated_conda_dependencies.yml`: canonical, with the name of the conda environment."""
        # A top-level key starts its line and nothing else does: the text has no other line that reads so.
        head, _, tail = f"\n{self.canonical}".partition("\nname: ''\n")
        return f"{head}\nname: {conda_environment}\n{tail}".removeprefix("\n")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file, directory or link that enters an image: `path` is where in the context, `source` where in the tree.

    `content` is the SHA-256 (hex) of a file's bytes, a link's target, and empty for a directory.
    """

    path: str
    source: str
    kind: EntryKind
    content: str = ""
    executable: bool = False


@dataclass(frozen=True, slots=True)
class BuildContext:
    """A Docker build context: what the ignore files leave in of `directory`, sorted by path."""

    directory: str
    dockerfile: str
    files: tuple[SourceFile, ...]
    credentials: tuple[Credential, ...] = ()
    """Those in the text of the Dockerfile."""


@dataclass(frozen=True, slots=True)
class SparkSection:
    """The `spark` section of a v1 environment: packages as Maven coordinates `group:artifact:version`."""

    repositories: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    precache: bool = True


@dataclass(frozen=True, slots=True)
class EnvironmentDefinition:
    """One environment, read from its files.

    `file` is the definition's main file, `directory` where its relative paths start. Exactly one of these holds:
    `context` is set (a build context); `base_dockerfile` is set; otherwise the base is `base_image`, where None
    means the configured one. `conda` is None where no conda environment is made (image only, user-managed).
    """

    format: Format
    file: str
    directory: str
    declared_name: str | None = None
    base_image: ImageReference | None = None
    base_dockerfile: str | None = None
    context: BuildContext | None = None
    conda: CondaSpecification | None = None
    extra_files: tuple[SourceFile, ...] = ()
    """Local files that the pip part refers to (`-r`, `-c`, wheels): laid beside the conda specification."""
    spark: SparkSection = SparkSection()
    warnings: tuple[str, ...] = ()
    """What is accepted but will probably not do what is meant, each `file:line: text`."""
    credentials: tuple[Credential, ...] = ()
    """What must not be shown or stored; at most MAX_CREDENTIALS different ones."""
