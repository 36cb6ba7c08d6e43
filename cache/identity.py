"""What an environment is called, and the text each name is a hash of. `docs/names.md` lists every input."""

from collections.abc import Iterator
from dataclasses import dataclass

from envkiln.cache.definition import EnvironmentDefinition, ImageReference, SourceFile
from envkiln.cache.dockerfile import base_dockerfile_lines, named_steps, named_text
from envkiln.cache.names import conda_environment_name, image_name
from envkiln.cache.source import EntryKind

AZUREML = "azureml/1"
EXTENDED = "azureml-files/1"
IMAGE_ONLY = "image/1"
BASE_DOCKERFILE = "base-dockerfile/1"
CONTEXT = "build-context/1"

AZUREML_PLATFORM = "linux/amd64"
"""FACTS §8."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The names of one environment on one base image.

    `image` is the repository name (`azureml/azureml_<hash>`), `recipe` says how `named_text` was made, and
    `base_image` is the reference in `FROM`, None where a Dockerfile of the user has it.
    """

    recipe: str
    image: str
    named_text: str
    conda_environment: str | None = None
    base_image: ImageReference | None = None


def identify(
    definition: EnvironmentDefinition,
    default_base: ImageReference,
    digest: str | None = None,
    *,
    platform: str | None = None,
) -> Identity:
    """Return the names of `definition`.

    `default_base` is used where the definition names no base image; `digest` pins the base image's tag, if it is
    known (see `base_image_of` for which reference is meant). Azure ML builds for linux/amd64 only: a `platform` that
    is asked for and is another one enters the image name. Pure: nothing else influences a name.
    """
    conda_environment = conda_environment_name(definition.conda.canonical) if definition.conda else None
    base: ImageReference | None = None
    if definition.context is not None:
        recipe, text = CONTEXT, _manifest_text(definition)
    elif definition.base_dockerfile is not None:
        recipe, text = (
            BASE_DOCKERFILE,
            f"# {BASE_DOCKERFILE}\n{base_dockerfile_lines(definition.base_dockerfile)}",
        )
        if conda_environment:
            text += named_steps(conda_environment)
    else:
        base = base_image_of(definition, default_base).with_digest(digest)
        if conda_environment:
            recipe, text = AZUREML, named_text(base, conda_environment)
        else:
            recipe, text = IMAGE_ONLY, f"# {IMAGE_ONLY}\nFROM {base}\n"
    additions = "".join(_additions(definition)) if definition.extra_files or definition.spark.packages else ""
    if platform not in (None, AZUREML_PLATFORM):
        additions += f"# platform {platform}\n"
    if additions:
        recipe = EXTENDED if recipe == AZUREML else recipe
        text += f"# {EXTENDED}\n{additions}"
    return Identity(recipe, image_name(text), text, conda_environment, base)


def base_image_of(definition: EnvironmentDefinition, default_base: ImageReference) -> ImageReference:
    """Return the base image that `definition` asks for, or the default one."""
    return definition.base_image or default_base


def _additions(definition: EnvironmentDefinition) -> Iterator[str]:
    """What changes the image but has no place in Azure ML's text: local files of the pip part, Spark packages."""
    yield from map(_file_line, definition.extra_files)
    if definition.spark.packages and definition.spark.precache:
        yield from (f"# spark repository {repository}\n" for repository in definition.spark.repositories)
        yield from (f"# spark package {package}\n" for package in definition.spark.packages)


def _manifest_text(definition: EnvironmentDefinition) -> str:
    assert definition.context is not None  # noqa: S101 -- the caller looked
    files = sorted(definition.context.files, key=lambda file: file.path.encode(errors="surrogateescape"))
    return f"# {CONTEXT}\n# dockerfile {definition.context.dockerfile}\n" + "".join(map(_file_line, files))


def _file_line(file: SourceFile) -> str:
    """One line per entry; the path comes last and escaped, so no name can look like another line."""
    kind = {EntryKind.DIRECTORY: "directory", EntryKind.SYMLINK: "link"}.get(file.kind)
    kind = kind or ("executable" if file.executable else "file")
    return f"# {kind} {_escaped(file.content) or '-'} {_escaped(file.path)}\n"


def _escaped(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii").replace(" ", "\\x20")
