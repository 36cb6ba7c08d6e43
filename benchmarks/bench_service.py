"""The daemon's parts at 10,000 environments: start, first start, a save, memory."""

import asyncio
import gc
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import yaml
from rows import Row, median, quantile, seconds, write_environments

from envkiln.cache.index import Index
from envkiln.daemon.config import Config, load_config
from envkiln.daemon.events import EngineConnected, ImagesListed, KnownImage
from envkiln.daemon.loop import Loop
from envkiln.daemon.roots import Roots
from envkiln.daemon.state import Phase, State
from envkiln.daemon.tuning import tune_collector
from envkiln.daemon.watched_root import LookReport

COUNT = 10_000
SAVES = 100
BASE = "mcr.microsoft.com/azureml/base:1@sha256:" + "0" * 64


def configured(root: Path) -> Config:
    return load_config(
        roots_from_flags=[root],
        flags={"base_image": BASE},
        environ={},
        user_file=root / "none.toml",
        read=lambda _: None,
    )


async def start(root: Path, state_directory: Path, images: dict[str, KnownImage]) -> tuple[float, State, Roots, Loop]:
    """Look at everything with what the index has, and decide; returns the seconds that took."""
    started = time.perf_counter()
    index = Index(state_directory)
    loop = Loop(State())
    running = asyncio.create_task(loop.run())
    roots = Roots(configured(root), index, loop.post, lambda _: None)
    loop.post(EngineConnected("benchmark"))
    loop.post(ImagesListed(images, time.monotonic()))
    await roots.start()
    await loop.drained()
    taken = time.perf_counter() - started
    running.cancel()
    return taken, loop.state, roots, loop


async def measure_starts(root: Path, index: Path) -> tuple[float, float, State]:
    """Return the seconds of a first start, all images known, and of the next one; and the state."""
    _, state, roots, _ = await start(root, index / "names", {})
    await roots.close()
    images = {
        name: KnownImage(name, name, frozenset({f"{name}:latest", *references_of(state, name)}))
        for name in state.wanted
    }
    first, _, roots, _ = await start(root, index / "starts", images)
    await roots.close()
    again, state, roots, _ = await start(root, index / "starts", images)
    await roots.close()
    if any(it.phase is not Phase.READY for it in state.environments.values()):
        raise SystemExit("not every environment is ready")
    return first, again, state


def references_of(state: State, name: str) -> set[str]:
    return {f"{id_}:latest" for id_ in state.wanted[name]}


async def measure_saves(root: Path, index: Path, files: list[str]) -> list[float]:
    """Return the seconds from a save that changes only a comment to its decision, the settle time taken off."""
    decided = asyncio.Event()
    config = configured(root)

    def report(look: LookReport) -> None:
        if look.same:
            decided.set()

    loop = Loop(State())
    running = asyncio.create_task(loop.run())
    roots = Roots(config, Index(index / "saves"), loop.post, report)
    await roots.start()
    watching = asyncio.create_task(roots.run())
    taken = []
    for number in range(SAVES):
        path = Path(files[number * 97 % len(files)])
        text = path.read_text()
        decided.clear()
        started = time.perf_counter()
        path.write_text(f"# save {number}\n{text}")  # noqa: ASYNC240 -- what an editor does meanwhile
        await decided.wait()
        taken.append(time.perf_counter() - started - config.roots[0].settle_ms / 1000)
    watching.cancel()
    running.cancel()
    await roots.close()
    return taken


def rows() -> list[Row]:
    tune_collector()
    with tempfile.TemporaryDirectory() as temporary:
        root, index = Path(temporary) / "root", Path(temporary) / "index"
        files = write_environments(root, COUNT)
        time.sleep(0.2)  # younger files are read again (disk_tree.MARGIN_NS)
        first, again, _state = asyncio.run(measure_starts(root, index))
        stat = min(seconds(lambda: [os.stat(file) for file in files]) for _ in range(3))  # noqa: PTH116
        load = min(
            seconds(lambda: [yaml.load(Path(file).read_bytes(), yaml.CSafeLoader) for file in files]) for _ in range(2)
        )
        gc.collect()
        saves = asyncio.run(measure_saves(root, index, files))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        Row(
            f"start with {COUNT} unchanged environments",
            "`stat` of their files",
            f"{again / stat:.1f} x ({again:.2f} s)",
            "<= 10 x, < 1 s",
        ),
        Row(
            f"first start with {COUNT} new environments, all images known",
            "read + CSafeLoader of their files",
            f"{first / load:.1f} x ({first:.2f} s)",
            "<= 3 x",
        ),
        Row(
            f"save that changes nothing -> decided, {COUNT} environments",
            "settle time",
            f"+ {median(saves) * 1000:.1f} ms p50, + {quantile(saves, 0.99) * 1000:.1f} ms p99",
            "+ 10 ms p50, + 50 ms p99",
        ),
        Row(f"memory of the daemon's parts, {COUNT} environments (peak)", "-", f"{memory:.0f} MB", "<= 150 MB"),
    ]


if __name__ == "__main__":
    for row in rows():
        sys.stdout.write(f"{row}\n")
