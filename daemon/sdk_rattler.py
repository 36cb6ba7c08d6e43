"""A conda environment made by py-rattler, where there is no conda."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envkiln.cache.errors import Turn
from envkiln.cache.yaml_text import read_yaml
from envkiln.daemon.sdk_errors import BuildFailedException

_DEFAULT_CHANNELS = ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")
"""What conda means by `defaults`."""


@dataclass(frozen=True, slots=True)
class CondaPart:
    """What is solved: channels in order of priority, and specs of packages."""

    channels: tuple[str, ...]
    specs: tuple[str, ...]


def rattler_is_there() -> bool:
    return importlib.util.find_spec("rattler") is not None


def read_requirements(specification: Path) -> tuple[CondaPart, list[str]]:
    """Return the conda part and the lines of the pip part of a specification, a file that was judged before."""
    value: dict[str, Any] = read_yaml(specification.read_bytes(), specification.name).value
    specs: list[str] = []
    lines: list[str] = []
    for item in value.get("dependencies") or ():
        if isinstance(item, dict):
            lines += item.get("pip") or []
        else:
            specs.append(str(item))
    names = list(value.get("channels") or ("defaults",))
    channels = [url for name in names for url in (_DEFAULT_CHANNELS if name == "defaults" else (str(name),))]
    if lines and not any(spec.split("=")[0].strip() == "pip" for spec in specs):
        specs.append("pip")  # as conda does
    return CondaPart(tuple(channels), tuple(specs)), lines


async def solve_and_install(part: CondaPart, prefix: Path) -> None:
    """Make the environment `prefix`; raises BuildFailedException with the solver's words."""
    import rattler  # noqa: PLC0415 -- an extra, and slow to import
    from rattler.exceptions import SolverError  # noqa: PLC0415

    try:
        records = await rattler.solve(
            sources=[rattler.Channel(name) for name in part.channels],
            specs=list(part.specs),
            virtual_packages=rattler.VirtualPackage.detect(),
        )
        await rattler.install(records, target_prefix=prefix, show_progress=False)
    except Exception as error:
        # Its errors have no common class; a solver's is the user's turn, anything else (network, disk) is not.
        user = isinstance(error, SolverError)
        message = "Creating conda environment failed with exit code: 1"
        turn = Turn.USER if user else Turn.SURROUNDINGS
        raise BuildFailedException(message, hint=str(error), turn=turn) from error
