"""Environments of Azure ML's SDK of version 2, shaped like `azure.ai.ml`: `load_environment`, `Environment`.

Only the import differs from the client's own. What is loaded is what azure-ai-ml 1.35.2 loads, and an environment
without a name gets the same version as with it (`anonymous_version`). `docs/azure-ai-ml.md` compares them.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import yaml

from envkiln.cache.anonymous_version import ANONYMOUS_NAME, conda_text, upload_hash, version_of_build, version_of_image
from envkiln.cache.errors import EnvkilnError
from envkiln.daemon.azure_ai_ml_schema import SchemaError, loaded_fields
from envkiln.daemon.disk_tree import DigestCache, DiskTree

__all__ = ["BuildContext", "Environment", "SchemaError", "ValidationException", "load_environment"]

PathLike = str | os.PathLike[str]


class ValidationException(EnvkilnError):  # noqa: N818 -- azure-ai-ml's name
    """What azure-ai-ml raises for an environment or a file that is wrong; `message` is as there."""


class BuildContext:  # noqa: PLW1641 -- it can change
    """A Docker build context: `path` is its directory, `dockerfile_path` relative to it, where it is named."""

    def __init__(self, *, dockerfile_path: str | None = None, path: PathLike | None = None) -> None:
        self.dockerfile_path = dockerfile_path
        self.path = path

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BuildContext):
            return NotImplemented
        return (self.dockerfile_path, self.path) == (other.dockerfile_path, other.path)


class Environment:  # noqa: PLW1641 -- it can change
    """An environment as `azure.ai.ml.entities.Environment` has it.

    Without a name it is anonymous: name and version are made of its content. `conda_file` is given as a path, read at
    once, or as a mapping, and is a mapping. Raises ValidationException.
    """

    def __init__(  # noqa: PLR0913 -- they are azure-ai-ml's
        self,
        *,
        name: str | None = None,
        version: str | None = None,
        description: str | None = None,
        image: str | None = None,
        build: BuildContext | None = None,
        conda_file: PathLike | Mapping[Any, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        properties: Mapping[str, Any] | None = None,
        datastore: str | None = None,
        **others: Any,
    ) -> None:
        """`others` may be `inference_config` (a mapping), `os_type`, `base_path` (where paths start) and
        `is_anonymous`."""
        self.base_path = Path(others.pop("base_path", None) or Path.cwd())
        self.inference_config: Mapping[str, Any] | None = others.pop("inference_config", None)
        self.os_type: str | None = others.pop("os_type", None)
        self.is_anonymous = bool(others.pop("is_anonymous", False))
        if others:
            raise TypeError(f"Environment has no {', '.join(sorted(others))}")
        if version is not None and not name:
            raise ValidationException("If version is specified, name must be specified also.")
        if version and not isinstance(version, str):
            raise ValidationException(f"Asset version must be a string, not type {type(version)}.")
        self.is_anonymous = self.is_anonymous or not name
        self.name = name
        self.version = version
        self.description = description
        self.image = image
        self.build = build
        self.tags = dict(tags or {})
        self.properties = dict(properties or {})
        self.datastore = datastore
        self.conda_file: dict[Any, Any] | None = self._specification(conda_file)
        self.path = self._context_directory()
        if self.is_anonymous:
            self.name, self.version = ANONYMOUS_NAME, self.anonymous_version()

    def anonymous_version(self) -> str | None:
        """Return the version that this content has without a name, None where there is neither image nor context."""
        if self.path is not None and self.build is not None:
            if not self.path.is_dir():
                raise FileNotFoundError(f"No such file or directory: {str(self.path)!r}")
            return version_of_build(
                upload_hash(DiskTree(self.path, DigestCache()), ""), self.build.dockerfile_path or None
            )
        if self.image is None:
            return None
        return version_of_image(self.image, conda=self.conda_file, inference=self.inference_config)

    def validate(self) -> None:
        """Raise ValidationException, with the client's message, for what could not be created."""
        if self.name is None:
            raise ValidationException("Environment name is required")
        if self.image is None and self.build is None:
            raise ValidationException("Docker image or Dockerfile is required for environments")
        if self.image and self.build:
            raise ValidationException("Docker image or Dockerfile should be provided not both")

    def conda_text(self) -> str | None:
        """Return the text of the conda specification that the client sends."""
        return conda_text(self.conda_file) if self.conda_file else None

    def dump(self, dest: PathLike | IO[str]) -> None:
        """Write it as YAML that `load_environment` reads; raises FileExistsError where `dest` is there already."""
        build: dict[str, str | None] = {}
        if self.build is not None:
            path = os.fspath(self.build.path) if self.build.path else None
            build = {"dockerfile_path": self.build.dockerfile_path, "path": path}
        fields = {
            "name": self.name,
            "version": self.version,
            "description": self.description,
            "tags": self.tags,
            "build": {key: value for key, value in build.items() if value is not None} or None,
            "image": self.image,
            "conda_file": self.conda_file,
            "inference_config": dict(self.inference_config) if self.inference_config else None,
            "os_type": self.os_type,
            "datastore": self.datastore,
        }
        text = yaml.safe_dump({key: value for key, value in fields.items() if value is not None}, sort_keys=False)
        if isinstance(dest, (str, os.PathLike)):
            with Path(dest).open("x", encoding="utf-8") as stream:
                stream.write(text)
        else:
            dest.write(text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Environment):
            return NotImplemented
        return self.__dict__ == other.__dict__

    def _specification(self, given: PathLike | Mapping[Any, Any] | None) -> dict[Any, Any] | None:
        if not given:
            return None
        if isinstance(given, Mapping):
            return dict(given)
        value = _read_yaml(self.base_path / given)
        return value if value is None or isinstance(value, dict) else {"": value}

    def _context_directory(self) -> Path | None:
        """Return where the build context is, None for one that is elsewhere."""
        if self.build is None or not self.build.path or "://" in os.fspath(self.build.path):
            return None
        return (self.base_path / self.build.path).resolve()


