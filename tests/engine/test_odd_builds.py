"""Builds that print without end, without lines, or not at all: the service stays as small as it was, and goes on."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from running import PATIENCE_S, World

from envkiln.daemon.builders import LOG_LIMIT

MakeWorld = Callable[..., World]
FLOOD_BYTES = int(os.environ.get("FLOOD_BYTES") or 100_000_000)
"""`make soak` lets a build print 10 GB."""
LINES = "yes $(printf %0100d 7)"
MEMORY_MB = 250
LIMIT_S = max(4 * PATIENCE_S, FLOOD_BYTES / 1e6)


@pytest.mark.timeout(int(2 * LIMIT_S))
@pytest.mark.parametrize("builder", ["classic", "buildx"])
@pytest.mark.parametrize("flood", [LINES, f"{LINES} | tr -d '\\n'"], ids=["lines", "one line"])
def test_a_build_that_prints_without_end(make_world: MakeWorld, builder: str, flood: str) -> None:
    world = make_world(builder=builder)
    world.write("a/Dockerfile", world.dockerfile(f"RUN {flood} | head -c {FLOOD_BYTES}"))
    world.write("b/Dockerfile", world.dockerfile())
    world.up()
    world.until_state("b", "ready")
    world.until_state("a", "ready", limit_s=LIMIT_S)
    assert _peak_mb(world) < MEMORY_MB
    for log in world.logs():
        assert log.stat().st_size < LOG_LIMIT + 10_000_000
        assert log.read_text(encoding="utf-8").splitlines()[-1].startswith("# ended well")


def test_a_build_that_prints_nothing_is_ended(make_world: MakeWorld) -> None:
    world = make_world(silence_limit_s=2)
    world.write("a/Dockerfile", world.dockerfile("RUN sleep 3600"))
    world.write("b/Dockerfile", world.dockerfile("RUN true"))
    world.up()
    failed = world.until_state("a", "failed")
    assert failed["reason"].startswith("the build printed nothing for 2 s")
    assert failed["turn"] == "surroundings"
    world.until_state("b", "ready")
    world.write("a/Dockerfile", world.dockerfile("RUN true"))
    world.until_state("a", "ready")


def _peak_mb(world: World) -> float:
    """Return the most memory that the service has had."""
    assert world.process is not None
    status = Path(f"/proc/{world.process.pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024
