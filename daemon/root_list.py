"""Which roots are watched, and what they are called for short."""

from collections.abc import Sequence
from pathlib import Path

from envkiln.daemon.config_file import ConfigFile, Given
from envkiln.daemon.settings import BY_NAME, ConfigError


def watched_roots(
    from_flags: Sequence[Path], from_above: Given | None, user: ConfigFile, default_root: Path | None
) -> list[Given]:
    """Return the resolved roots with their sources, without duplicates, in the order they were given.

    The first of the four that names any counts. Raises ConfigError for a root inside another.
    """
    if from_flags:
        given = [Given(path, f"flag {BY_NAME['roots'].flag}") for path in from_flags]
    elif from_above is not None:
        given = [Given(path, from_above.source) for path in from_above.value]
    else:
        listed = user.values.get("roots", Given((), ""))
        given = [Given(path, listed.source) for path in listed.value]
        given += [Given(section.path, section.source) for section in user.roots]
    if not given and default_root is not None:
        given = [Given(default_root, "default")]
    found: dict[Path, Given] = {}
    for path, source in given:
        resolved = path.resolve()
        found.setdefault(resolved, Given(resolved, source))
    for inner in found.values():
        for parent in inner.value.parents:
            if parent in found:
                raise ConfigError(
                    f"the root {inner.value} lies in the root {parent} ({found[parent].source})",
                    source=inner.source,
                    hint="an environment has one root: remove one of the two, or let the outer one ignore the inner",
                )
    return list(found.values())


def root_labels(paths: list[Path]) -> dict[Path, str]:
    """Return for each path its last part, or as many of its last parts as it takes to tell all apart."""
    labels: dict[Path, str] = {}
    length, left = 1, list(paths)
    while left:
        short = {path: "/".join(path.parts[1:][-length:]) or "root" for path in left}
        names = list(short.values())
        labels.update({path: name for path, name in short.items() if names.count(name) == 1})
        left = [path for path in left if path not in labels]
        length += 1
    return labels
