"""Readable tags: which references should point to the image of an environment as it is now. Pure."""

import re
from functools import lru_cache

from envkiln.cache.definition import ImageReference, ImageReferenceError
from envkiln.daemon.events import Problem, Sighting

_NOT_ALLOWED = re.compile(r"[^a-z0-9._-]+")
_FILE_ENDING = re.compile(r"\.(ya?ml|txt|json)$", re.IGNORECASE)


def aliases_of(sighting: Sighting) -> tuple[str, ...]:
    """Return the references (`repository:tag`) that the settings give this environment; none while it is invalid.

    The templates know `{id}`, the environment's path without a file ending, and `{name}`, the name that its
    definition declares, or the id. A result that Docker would not take is left out.
    """
    if isinstance(sighting.found, Problem):
        return ()
    name = sighting.found.declared_name
    return tuple(
        alias
        for template in sighting.settings.aliases
        if (alias := _alias(template, sighting.id, name or sighting.id)) is not None
    )


@lru_cache(maxsize=1 << 15)
def _alias(template: str, id_: str, name: str) -> str | None:
    text = template.replace("{id}", repository_name(id_)).replace("{name}", repository_name(name))
    try:
        reference = ImageReference.parse(text)
    except ImageReferenceError:
        return None
    return None if reference.digest else f"{reference.repository}:{reference.tag or 'latest'}"


def repository_name(text: str) -> str:
    """Return `text` as a repository path: lower case, every part starting and ending with a letter or digit."""
    parts = (_NOT_ALLOWED.sub("-", part.lower()) for part in _FILE_ENDING.sub("", text).split("/"))
    collapsed = (re.sub(r"[._-]{2,}", "-", part).strip("._-") for part in parts)
    return "/".join(part for part in collapsed if part)
