"""`envkiln status` as a process, against `docker images`, in turn; a service with 100 environments runs.

envkiln is installed from its wheel, as for a user: the hook of an editable install takes a tenth of the time.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engine_bench import Bed
from rows import Row, median, paired, write_environments

PAIRS = 15
COUNT = 100


def installed(scratch: Path) -> str:
    """Return the command `envkiln` of a virtual environment that has the wheel."""

    def python(*words: str) -> None:
        subprocess.run([sys.executable, "-P", "-m", *words], check=True, capture_output=True)

    python("build", "--wheel", "--outdir", str(scratch), str(Path(__file__).resolve().parent.parent))
    python("venv", "--without-pip", str(scratch / "venv"))
    (wheel,) = scratch.glob("*.whl")
    python("pip", "--python", str(scratch / "venv"), "install", "-qq", str(wheel))
    return str(scratch / "venv" / "bin" / "envkiln")


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        bed = Bed.at(scratch)
        write_environments(scratch / "envs", COUNT)
        (scratch / "envs" / "envkiln.toml").write_text(f'build = false\nbase_image = "{bed.base_image}"\n')
        command = installed(scratch)
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
