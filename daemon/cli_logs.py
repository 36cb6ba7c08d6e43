"""`logs`: the log of an environment's last build, live if it is running."""

import os
import sys
import time
from pathlib import Path
from typing import BinaryIO

import click

from envkiln.cache.errors import EnvkilnError
from envkiln.daemon.client import Client, ServiceDown
from envkiln.daemon.errors import ExitCode
from envkiln.daemon.knowledge import what_is_known
from envkiln.daemon.logs import LogFiles
from envkiln.daemon.paths import Paths, paths_from

_LOOK_AGAIN_S = 0.2


class NoLog(EnvkilnError):  # noqa: N818 -- what it is
    """Nothing was built for an environment."""


@click.command()
@click.argument("environment")
@click.option("-f", "--follow", is_flag=True, help="Go on until the build ends.")
def logs(environment: str, follow: bool) -> int:
    """Print the log of ENVIRONMENT's last build.

    Example: envkiln logs -f pytorch
    """
    paths = paths_from(os.environ)
    view = what_is_known(paths).find(environment)
    files = LogFiles(paths.logs)
    names = [str(name) for name in (view["image"], view["last_good"]) if name]
    path = next((log for name in names if (log := files.latest(name)) is not None), None)
    if path is None:
        hint = "its image was there already" if view["state"] == "ready" else f"it is {view['state']}"
        raise NoLog(f"nothing was built for {view['environment']}", hint=hint)
    with path.open("rb") as stream:
        _copy(stream)
        while follow and _is_building(paths, str(view["environment"]), path, files):
            time.sleep(_LOOK_AGAIN_S)
            _copy(stream)
        _copy(stream)
    return ExitCode.DONE


def _copy(log: BinaryIO) -> None:
    while chunk := log.read(1 << 16):
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def _is_building(paths: Paths, id_: str, path: Path, files: LogFiles) -> bool:
    try:
        view = Client(paths.socket).environment(id_)
    except ServiceDown:
        return False
    return view is not None and view["state"] == "building" and files.latest(str(view["image"])) == path
