"""`envkiln status` as a process, against `docker images`, in turn; a service with 100 environments runs."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engine_bench import Bed
from rows import Row, median, paired, write_environments

PAIRS = 15
COUNT = 100


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        bed = Bed.at(scratch)
        write_environments(scratch / "envs", COUNT)
        (scratch / "envs" / "envkiln.toml").write_text(f'build = false\nbase_image = "{bed.base_image}"\n')
        command = str(Path(sys.executable).parent / "envkiln")
        service = subprocess.Popen(
            [command, "up", str(scratch / "envs"), "--plain"], env=bed.environ, stdout=subprocess.DEVNULL
        )

        def run(*arguments: str) -> str:
            return subprocess.run(arguments, env=bed.environ, capture_output=True, text=True, check=True).stdout

        try:
            while f"{COUNT} named" not in run(command, "status"):
                time.sleep(0.1)
            ratios = paired(lambda: run(command, "status"), lambda: run("docker", "images"), PAIRS)
        finally:
            service.terminate()
            service.wait()
    return [Row("`envkiln status` as a process", "`docker images`", f"{median(ratios):.2f} x", "<= 2 x")]


if __name__ == "__main__":
    print(rows())
