"""The daemon's parts at 10,000 environments: start, first start, a save, memory."""

import asyncio
import gc
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from rows import Row, median, quantile, seconds, write_environments

from envkiln.cache.index import Index
from envkiln.daemon.config import Config, load_config
from envkiln.daemon.events import EngineConnected, Event, ImagesListed, KnownImage, Looked
from envkiln.daemon.loop import Loop
from envkiln.daemon.records import Records
from envkiln.daemon.roots import Roots
from envkiln.daemon.state import Phase, State
from envkiln.daemon.tuning import tune_collector
from envkiln.daemon.watched_root import LookReport

COUNT = 10_000
SAVES = 200
WARM_UP = 5
BASE = "mcr.microsoft.com/azureml/base:1@sha256:" + "0" * 64


def configured(root: Path) -> Config:
    return load_config(
        roots_from_flags=[root],
        flags={"base_image": BASE},
        environ={},
        user_file=root / "none.toml",
        read=lambda _: None,
    )


@dataclass(frozen=True, slots=True)
class Start:
    """A service's parts without an engine, after the first look: `seconds` is how long that took.

    The watches stand a little later: until then, and once more when they do, looks find what changes.
    """

    seconds: float
    state: State
    roots: Roots
    records: Records

    async def close(self) -> None:
        await self.roots.close()
        await self.records.flush()


async def start(root: Path, directory: Path, images: dict[str, KnownImage]) -> Start:
    """Look at everything with what the index has, and decide."""
    started = time.perf_counter()
    index = Index(directory)
    loop = Loop(State())
    running = asyncio.create_task(loop.run())
    records = Records(index, {})
    roots = Roots(configured(root), index, records, loop.post, lambda _: None)
    known: list[float] = []

    def note(event: Event, _before: State, _after: State) -> None:
        if isinstance(event, Looked):
            known.append(time.perf_counter())

    loop.observe(note)
    loop.post(EngineConnected("benchmark"))
    loop.post(ImagesListed(images, time.monotonic()))
    await roots.start()
    await loop.drained()
    running.cancel()
    return Start(known[0] - started, loop.state, roots, records)


async def measure_starts(root: Path, index: Path) -> tuple[float, float]:
    """Return the seconds of a first start with all images known, and of the next one, with nothing changed."""
    named = await start(root, index / "named", {})
    await named.close()
    images = {
        name: KnownImage(name, name, frozenset({f"{name}:latest", *references_of(named.state, name)}))
        for name in named.state.wanted
    }
    del named
    gc.collect()
    first = await start(root, index / "starts", images)
    await first.close()
    seconds_first = first.seconds
    del first
    gc.collect()
    again = await start(root, index / "starts", images)
    await again.close()
    if any(it.phase is not Phase.READY for it in again.state.environments.values()):
        raise SystemExit("not every environment is ready")
    return seconds_first, again.seconds


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
    store = Index(index / "saves")
    roots = Roots(config, store, Records(store, {}), loop.post, report)
    await roots.start()
    watching = asyncio.create_task(roots.run())
    taken = []
    for number in range(WARM_UP + SAVES):
        path = Path(files[number * 97 % len(files)])
        text = read(path)
        decided.clear()
        started = time.perf_counter()
        save(path, f"# save {number}\n{text}")
        await decided.wait()
        taken.append(time.perf_counter() - started - config.roots[0].settle_ms / 1000)
    watching.cancel()
    running.cancel()
    await roots.close()
    return taken[WARM_UP:]


def save(path: Path, text: str) -> None:
    path.write_text(text)


def read(path: Path) -> str:
    return path.read_text()


def measure_memory(root: Path, scratch: Path) -> float:
    """Return the resident memory of `envkiln up`, in MB, when it has seen everything."""
    (scratch / "run").mkdir(mode=0o700)
    environ = os.environ | {
        "ENVKILN_STATE_DIR": str(scratch / "state"),
        "XDG_RUNTIME_DIR": str(scratch / "run"),
        "XDG_CONFIG_HOME": str(scratch / "config"),
        "DOCKER_HOST": f"unix://{scratch}/no-engine.sock",
    }
    command = [sys.executable, "-P", "-m", "envkiln.daemon"]
    service = subprocess.Popen(
        [*command, "up", str(root), "--plain", "--base-image", BASE], env=environ, stdout=subprocess.DEVNULL
    )
    try:
        while (
            f"{COUNT} queued"
            not in subprocess.run([*command, "status"], env=environ, capture_output=True, text=True, check=False).stdout
        ):
            time.sleep(0.5)
        status = Path(f"/proc/{service.pid}/status").read_text()
    finally:
        service.terminate()
        service.wait()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1000


def rows() -> list[Row]:
    tune_collector()
    with tempfile.TemporaryDirectory() as temporary:
        root, index = Path(temporary) / "root", Path(temporary) / "index"
        files = write_environments(root, COUNT)
        time.sleep(0.2)  # younger files are read again (disk_tree.MARGIN_NS)
        first, again = asyncio.run(measure_starts(root, index))
        stat = min(seconds(lambda: [os.stat(file) for file in files]) for _ in range(3))  # noqa: PTH116
        load = min(
            seconds(lambda: [yaml.load(Path(file).read_bytes(), yaml.CSafeLoader) for file in files]) for _ in range(2)
        )
        gc.collect()
        saves = asyncio.run(measure_saves(root, index, files))
        memory = measure_memory(root, Path(temporary))
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
        Row(f"memory of the daemon, {COUNT} environments", "-", f"{memory:.0f} MB", "<= 150 MB"),
    ]


if __name__ == "__main__":
    for row in rows():
        sys.stdout.write(f"{row}\n")
