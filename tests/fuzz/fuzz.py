"""Every reader on inputs that are steered by what they reach (libFuzzer by way of atheris): `make fuzz`.

A finding is an error that is none of a reader's own, more than a second of processor time, or 200 MB of memory. Its
input is kept in build/fuzz/findings, and the run ends; the first byte of an input chooses the reader. For findings that
are mended, put the input into seeds.py.
"""

import argparse
import resource
import sys
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["envkiln.cache", "envkiln.daemon"]):
    from readers import READERS
    from seeds import SEEDS, hostile

PLACE = Path(__file__).resolve().parents[2] / "build" / "fuzz"
NAMES = tuple(READERS)
LONGEST_S = 1.0
MOST_MB = 200


def read(data: bytes) -> None:
    """Give one input to the reader that its first byte chooses; raises when it took too long."""
    if not data:
        return
    name = NAMES[data[0] % len(NAMES)]
    started = time.process_time()
    READERS[name](data[1:])
    took = time.process_time() - started
    if took > LONGEST_S:
        raise TimeoutError(f"{name} took {took:.2f} s for {len(data)} bytes")


def write_corpus(corpus: Path) -> None:
    """Write what every run begins with."""
    corpus.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(NAMES):
        for count, seed in enumerate((*SEEDS[name], *hostile())):
            (corpus / f"{name}-{count}").write_bytes(bytes([number]) + seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=1_000_000, help="inputs at most; -1: no limit")
    parser.add_argument("--seconds", type=int, default=0, help="0: no limit")
    parser.add_argument("inputs", nargs="*", type=Path, help="read these once, such as a finding")
    arguments = parser.parse_args()
    for path in arguments.inputs:
        read(path.read_bytes())
    if arguments.inputs:
        return
    corpus, findings = PLACE / "corpus", PLACE / "findings"
    write_corpus(corpus)
    findings.mkdir(exist_ok=True)
    base_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    options = {
        "seed": arguments.seed,
        "runs": arguments.runs,
        "max_total_time": arguments.seconds,
        "rss_limit_mb": base_mb + MOST_MB,
        "timeout": 60,  # what hangs; what is only slow is told by `read`
        "max_len": 65536,
        "artifact_prefix": f"{findings}/",
        "print_final_stats": 1,
        "reload": 0,
    }
    atheris.Setup([sys.argv[0], *(f"-{name}={value}" for name, value in options.items()), str(corpus)], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
