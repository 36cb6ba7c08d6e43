"""The same build through the daemon and by `docker build`, in turn, on the real engine."""

import json
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from engine_bench import Bed
from rows import Row, median

PAIRS = 7
STEP = "RUN sleep 3 && head -c 20000000 /dev/urandom > /data\n"


def context(directory: Path, base: str) -> None:
    """Write a build context that nothing has been cached of."""
    directory.mkdir(parents=True)
    (directory / "Dockerfile").write_text(f"FROM {base}\nENV RUN={uuid.uuid4()}\n{STEP}")


class Daemon:
    """`envkiln up` on an empty root."""

    def __init__(self, bed: Bed, root: Path, builder: str) -> None:
        self.root = root
        self._bed = bed
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "envkiln.daemon", "up", str(root), "--plain", "--builder", builder],
            env=bed.environ,
            stdout=subprocess.DEVNULL,
        )
        while not self._ask("status", "--json").get("running"):
            time.sleep(0.05)

    def build(self, name: str) -> float:
        """Return the seconds of the daemon's build of a new environment, as it says itself: from its decision on."""
        context(self.root / name, self._bed.base_image)
        self._command("wait", name)
        view = self._ask("status", name, "--json")
        if view["state"] != "ready":
            raise SystemExit(f"{name} is {view['state']}: {view['reason']}")
        return float(view["reason"].removeprefix("built in ").removesuffix(" s"))

    def stop(self) -> list[str]:
        images = [view["image"] for view in self._ask("status", "--json")["environments"]]
        self._process.terminate()
        self._process.wait()
        return images

    def _command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "envkiln.daemon", *arguments]
        return subprocess.run(command, env=self._bed.environ, capture_output=True, text=True, check=False)

    def _ask(self, *arguments: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._command(*arguments).stdout)
        return answer


def by_hand(bed: Bed, directory: Path, builder: str) -> float:
    """Return the seconds of `docker build`, with the same builder as the daemon's, of a new context."""
    context(directory, bed.base_image)
    started = time.perf_counter()
    subprocess.run(
        ["docker", "build", "-q", "-t", "envkiln-bench", str(directory)],
        env=bed.environ | {"DOCKER_BUILDKIT": "1" if builder == "buildx" else "0"},
        capture_output=True,
        check=True,
    )
    return time.perf_counter() - started


def ratio(builder: str) -> float:
    """Return the median ratio of the daemon's build and the one by hand."""
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        bed = Bed.at(scratch)
        root = scratch / "envs"
        root.mkdir()
        daemon = Daemon(bed, root, builder)
        images = ["envkiln-bench"]
        try:
            ratios = [daemon.build(f"e{n}") / by_hand(bed, scratch / f"hand{n}", builder) for n in range(PAIRS)]
        finally:
            images += daemon.stop()
            names = [f"e{n}" for n in range(PAIRS)]
            subprocess.run(["docker", "rmi", *images, *names], env=bed.environ, capture_output=True, check=False)
    return median(ratios)


def rows() -> list[Row]:
    return [
        Row(
            f"the same engine build, through the daemon ({builder})",
            f"`docker build` ({builder})",
            f"{ratio(builder):.3f} x",
            "<= 1.03 x",
        )
        for builder in ("buildx", "classic")
    ]


if __name__ == "__main__":
    print(rows())
