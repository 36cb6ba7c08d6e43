"""What the benchmarks share: sample definitions, paired timing, and rows of a table."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# As long as the median of published specifications: 208 bytes.
SPEC = """\
name: project_environment
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


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what was measured against which reference, and what DESIGN asks for."""

    work: str
    reference: str
    measured: str
    target: str


def paired(work: Callable[[], object], reference: Callable[[], object], rounds: int) -> list[float]:
    """Return the ratio work/reference of `rounds` pairs, each pair timed back to back."""
    return [seconds(work) / seconds(reference) for _ in range(rounds)]


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes once."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def quantile(values: list[float], share: float) -> float:
    """Return the value below which `share` of `values` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def median(values: list[float]) -> float:
    return statistics.median(values)


def write_environments(root: Path, count: int) -> list[str]:
    """Write `count` definitions, each in a directory of its own; returns their paths."""
    files = []
    for number in range(count):
        file = root / f"group{number // 100:03}" / f"environment{number:05}" / "env.yml"
        file.parent.mkdir(parents=True)
        file.write_text(SPEC.format(number=number))
        files.append(str(file))
    return files
