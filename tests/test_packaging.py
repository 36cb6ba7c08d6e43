"""What is shipped: the wheel holds `envkiln` and nothing else, and runs where nothing of the checkout is."""

import os
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
SEED_BASE = (
    "mcr.microsoft.com/azureml/intelmpi2018.3-ubuntu16.04:20200821.v1"
    "@sha256:8cee6f674276dddb23068d2710da7f7f95b119412cc482675ac79ba45a4acf99"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-P", "-m", "build", "--wheel", "--outdir", str(directory), str(PROJECT)], directory)
    (built,) = directory.glob("*.whl")
    return built


def run(command: list[str], directory: Path, **variables: str) -> str:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    done = subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def new_venv(directory: Path) -> Path:
    """Make a virtual environment with pip; not by ensurepip, which Debian keeps in a package of its own."""
    venv.create(directory)
    run([sys.executable, "-m", "pip", "--python", str(directory), "install", "-qq", "pip"], directory)
    return directory


def test_every_package_folder_is_listed_for_the_wheel() -> None:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {
        ".".join(["envkiln", *path.parent.relative_to(PROJECT).parts])
        for top in ("cache", "daemon", "systemd")
        for path in (PROJECT / top).rglob("__init__.py")
    }
    assert set(settings["packages"]) == folders
    assert set(settings["package-dir"]) == folders


@pytest.mark.wheel
def test_the_wheel_has_no_import_name_besides_envkiln(wheel: Path) -> None:
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"envkiln"}


@pytest.mark.wheel
def test_the_wheel_runs_in_a_clean_virtual_environment(wheel: Path, tmp_path: Path) -> None:
    binaries = new_venv(tmp_path / "venv") / "bin"
    run([str(binaries / "python"), "-m", "pip", "install", "-qq", str(wheel)], tmp_path)
    state = str(tmp_path / "state")
    assert_it_works(binaries / "envkiln", tmp_path, ENVKILN_STATE_DIR=state, XDG_RUNTIME_DIR="")
    # Types are shipped too.
    listed = run([str(binaries / "python"), "-m", "pip", "show", "-f", "envkiln"], tmp_path)
    assert "envkiln/cache/py.typed" in listed
    assert "envkiln/daemon/web_files/envkiln.js" in listed


@pytest.mark.wheel
def test_pipx_installs_the_wheel(wheel: Path, tmp_path: Path) -> None:
    tools = new_venv(tmp_path / "tools")
    python = str(tools / "bin" / "python")
    run([python, "-m", "pip", "install", "-qq", "pipx"], tmp_path)
    home = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin"), "PIPX_MAN_DIR": str(tmp_path)}
    home["PIPX_SHARED_LIBS"] = str(tools)  # the pip for all; left to itself, pipx makes it with ensurepip
    run([python, "-m", "pipx", "install", "--python", sys.executable, str(wheel)], tmp_path, **home)
    state = str(tmp_path / "state")
    assert_it_works(tmp_path / "bin" / "envkiln", tmp_path, ENVKILN_STATE_DIR=state, XDG_RUNTIME_DIR="")


def assert_it_works(command: Path, directory: Path, **variables: str) -> None:
    assert run([str(command), "--version"], directory, **variables).startswith("envkiln 0.")
    example = str(PROJECT / "examples" / "pytorch")
    named = run([str(command), "name", example, "--base-image", SEED_BASE], directory, **variables)
    assert "azureml_7459a71437df47401c6a369f49fbbdb6" in named
    assert "azureml/azureml_ae31c6ab58033c4e44c7369910eea717" in named
    assert run([str(command), "status"], directory, **variables) == "no environments\n"
