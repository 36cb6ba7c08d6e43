"""From a definition to a registered version, and back."""

from collections.abc import Callable
from dataclasses import dataclass

from envkiln.cache.collected import Collected, collect, not_shared
from envkiln.cache.content_key import content_key, credentials_of_run
from envkiln.cache.credentials import Carrier, in_line
from envkiln.cache.definition import EnvironmentDefinition, Format, ImageReference
from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.cache.format_requirements import DEFAULT_PYTHON
from envkiln.cache.formats import read_definition
from envkiln.cache.identity import Identity, base_image_of, identify
from envkiln.cache.registered_version import RegisteredVersion, VersionError, checked_name
from envkiln.cache.source import RecordingTree, SourceTree
from envkiln.cache.stored_tree import Load, StoredTree


class Altered(EnvkilnError):  # noqa: N818 -- what it is
    """What is stored does not have the name that it was registered with."""


class Restless(EnvkilnError):  # noqa: N818 -- what it is
    """The files changed while they were collected."""

    turn = Turn.SURROUNDINGS


@dataclass(frozen=True, slots=True)
class Naming:
    """What besides the files decides a name.

    `default_base` is for definitions that name no base image; `digest_of` returns the digest of a base image's tag,
    None where none is known or none is to enter the name.
    """

    default_base: ImageReference
    digest_of: Callable[[ImageReference], str | None] = lambda _: None
    platform: str | None = None
    requirements_python: str = DEFAULT_PYTHON


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that could be registered (its number means nothing yet), and where its files are in the tree."""

    version: RegisteredVersion
    collected: Collected


def candidate_of(
    tree: SourceTree, file: str, naming: Naming, *, name: str | None = None, description: str = ""
) -> Candidate:
    """Return the definition whose main file is `file` as a version that could be registered.

    It is called `name`, else what the definition calls itself. Raises DefinitionError for what is wrong with the
    definition, VersionError where it has no name to register by, Restless when it is being written.
    """
    recorded = RecordingTree(tree)
    definition = read_definition(recorded, file, requirements_python=naming.requirements_python)
    for credential in in_line(description, "description", 1, Carrier.TEXT):
        raise VersionError(
            f"the description holds {credential.what}, and a workspace is for others to read", hint="leave it out"
        )
    chosen = checked_name(name or definition.declared_name or "")
    try:
        main = tree.read(file)
        in_context = definition.context.credentials if definition.context else ()
        for credential in (*definition.credentials, *in_context, *credentials_of_run(definition, main)):
            raise not_shared(credential)
        collected = collect(tree, definition, recorded)
    except OSError:
        raise _restless(file) from None
    identity = _identity(definition, naming)
    version = RegisteredVersion(
        name=chosen,
        version=1,
        image=identity.image,
        content=content_key(definition, naming.default_base, naming.platform, main),
        recipe=identity.recipe,
        format=definition.format,
        main=collected.main,
        files=collected.files,
        conda_environment=identity.conda_environment,
        base_image=str(identity.base_image) if identity.base_image else None,
        platform=naming.platform,
        requirements_python=naming.requirements_python if definition.format is Format.REQUIREMENTS else None,
        description=description,
    )
    sources = {stored.sha256: collected.source_of(stored) for stored in collected.files if stored.sha256}
    try:
        read_version(version, lambda digest: tree.open(sources[digest]))
    except EnvkilnError:
        raise _restless(file) from None
    return Candidate(version, collected)


def read_version(version: RegisteredVersion, load: Load) -> tuple[EnvironmentDefinition, Identity]:
    """Return the definition of a registered version and its names; `load` opens bytes by their SHA-256.

    Raises Altered where the files do not give the image that was registered: somebody edited them.
    """
    tree = StoredTree(version.files, load)
    python = version.requirements_python or DEFAULT_PYTHON
    definition = read_definition(tree, version.main, requirements_python=python)
    base = ImageReference.parse(version.base_image) if version.base_image else None
    if base is None:
        identity = identify(definition, _NO_BASE, platform=version.platform)
    else:
        identity = identify(definition, base, base.digest, platform=version.platform)
    if identity.image != version.image:
        raise Altered(
            f"the files of {version.reference} give {identity.image}, and {version.image} was registered",
            hint=f"take versions/{version.name}/{version.version}.yml back from git: a version does not change",
        )
    return definition, identity


# Stands where a Dockerfile of the user names the base.
_NO_BASE = ImageReference("scratch")


def _identity(definition: EnvironmentDefinition, naming: Naming) -> Identity:
    base = base_image_of(definition, naming.default_base)
    movable = definition.context is None and definition.base_dockerfile is None and base.digest is None
    digest = naming.digest_of(base) if movable else None
    return identify(definition, naming.default_base, digest, platform=naming.platform)


def _restless(file: str) -> Restless:
    return Restless(f"{file}: the files changed while they were read", hint="save them and register again")
