"""Set up, stop and remove the test bed: a Docker engine, base images, a conda channel."""

from __future__ import annotations

import argparse
import fcntl
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from buildx import provide_buildx
from engine import PrivateEngine, docker_client, provide_engine
from layout import Layout
from steps import TestbedError, complain, step, write_atomically

PROJECT = Path(__file__).resolve().parent.parent


def up(layout: Layout, choice: str) -> None:
    engine = provide_engine(layout, choice)
    docker_config = provide_buildx(layout)
    client = docker_client(layout)
    facts = {
        "docker_host": engine.host,
        "private": engine.private,
        "docker_config": str(docker_config) if docker_config else None,
        "docker_cli": str(client) if client else None,
        "base_image": "envkiln-testbed/conda:26",
        "old_base_image": "envkiln-testbed/conda:4",
        "channel": None,
        "pip_index": None,
    }
    write_atomically(layout.facts, json.dumps(facts, indent=2) + "\n")


def main() -> int:
    p = argparse.ArgumentParser()
    p.add_argument("command")
    p.add_argument("--engine", default="auto")
    p.add_argument("--work", type=Path, default=PROJECT / "build/testbed")
    a = p.parse_args()
    layout = Layout(a.work.resolve())
    layout.create()
    try:
        if a.command == "up":
            up(layout, a.engine)
        elif a.command == "stop-engine":
            PrivateEngine(layout).stop()
        elif a.command == "start-engine":
            PrivateEngine(layout).start()
    except TestbedError as error:
        complain(error)
        return 1
    return 0


sys.exit(main())
