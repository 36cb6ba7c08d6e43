"""A conda environment on this machine: `build_local` with `useDocker=False` (FACTS §2.7).

It stands in `~/.azureml/envs/azureml_<hash>`, where Azure ML's own client puts it. conda makes it; where conda is
absent, py-rattler does (`pip install envkiln[conda]`).
"""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from envkiln.cache.errors import Turn
from envkiln.daemon.name_lock import name_lock
from envkiln.daemon.sdk_apart import run_apart
from envkiln.daemon.sdk_errors import BuildFailedException
from envkiln.daemon.sdk_rattler import rattler_is_there, read_requirements, solve_and_install

ENVIRONMENTS = Path(".azureml") / "envs"
Say = Callable[[str], None]

_NO_CONDA = (
    "Unable to run conda package manager. AzureML uses conda to provision python environments from a dependency "
    "specification. To manage the python environment manually instead, set userManagedDependencies to True in the "
    "python environment configuration. To use system managed python environments, install conda from: "
    "https://conda.io/miniconda.html"
)


def ensure_conda_environment(name: str, specification: Path, say: Say) -> Path:
    """See to it that the conda environment `name` is there, made from the file `specification`; return its prefix.

    One that is there is left as it is. One that was not finished, because its maker was killed, is made again; two
    makers of one environment wait for each other. Raises BuildFailedException.
    """
    prefix = Path.home() / ENVIRONMENTS / name
    prefix.parent.mkdir(parents=True, exist_ok=True)
    run_apart(_ensured(prefix, specification, say))
    return prefix


async def _ensured(prefix: Path, specification: Path, say: Say) -> None:
    async with name_lock(prefix.parent, prefix.name):
        # A prefix cannot be moved into its place when it is done: paths are written into its files.
        unfinished = prefix.with_name(f".{prefix.name}.unfinished")
        if (prefix / "conda-meta" / "history").is_file() and not unfinished.exists():
            say(f"Materialized conda environment found on target: {prefix}")
            return
        say(f"Materialized conda environment not found on target: {prefix}")
        unfinished.touch()
        await asyncio.to_thread(shutil.rmtree, prefix, ignore_errors=True)
        await _make(prefix, specification, say)
        unfinished.unlink()


async def _make(prefix: Path, specification: Path, say: Say) -> None:
    conda = shutil.which(os.environ.get("CONDA_EXE") or "conda")
    if conda is not None:
        await _run([conda, "env", "create", "-p", str(prefix), "-f", str(specification)], specification.parent, say)
        return
    if not rattler_is_there():
        raise BuildFailedException(_NO_CONDA, hint="or install py-rattler: pip install 'envkiln[conda]'")
    conda_part, pip_lines = read_requirements(specification)
    await solve_and_install(conda_part, prefix)
    if pip_lines:
        requirements = specification.with_name("condaenv.requirements.txt")
        requirements.write_text("".join(f"{line}\n" for line in pip_lines), encoding="utf-8")
        python = str(prefix / "bin" / "python")
        words = [python, "-m", "pip", "install", "-U", "-r", str(requirements), "--exists-action=b"]
        await _run(words, specification.parent, say)


async def _run(words: list[str], directory: Path, say: Say) -> None:
    """Run a program in `directory` and pass its lines on; it ends with us."""
    say(f"Running: {words}")
    process = await asyncio.create_subprocess_exec(
        *words, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None  # noqa: S101 -- it was asked for
    try:
        async for line in process.stdout:
            say(line.decode(errors="replace").rstrip("\n"))
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code != 0:
        message = f"Creating conda environment failed with exit code: {code}"
        raise BuildFailedException(message, hint="the lines above say why", turn=Turn.USER)
