"""How the credentials of a definition reach a build and not its image: as secrets of BuildKit (docs/secrets.md)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from envkiln.cache.context import ContextEntry
from envkiln.cache.credentials import Carrier, Credential
from envkiln.cache.definition import EnvironmentDefinition
from envkiln.cache.errors import EnvkilnError
from envkiln.cache.identity import Identity
from envkiln.cache.scrub import scrub_program
from envkiln.cache.setup_names import EXTRA_FILES, SETUP, SPECIFICATION
from envkiln.cache.shown import built_specification, shown_specification

SCRUB = "envkiln-scrub"
"""The id of the secret that is the program of `scrub.py`."""

# What `RUN --mount=type=secret,target=...` takes without quotes of any kind.
_MOUNTABLE = re.compile(r"[A-Za-z0-9._+@/-]+")
_IN_PLACE = b"# This file holds a credential: it was a secret of the build.\n"


@dataclass(frozen=True, slots=True)
class Sealed:
    """`mounts` are (id of a secret, absolute path in the step); `shown` replace entries of the context, by path."""

    secrets: tuple[ContextEntry, ...] = ()
    mounts: tuple[tuple[str, str], ...] = ()
    shown: tuple[ContextEntry, ...] = ()


def seal(definition: EnvironmentDefinition, identity: Identity) -> Sealed:
    """Return the secrets of a build of `definition`; nothing for one without credentials that can be kept out.

    A variable that holds a credential is in none of it: no step needs it. Raises EnvkilnError for a file of pip whose
    path cannot be mounted.
    """
    if definition.conda is None or identity.conda_environment is None:
        return Sealed()
    needed = [found for found in definition.credentials if found.carrier is Carrier.SPECIFICATION]
    variables = [found for found in definition.credentials if found.carrier is Carrier.VARIABLE]
    if not needed and not variables:
        return Sealed()
    built = built_specification(definition.conda, definition.credentials)
    path = f"{SETUP}/{SPECIFICATION}"
    real = built.mutated(identity.conda_environment).encode("utf-8", "surrogatepass")
    masked = shown_specification(built, needed).mutated(identity.conda_environment).encode("utf-8", "surrogatepass")
    if not needed:
        return Sealed(shown=(ContextEntry(path, data=real),))
    files = [("envkiln-specification", ContextEntry("envkiln-specification", data=real), path)]
    files += _extra_files(definition, needed)
    places = (f"/azureml-envs/{identity.conda_environment}", f"/{SETUP}", "/root")
    program = ContextEntry(SCRUB, data=scrub_program(needed, places, [f"/{target}" for _, _, target in files]))
    shown = [ContextEntry(path, data=masked)]
    shown += [
        ContextEntry(f"{SETUP}/{EXTRA_FILES}/{target.removeprefix(f'{SETUP}/')}", data=_IN_PLACE)
        for _, _, target in files[1:]
    ]
    return Sealed(
        (*(entry for _, entry, _ in files), program),
        (*((id_, f"/{target}") for id_, _, target in files), (SCRUB, f"/run/secrets/{SCRUB}")),
        tuple(shown),
    )


def _extra_files(
    definition: EnvironmentDefinition, needed: list[Credential]
) -> Iterator[tuple[str, ContextEntry, str]]:
    """Yield (id, secret, path in the image without its slash) of the files of pip that hold a credential."""
    holders = {found.file for found in needed}
    for number, file in enumerate(file for file in definition.extra_files if file.source in holders):
        if not _MOUNTABLE.fullmatch(file.path):
            raise EnvkilnError(
                f"{file.source!r} holds a credential, and its name cannot be mounted as a secret",
                hint="rename it: letters, digits and . _ + @ - only",
            )
        id_ = f"envkiln-file-{number}"
        yield id_, ContextEntry(id_, source=file.source, content=file.content), f"{SETUP}/{file.path}"
