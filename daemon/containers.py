"""How a container is started from an environment's image: the words of `docker run`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

SHELL = ("-c", "command -v bash >/dev/null && exec bash || exec sh")
"""What `sh` is given to become the better shell. PATH is the image's: there its conda environment comes first."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What may be chosen. `directory` is mounted at its own path and worked in; None mounts nothing."""

    directory: PurePath | None = None
    volumes: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    gpus: str | None = None
    network: str | None = None
    user: str | None = None
    terminal: bool = False
    """Whether a person types and reads."""
    into_shell: bool = False
    """Whether to start a shell, whatever the image starts by itself."""


def docker_run(reference: str, command: Sequence[str], options: RunOptions) -> list[str]:
    """Return the words, from `docker` on. An image that is not there is an error: no registry has these names."""
    words = ["docker", "run", "--rm", "--init", "--pull", "never", "-i"]
    if options.terminal:
        words.append("-t")
    if options.directory is not None:
        words += ["--mount", _same_place(str(options.directory)), "-w", str(options.directory)]
    for flag, values in (("-v", options.volumes), ("-e", options.variables), ("-p", options.ports)):
        for value in values:
            words += [flag, value]
    for flag, chosen in (("--gpus", options.gpus), ("--network", options.network), ("--user", options.user)):
        if chosen is not None:
            words += [flag, chosen]
    if options.into_shell:
        return [*words, "--entrypoint", "sh", reference, *SHELL]
    return [*words, reference, *command]


def _same_place(path: str) -> str:
    """Return the mount of a path at the same path; unlike `-v` it can have colons, and commas in quotes."""
    return ",".join(("type=bind", *(_field(f"{key}={path}") for key in ("source", "target"))))


def _field(text: str) -> str:
    """Return `text` as a field of CSV, which `--mount` is."""
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\n\r') else text
