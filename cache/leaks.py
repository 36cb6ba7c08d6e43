"""Which credentials of a definition would end in its image, with the way out: pure."""

from collections.abc import Iterator

from envkiln.cache.credentials import Carrier, Credential
from envkiln.cache.definition import EnvironmentDefinition

_MOST = 20
_KEEPERS = frozenset((".env", ".git-credentials", ".netrc", ".npmrc", ".pgpass", ".pypirc", "id_ed25519", "id_rsa"))
"""Files that programs keep credentials in, by their usual names."""
_MOUNT = "give it to the one step that needs it: RUN --mount=type=secret"


def leaks(definition: EnvironmentDefinition, *, has_secrets: bool | None) -> tuple[str, ...]:
    """Return a warning, `file:line: text`, for each credential that ends in the image or is kept out of it silently.

    `has_secrets` says whether the builder knows secrets, as BuildKit does; None where it is not known which one builds.
    At most 20 warnings, and how many more there are.
    """
    said = [*dict.fromkeys(_said(definition, has_secrets))]
    return (*said[:_MOST], *((f"{definition.file}: {len(said) - _MOST} more of these",) if len(said) > _MOST else ()))


def _said(definition: EnvironmentDefinition, has_secrets: bool | None) -> Iterator[str]:
    for found in definition.credentials:
        text = _of(found, has_secrets)
        if text:
            yield f"{found.file}:{found.line}: {text}"
    if definition.context is not None:
        for file in definition.context.files:
            if file.path.rpartition("/")[2] in _KEEPERS:
                yield f"{file.source}: the build context has this file: leave it out in .dockerignore, or {_MOUNT}"


def _of(found: Credential, has_secrets: bool | None) -> str | None:
    if found.carrier is Carrier.TEXT:
        return f"{found.what} becomes part of the image: {_MOUNT}"
    container = f"give it to the container: envkiln run -e {found.name}"
    if found.carrier is Carrier.VARIABLE and has_secrets:
        return f"{found.what} is not put into the image: {container}"
    if has_secrets:
        return None
    way_out = container if found.carrier is Carrier.VARIABLE else 'install docker buildx, or set builder = "buildx"'
    if has_secrets is None:
        return f"{found.what} becomes part of the image if the classic builder builds it: {way_out}"
    return f"{found.what} becomes part of the image, as the classic builder has no secrets: {way_out}"
