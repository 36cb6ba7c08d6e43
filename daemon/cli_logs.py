"""`logs`: the log of a build, live if it is running."""

import io
import os
import sys
from collections import deque
from collections.abc import Iterable
from pathlib import Path

import click

from envkiln.cache.errors import EnvkilnError
from envkiln.daemon.cli_shared import View, say_down
from envkiln.daemon.client import Client, ServiceDown
from envkiln.daemon.completion import ENVIRONMENT
from envkiln.daemon.errors import ExitCode
from envkiln.daemon.knowledge import find_environment
from envkiln.daemon.log_lines import cleaned
from envkiln.daemon.logs import LogFiles
from envkiln.daemon.paths import Paths, paths_from


class NoLog(EnvkilnError):  # noqa: N818 -- what it is
    """Nothing was built for an environment, or the log of a build is gone."""


@click.command()
@click.argument("environment", type=ENVIRONMENT, required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until the build ends.")
@click.option("--tail", type=click.IntRange(0, 10_000), metavar="N", help="Begin with the last N lines.")
@click.option("--build", "build", metavar="ID", help="Of this build (`envkiln history` lists them).")
def logs(environment: str | None, follow: bool, tail: int | None, build: str | None) -> int:
    """Print the log of ENVIRONMENT's last build, or of the build with an ID.

    Example: envkiln logs -f pytorch
    """
    if (environment is None) == (build is None):
        raise click.UsageError("give either ENVIRONMENT or --build ID")
    paths = paths_from(os.environ)
    client: Client | None = Client(paths.socket)
    if environment is not None:
        found = find_environment(environment, paths)
        client = found.client
        build = _last_build(found.detail, LogFiles(paths.logs))
        if client is None:
            say_down(found.age)
    assert build is not None  # noqa: S101 -- one of the two was given
    if client is not None:
        try:
            return _from_service(client, build, tail, follow=follow)
        except ServiceDown:
            say_down(None)
    return _from_file(paths, build, tail)


def _last_build(view: View, files: LogFiles) -> str:
    """Return the running build, else the last one of the image it asks for, else its last one at all.

    The image may have been built for another environment with the same text.
    """
    if view["build"]:
        return str(view["build"])
    recorded = [str(it["build"]) for it in view["builds"] if "build" in it]
    for build in (_latest(files, view["image"]), *recorded, _latest(files, view["last_good"])):
        if build is not None:
            return build
    hint = "its image was there already" if view["state"] == "ready" else f"it is {view['state']}"
    raise NoLog(f"nothing was built for {view['environment']}", hint=hint)


def _latest(files: LogFiles, image: str | None) -> str | None:
    log = files.latest(image) if image else None
    return f"{log.parent.name}-{log.stem}" if log else None


def _from_service(client: Client, build: str, tail: int | None, *, follow: bool) -> int:
    if not follow:
        log = client.log(build, tail)
        if log is None:
            raise _gone(build)
        _print(io.BytesIO(log))
        return ExitCode.DONE
    if client.build_view(build) is None:
        raise _gone(build)
    for kind, data in client.follow_log(build, tail):
        if kind == "lines":
            _print(line.encode(errors="surrogateescape") for line in data["lines"])
    return ExitCode.DONE


def _from_file(paths: Paths, build: str, tail: int | None) -> int:
    path = LogFiles(paths.logs).of_build(build)
    if path is None or not path.exists():
        raise _gone(build)
    _copy(path, tail)
    return ExitCode.DONE


def _copy(path: Path, tail: int | None) -> None:
    with path.open("rb") as log:
        _print(log if tail is None else deque(log, maxlen=tail))


def _print(lines: Iterable[bytes]) -> None:
    """Print lines of a log. They were cleaned when they were written, but a file can be damaged or somebody else's."""
    for line in lines:
        text = cleaned(line.decode(errors="surrogateescape"))
        sys.stdout.buffer.write(text.encode(errors="surrogateescape") + b"\n")
    sys.stdout.buffer.flush()


def _gone(build: str) -> NoLog:
    return NoLog(f"there is no log of build {build}", hint="`envkiln history ENVIRONMENT` lists builds; old logs go")
