"""What `conda env export` says of a conda environment on this machine (FACTS §2.3)."""

import json
import os
import re
import subprocess
from pathlib import Path

from envkiln.daemon.sdk_element import logger
from envkiln.daemon.sdk_errors import UserErrorException

_OLDEST = (4, 4, 0)
_PATIENCE_S = 600.0


def export_conda_environment(name: str) -> str | None:
    """Return the specification of the conda environment `name` as YAML; None, with a warning, when it is not there.

    The program is $CONDA_EXE, else `conda`. Raises FileNotFoundError when there is none, and UserErrorException when
    it is older than 4.4.0.
    """
    version = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", _conda("--version") or "")
    if version is None or tuple(int(part or 0) for part in version.groups()) < _OLDEST:
        raise UserErrorException("conda 4.4.0 or later is needed to export an environment", hint="update conda")
    listed = _conda("env", "list", "--json")
    names = {Path(prefix).name for prefix in json.loads(listed)["envs"]} if listed else set()
    if name not in names:
        logger.warning("Conda environment '%s' is not among: %s", name, ", ".join(sorted(names)))
        return None
    print(f"Exporting conda specifications for existing conda environment: {name}")  # noqa: T201 -- as the client does
    return _conda("env", "export", "--no-builds", "--name", name)


def _conda(*words: str) -> str | None:
    """Return what conda printed, None, with a warning, when it failed."""
    program = os.environ.get("CONDA_EXE") or "conda"
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False, timeout=_PATIENCE_S)
    if done.returncode == 0:
        return done.stdout
    logger.warning("%s failed with exit code %d: %s", " ".join(("conda", *words)), done.returncode, done.stderr.strip())
    return None