def load_environment(
    source: PathLike | IO[str],
    *,
    relative_origin: PathLike | None = None,
    params_override: Sequence[Mapping[str, Any]] | None = None,
) -> Environment:
    """Return the environment that a YAML file (a path, or an open file) describes.

    Its paths start beside the file, or beside `relative_origin`. `params_override` replaces fields, given as
    `{"a.b": value}`. Raises ValidationException for a file that cannot be read, SchemaError for fields that are
    wrong, with the client's messages.
    """
    if relative_origin is None:
        relative_origin = source if isinstance(source, (str, os.PathLike)) else getattr(source, "name", "./")
    value = _read_yaml(Path(source)) if isinstance(source, (str, os.PathLike)) else _parsed(source, str(source))
    if value is None:
        raise ValidationException("Target yaml file is empty")
    if not isinstance(value, dict):
        raise ValidationException(f"Expect dict but get {type(value)} after parsing yaml file")
    for override in params_override or ():
        for path, given in override.items():
            _set(value, path, given)
    fields = loaded_fields(value)
    build = fields.pop("build", None)
    return Environment(
        **fields,
        build=BuildContext(**build) if build is not None else None,
        base_path=Path(relative_origin).parent,
    )


def _read_yaml(path: Path) -> Any:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            return _parsed(stream, str(path))
    except OSError as error:
        raise ValidationException(f"No such file or directory: {path}") from error


def _parsed(stream: IO[str], shown: str) -> Any:
    try:
        return yaml.safe_load(stream)
    except yaml.YAMLError as error:
        raise ValidationException(f"Error while parsing yaml file: {shown} \n\n {error}") from error


def _set(value: dict[str, Any], path: str, given: Any) -> None:
    *above, last = path.split(".")
    for key in above:
        inner = value.setdefault(key, {})
        if isinstance(inner, str):
            raise ValidationException(f"Cannot use '--set' on properties defined by reference strings: --set {path}")
        value = inner
    value[last] = given
