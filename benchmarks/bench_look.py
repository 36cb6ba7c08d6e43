"""The look at many environments, as multiples of `os.stat` of their files.

python benchmarks/bench_look.py [number of environments]
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import yaml

from envkiln.daemon.discover import look
from envkiln.daemon.disk_tree import DigestCache
from envkiln.daemon.snapshot import snapshot_from_json, snapshot_to_json

T = TypeVar("T")

# As long as the median of the published specifications (208 bytes).
SPEC = """name: project_environment
channels:
  - conda-forge
  - defaults
dependencies:
  - python=3.8.13
  - pip:
      - azureml-defaults
      - scikit-learn==0.24.2
      - pandas==1.3.5
      - joblib=={number:05}
"""


def best(work: Callable[[], T], rounds: int = 5) -> tuple[float, T]:
    """Return the shortest time in seconds, and the last result."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return min(times), result


def stat_all(paths: list[str]) -> None:
    for path in paths:
        os.stat(path)  # noqa: PTH116


def parse_all(paths: list[str]) -> None:
    for path in paths:
        yaml.load(Path(path).read_bytes(), Loader=yaml.CSafeLoader)


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        files = []
        for number in range(count):
            file = root / f"group{number // 100:03}" / f"environment{number:05}" / "env.yml"
            file.parent.mkdir(parents=True)
            file.write_text(SPEC.format(number=number))
            files.append(str(file))
        time.sleep(0.2)  # younger files are not trusted (disk_tree.MARGIN_NS)
        stats, _ = best(lambda: stat_all(files))
        parsing, _ = best(lambda: parse_all(files), 1)
        digests = DigestCache()

        def report(what: str, seconds: float, per: float, unit: str) -> None:
            print(f"{what:36} {seconds * 1000:9.2f} ms {seconds / per:8.2f} x {unit}")

        print(f"{count} environments of {len(SPEC.format(number=0))} bytes")
        report("stat of their files", stats, stats, "stat")
        report("read + CSafeLoader", parsing, parsing, "read + CSafeLoader")
        first, snapshot = best(lambda: look(root, digests=digests), 1)
        if len(snapshot.environments) != count:
            raise SystemExit(f"{len(snapshot.environments)} environments found")
        report("first look", first, parsing, "read + CSafeLoader")
        report("unchanged look", best(lambda: look(root, snapshot, digests=digests))[0], stats, "stat")
        encode, data = best(lambda: snapshot_to_json(snapshot))
        report(f"encode ({len(data) >> 10} KiB)", encode, stats, "stat")
        decode, restored = best(lambda: snapshot_from_json(data))
        report("decode", decode, stats, "stat")
        report("unchanged look after a restart", best(lambda: look(root, restored))[0], stats, "stat")
        changed = Path(files[count // 2])
        changed.write_text(changed.read_text() + "      - numpy\n")
        scope = [str(changed.relative_to(root))]
        partial, after = best(lambda: look(root, snapshot, scope, digests=digests))
        if sum(after.environments[name] is not found for name, found in snapshot.environments.items()) != 1:
            raise SystemExit("the partial look did not find the change")
        report("partial look of one changed file", partial, stats, "stat")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
