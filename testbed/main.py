"""Set up, stop and remove the test bed: a Docker engine, base images, a conda channel.

Standard library only: it runs before there is a virtual environment.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import platform
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from base_image import CURRENT, OLD, provide_base_images, remove_images
from buildx import provide_buildx
from channel import provide_channel
from engine import PrivateEngine, docker_client, engine_at, machine_engine, machine_host, provide_engine
from layout import Layout
from mounts import remove_tree
from registry import provide_registry
from second_engine import SecondEngine, start_second, stop_second
from serve import address, provide_server, stop_server
from steps import TestbedError, complain, step, write_atomically
from systemd_image import provide_systemd_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PROJECT = Path(__file__).resolve().parent.parent
HELP = {
    "up": "set up whatever is missing and write testbed.json",
    "status": "say what runs; ends with 1 unless all is up",
    "stop-engine": "stop the private engine",
    "start-engine": "start the private engine again",
    "start-second": "start a second engine, behind mutual TLS",
    "stop-second": "stop the second engine",
    "down": "stop the private engines and the channel server; keep all files",
    "clean": "down, then remove the images and the work directory",
}


def up(layout: Layout, engine_choice: str) -> None:
    """Make everything run that is described by testbed.json."""
    if sys.hexversion < 0x030B0000:
        version = platform.python_version()
        raise TestbedError(f"the test bed needs Python 3.11 or later; this is {version}", "set PYTHON to a newer one")
    started = time.monotonic()
    engine = provide_engine(layout, engine_choice)
    docker_config = provide_buildx(layout)
    registry = provide_registry(layout)
    with step("channel packages") as current:
        current.note = provide_channel(layout)
    server = provide_server(layout)
    provide_base_images(layout, engine, server)
    systemd_image = provide_systemd_image(layout, engine)
    client = docker_client(layout)
    facts = {
        "docker_host": engine.host,
        "private": engine.private,
        "docker_config": str(docker_config) if docker_config else None,
        "registry": str(registry) if registry else None,
        "docker_cli": str(client) if client else None,
        "base_image": CURRENT.image,
        "old_base_image": OLD.image,
        "systemd_image": systemd_image,
        "channel": f"{server}/channel",
        "pip_index": f"{server}/simple",
        "python": platform.python_version(),
    }
    write_atomically(layout.facts, json.dumps(facts, indent=2) + "\n")
    print(f"up after {time.monotonic() - started:.2f} s: {layout.facts}")


def start_engine(layout: Layout) -> None:
    """Start the private engine; it must have been set up."""
    if not layout.sysroot.exists():
        raise TestbedError("there is no private engine here", "run `up --engine private`")
    PrivateEngine(layout).start()


def stop_engine(layout: Layout) -> None:
    """Stop the private engine, if it runs."""
    with step("engine: stop") as current:
        current.note = "stopped" if PrivateEngine(layout).stop() else "was not running"


def down(layout: Layout) -> None:
    """Stop what `up` started."""
    stop_second(layout)
    stop_engine(layout)
    with step("channel server: stop") as current:
        current.note = "stopped" if stop_server(layout) else "was not running"


def clean(layout: Layout) -> None:
    """Remove every trace: images in an engine that stays, processes, mounts, files."""
    private = PrivateEngine(layout)
    # DOCKER_HOST may have been another one at the time of `up`.
    for host in sorted({machine_host(), used_host(layout)} - {private.host, ""}):
        if engine := engine_at(host):
            with step("images") as current:
                current.note = remove_images(layout, engine)
    down(layout)
    with step("files"):
        SecondEngine(layout).discard()
        private.discard()
        remove_tree(layout.root)


def used_host(layout: Layout) -> str:
    """The address of the engine that the last `up` chose, or nothing."""
    try:
        return str(json.loads(layout.facts.read_text())["docker_host"])
    except (OSError, ValueError, KeyError):
        return ""


def status(layout: Layout) -> None:
    """Print what runs; raises when something that `up` provides is missing."""
    engine = PrivateEngine(layout).running() or machine_engine()
    print("engine:        ", engine.describe() if engine else "down")
    print("channel server:", address(layout) or "down")
    images = [
        variant.image for variant in (CURRENT, OLD) if engine and engine.api.image_labels(variant.image) is not None
    ]
    print("base images:   ", ", ".join(images) or "none")
    print("facts:         ", layout.facts if layout.facts.exists() else "none")
    if not (engine and address(layout) and len(images) == 2 and layout.facts.exists()):
        raise TestbedError("not everything is up", "run `up`")


@contextmanager
def locked(layout: Layout) -> Iterator[None]:
    """Let one command at a time change the test bed; others wait."""
    layout.create()
    with layout.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; 1 with a message and a hint when it fails."""
    parser = argparse.ArgumentParser(prog="testbed", description=__doc__)
    parser.add_argument(
        "--work",
        type=Path,
        default=PROJECT / "build/testbed",
        help="work directory (default: build/testbed of the checkout)",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    parsers = {name: commands.add_parser(name, help=text) for name, text in HELP.items()}
    for command in parsers.values():
        # Accepted on either side of the command; here without a default of its own.
        command.add_argument("--work", type=Path, default=argparse.SUPPRESS)
    parsers["up"].add_argument(
        "--engine",
        choices=("auto", "private"),
        default="auto",
        help="auto: the engine at DOCKER_HOST or the default socket if it answers, else private",
    )
    arguments = parser.parse_args(words)
    layout = Layout(arguments.work.absolute())
    changes: dict[str, Callable[[Layout], None]] = {
        "up": lambda layout: up(layout, arguments.engine),
        "start-engine": start_engine,
        "stop-engine": stop_engine,
        "start-second": start_second,
        "stop-second": stop_second,
        "down": down,
        "clean": clean,
    }
    try:
        if arguments.command == "status":
            status(layout)
            return 0
        with locked(layout):
            changes[arguments.command](layout)
    except TestbedError as error:
        complain(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
