"""The Python API with a real engine: the page's example, beside a service, and conda environments on this machine."""

import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from registry_server import RegistryServer
from running import PATIENCE_S, World, image_id, until

from envkiln.daemon.azureml_sdk import DEFAULT_CPU_IMAGE, Environment, Workspace
from envkiln.daemon.engine import Engine

MakeWorld = Callable[..., World]
# The example of Azure ML's page; the import, the name and the file's name are what is changed.
PAGE = """
from envkiln.daemon.azureml_sdk import Environment, Workspace
ws = Workspace.from_config()
env = Environment.from_conda_specification('{name}', 'env.yml')
env.register(ws)
build = env.build_local(ws, useDocker={docker}, pushImageToWorkspaceAcr={push})
"""


class Script:
    """Runs programs that use the API, in a directory of a world with a workspace.

    A program is several steps of a world in one, so it has the patience of several.
    """

    def __init__(self, world: World, engine: Engine) -> None:
        self.world = world
        self.directory = world.directory / "project"
        self.directory.mkdir()
        workspace = world.directory / "team"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ENVKILN_STATE_DIR", world.environ["ENVKILN_STATE_DIR"])
            ws = Workspace.create("team", workspace)
            ws.write_config(self.directory)
        # What the world's root has holds for the workspace too.
        (workspace / "envkiln.toml").write_bytes((world.root / "envkiln.toml").read_bytes())
        self._engine = engine
        self._started: list[subprocess.Popen[bytes]] = []

    def run(self, text: str, environ: Mapping[str, str] = MappingProxyType({}), *, code: int = 0) -> list[str]:
        """Return the lines that a program prints, which ends with `code`."""
        process, output = self.start(text, environ)
        assert process.wait(3 * PATIENCE_S) == code, output.read_text(encoding="utf-8")
        return output.read_text(encoding="utf-8").splitlines()

    def start(
        self, text: str, environ: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[subprocess.Popen[bytes], Path]:
        """Start a program; its output is in the file that is returned."""
        output = self.directory / f"output-{len(self._started)}"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-u", "-c", text],
                cwd=self.directory,
                env={**self.world.environ, "HOME": str(self.world.directory), **environ},
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self._started.append(process)
        return process, output

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()
        for number in (1, 2):
            self._engine.remove(f"{self.world.mark}:{number}")


@pytest.fixture
def make_script(engine: Engine) -> Iterator[Callable[[World], Script]]:
    made: list[Script] = []

    def make(world: World) -> Script:
        made.append(Script(world, engine))
        return made[-1]

    yield make
    for script in made:
        script.close()


@pytest.fixture
def script(make_world: MakeWorld, make_script: Callable[[World], Script]) -> Script:
    return make_script(make_world())


@pytest.fixture
def default_base(engine: Engine, testbed: Any) -> Iterator[None]:
    """The test bed's base image under the name of Azure ML's, which a new environment names."""
    engine.tag(testbed.base_image, DEFAULT_CPU_IMAGE)
    yield
    engine.remove(DEFAULT_CPU_IMAGE)


@pytest.mark.usefixtures("default_base")
def test_the_example_of_the_page_builds_and_pushes_then_skips(
    make_world: MakeWorld,
    make_script: Callable[[World], Script],
    engine: Engine,
    testbed: Any,
    shell: Callable[[str, str], str],
    make_registry: Callable[..., RegistryServer],
) -> None:
    registry = make_registry()
    world = make_world()
    world.configure_user(registries=[registry.host])
    script = make_script(world)
    text = world.conda(testbed.channel, f"python={testbed.python}", "six=1.16.0")
    (script.directory / "env.yml").write_text(text, encoding="utf-8")
    page = PAGE.format(name=world.mark, docker=True, push=True)
    first = script.run(page)
    assert first[0].startswith("Saving setup content into  /")
    assert first[1].startswith("Materialized image not found on target: azureml/azureml_")
    name = first[1].rpartition(" ")[2]
    pushed = first[-1]
    assert pushed.startswith(f"Pushed {registry.host}/{name}@sha256:")
    assert not Path(first[0].rpartition("  ")[2]).exists(), "the setup content is removed at the end"
    assert image_id(engine, f"{name}:latest") == image_id(engine, f"{world.mark}:1") != None  # noqa: E711
    assert shell(f"{world.mark}:1", "python -c 'import six; print(six.__version__)'").strip() == "1.16.0"
    assert "latest" in registry.tags(name)
    assert len(world.logs()) == 1

    assert script.run(page)[1:] == [f"Materialized image found on target: {name}", pushed]
    assert len(world.logs()) == 1

    (script.directory / "env.yml").write_text(text.replace("1.16.0", "1.17.0"), encoding="utf-8")
    other = script.run(page.replace("Acr=True", "Acr=False"))
    assert other[1].startswith("Materialized image not found on target: ")
    assert image_id(engine, f"{world.mark}:2") not in (None, image_id(engine, f"{world.mark}:1"))


def test_what_is_pushed_is_there_for_the_next_machine(
    make_world: MakeWorld,
    make_script: Callable[[World], Script],
    engine: Engine,
    make_registry: Callable[..., RegistryServer],
) -> None:
    registry = make_registry()
    world = make_world()
    world.configure_user(registries=[registry.host])
    script = make_script(world)
    dockerfile = f"FROM scratch\nENV MARK={world.mark}\nCOPY azureml-environment-setup/Dockerfile /\n"
    (script.directory / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    program = (
        "from envkiln.daemon.azureml_sdk import Environment, Workspace\n"
        "ws = Workspace.from_config()\n"
        f"env = Environment.from_dockerfile('{world.mark}', 'Dockerfile').register(ws)\n"
        "print('exists:', env.get_image_details(ws).image_exist)\n"
        "env.build_local(ws, useDocker=True, pushImageToWorkspaceAcr=True)\n"
        "print('exists:', env.get_image_details(ws).image_exist, env.get_image_details(ws).image)\n"
    )
    first = script.run(program)
    name = first[2].rpartition(" ")[2]
    assert first[2] == f"Materialized image not found on target: {name}"
    assert (first[0], first[-1]) == ("exists: False", f"exists: True {registry.host}/{name}")
    assert any(line.startswith(f"Pushed {registry.host}/{name}@sha256:") for line in first)
    assert "latest" in registry.tags(name)

    # Another machine: its engine has never had it.
    for reference in (f"{name}:latest", f"{world.mark}:1"):
        engine.remove(reference)
    second = script.run(program)
    assert any(line.startswith("pulling ") for line in second)
    assert f"Materialized image found on target: {name}" in second
    assert len(world.logs()) == 1

    background = program.replace("env.build_local(ws, useDocker=True, pushImageToWorkspaceAcr=True)", "pass")
    third = script.run(f"{background}env.build(ws).wait_for_completion()\n")
    assert any(line.startswith(f"Pushed {registry.host}/{name}@sha256:") for line in third)
    assert third[-1] == "Image Build Status: Succeeded"


def test_beside_a_service_that_builds_the_same_there_is_one_build(script: Script, engine: Engine, gate: Any) -> None:
    world = script.world
    dockerfile = world.dockerfile(gate.step)
    Environment.from_dockerfile(world.mark, dockerfile).save_to_directory(world.root / "x")
    world.up()
    until(lambda: gate.waiting == 1, world.output)
    (script.directory / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    asking, output = script.start(
        "from envkiln.daemon.azureml_sdk import Environment, Workspace\n"
        "ws = Workspace.from_config()\n"
        f"env = Environment.from_dockerfile('{world.mark}', 'Dockerfile').register(ws)\n"
        "env.build_local(ws, useDocker=True)\n"
        "env.build(ws).wait_for_completion()\n"
    )
    until(lambda: "x: building by the service\n" in output.read_text(encoding="utf-8"), world.output)
    gate.open()
    assert asking.wait(PATIENCE_S) == 0
    assert output.read_text(encoding="utf-8").endswith("Image Build Status: Succeeded\n")
    view = world.until_state("x", "ready")
    assert image_id(engine, f"{world.mark}:1") == view["image_id"]
    assert len(world.logs()) == 1


def test_who_interrupts_a_build_leaves_none_behind(script: Script, engine: Engine, gate: Any) -> None:
    (script.directory / "Dockerfile").write_text(script.world.dockerfile(gate.step), encoding="utf-8")
    building, output = script.start(
        "from envkiln.daemon.azureml_sdk import Environment, Workspace\n"
        "ws = Workspace.from_config()\n"
        f"env = Environment.from_dockerfile('{script.world.mark}', 'Dockerfile').register(ws)\n"
        "env.build_local(ws, useDocker=True)\n"
    )
    until(lambda: gate.waiting == 1, lambda: output.read_text(encoding="utf-8"))
    building.send_signal(signal.SIGINT)
    assert building.wait(PATIENCE_S) == -signal.SIGINT
    assert "KeyboardInterrupt" in output.read_text(encoding="utf-8")
    until(lambda: gate.waiting == 0)
    assert image_id(engine, f"{script.world.mark}:1") is None


def test_a_build_that_fails_says_why(script: Script) -> None:
    dockerfile = script.world.dockerfile("RUN echo the reason >&2 && false")
    (script.directory / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    out = "\n".join(
        script.run(
            "from envkiln.daemon.azureml_sdk import Environment, Workspace\n"
            "ws = Workspace.from_config()\n"
            f"env = Environment.from_dockerfile('{script.world.mark}', 'Dockerfile').register(ws)\n"
            "env.build_local(ws, useDocker=True)\n",
            code=1,
        )
    )
    assert "the reason" in out
    assert "BuildFailedException" in out
    assert "Building environment failed with exit code: 1" in out
    assert "\nlog: /" in out


def write_wheel(directory: Path, value: str) -> str:
    """Write a wheel with a module `private` that has the value; return its name."""
    name = "private-1.0-py3-none-any.whl"
    with zipfile.ZipFile(directory / name, "w") as wheel:
        wheel.writestr("private.py", f"VALUE = {value!r}\n")
        wheel.writestr("private-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: private\nVersion: 1.0\n")
        kind = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr("private-1.0.dist-info/WHEEL", kind)
        wheel.writestr("private-1.0.dist-info/RECORD", "")
    return name


WITH_WHEEL = """
from envkiln.daemon.azureml_sdk import Environment, Workspace
ws = Workspace.from_config()
env = Environment.from_conda_specification('{name}', 'env.yml')
url = Environment.add_private_pip_wheel(ws, '{wheel}', exist_ok=True)
env.docker.base_image = '{base}'
env.python.conda_dependencies.add_pip_package(url)
env.register(ws)
env.build_local(ws, useDocker={docker})
"""


def test_a_conda_environment_is_made_without_conda(script: Script, testbed: Any) -> None:
    text = script.world.conda(testbed.channel, f"python={testbed.python}", "six=1.16.0", "pip")
    text += f"  - pip:\n    - --index-url {testbed.pip_index}\n    - idna\n"
    (script.directory / "env.yml").write_text(text, encoding="utf-8")
    wheel = write_wheel(script.directory, "of the wheel")
    program = WITH_WHEEL.format(name=script.world.mark, wheel=wheel, base=testbed.base_image, docker=False)
    # Only py-rattler can make it: no conda is on the path.
    alone = {"PATH": "/usr/bin:/bin", "CONDA_EXE": "", "RATTLER_CACHE_DIR": str(script.world.directory / "cache")}
    first = script.run(program, alone)
    prefix = Path(first[1].rpartition(" ")[2])
    assert first[1] == f"Materialized conda environment not found on target: {prefix}"
    assert prefix.parent == script.world.directory / ".azureml" / "envs"

    def said() -> list[str]:
        asked = "import six, idna, private, sys; print(six.__version__, idna.__name__, private.VALUE, sys.prefix)"
        return subprocess.check_output([str(prefix / "bin" / "python"), "-c", asked], text=True).split()

    expected = ["1.16.0", "idna", "of", "the", "wheel", str(prefix)]
    assert said() == expected
    assert script.run(program, alone)[1:] == [f"Materialized conda environment found on target: {prefix}"]

    # One that was being made when its maker was killed.
    (prefix.parent / f".{prefix.name}.unfinished").touch()
    (prefix / "bin" / "python").unlink()
    assert script.run(program, alone)[1] == first[1]
    assert said() == expected


def test_a_private_wheel_is_in_the_image(script: Script, testbed: Any, shell: Callable[[str, str], str]) -> None:
    text = script.world.conda(testbed.channel, f"python={testbed.python}", "pip")
    (script.directory / "env.yml").write_text(text, encoding="utf-8")
    wheel = write_wheel(script.directory, "of the wheel")
    script.run(WITH_WHEEL.format(name=script.world.mark, wheel=wheel, base=testbed.base_image, docker=True))
    assert shell(f"{script.world.mark}:1", "python -c 'import private; print(private.VALUE)'").strip() == "of the wheel"


def test_a_specification_that_cannot_be_solved_says_why(script: Script, testbed: Any) -> None:
    text = script.world.conda(testbed.channel, f"python={testbed.python}", "envkiln-no-such-package")
    (script.directory / "env.yml").write_text(text, encoding="utf-8")
    cache = str(script.world.directory / "cache")
    page = PAGE.format(name=script.world.mark, docker=False, push=False)
    out = "\n".join(script.run(page, {"PATH": "/usr/bin:/bin", "CONDA_EXE": "", "RATTLER_CACHE_DIR": cache}, code=1))
    assert "Creating conda environment failed with exit code: 1" in out
    assert "envkiln-no-such-package" in out
