"""Programs of Debian's that tests talk to: installed where they are missing.

On `pythonpath` (pyproject.toml): test files import it as `programs`.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path


def provide(*programs: str, package: str | None = None) -> None:
    """Install what is missing of `programs`, from `package` or else from the package of the same name; needs root."""
    with (Path(tempfile.gettempdir()) / f"envkiln-tests-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = [name for name in programs if shutil.which(name) is None]
        if not missing:
            return
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        packages = [package] if package else missing
        for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *packages]):
            subprocess.run(command, env=environment, check=True)
