"""The Python API by its public door, without an engine. What azureml-core itself does is compared in tests/witness."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from envkiln.daemon.azureml_sdk import (
    BuildFailedException,
    CondaDependencies,
    ContainerRegistry,
    DockerBuildContext,
    Environment,
    EnvironmentReference,
    RGitHubPackage,
    RSection,
    UserErrorException,
    Workspace,
)
from envkiln.daemon.cli import envkiln
from envkiln.daemon.sdk_image import push_image
from envkiln.daemon.sdk_registered import find

PINNED = "example.azurecr.io/base:1@sha256:" + "1" * 64
# The conda specification of Azure ML's page, whose names it published.
PAGE = "channels:\n- defaults\n- pytorch\ndependencies:\n- python=3.7\n- pytorch\n- torchvision\n"
PAGE_CONDA_NAME = "azureml_7459a71437df47401c6a369f49fbbdb6"


@pytest.fixture(autouse=True)
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without an engine: what is registered here needs none."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ENVKILN_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("ENVKILN_DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    monkeypatch.setenv("ENVKILN_BASE_IMAGE", PINNED)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    Path("env.yml").write_text(PAGE, encoding="utf-8")


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.create("team", tmp_path / "team")


def page() -> Environment:
    made = Environment.from_conda_specification("pytorch", "env.yml")
    made.docker.base_image = PINNED
    return made


def test_an_environment_is_registered_and_comes_back_with_the_name_of_its_conda_environment(ws: Workspace) -> None:
    registered = page().register(ws)
    assert (registered.name, registered.version) == ("pytorch", "1")
    conda = registered.python.conda_dependencies
    assert conda is not None
    assert list(conda.as_dict()) == ["channels", "dependencies", "name"]
    assert conda.as_dict()["name"] == PAGE_CONDA_NAME
    assert json.loads(repr(Environment.get(ws, "pytorch"))) == json.loads(repr(registered))


def test_a_version_changes_with_the_content_only(ws: Workspace) -> None:
    first = page()
    assert first.register(ws).version == "1"
    assert first.register(ws).version == "1"
    assert first.register(ws).register(ws).version == "1", "what comes back is the same environment"
    assert first.python.conda_dependencies is not None
    first.python.conda_dependencies.add_pip_package("six")
    assert first.register(ws).version == "2"
    first.environment_variables = {"MODE": "fast"}
    assert first.register(ws).version == "3"
    old = Environment.get(ws, "pytorch", version="1").python.conda_dependencies
    assert old is not None
    assert list(old.pip_packages) == []


def test_a_desired_version_is_registered_with_a_warning(ws: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    asked = page()
    asked.version = "7"
    assert asked.register(ws).version == "7"
    assert "Environment version is set." in caplog.text


def test_the_dockerfile_is_known_right_after_registering(ws: Workspace) -> None:
    made = page()
    made.register(ws)
    details = made.get_image_details(ws)
    assert details.dockerfile is not None
    assert details.dockerfile.startswith(f"FROM {PINNED}\nUSER root\n")
    assert details["ingredients"]["dockerfile"] == details.dockerfile
    assert f"conda env create -p /azureml-envs/{PAGE_CONDA_NAME} " in details.dockerfile
    assert details.environment_path == f"/azureml-envs/{PAGE_CONDA_NAME}"
    assert details.repository.startswith("azureml/azureml_")
    assert details.image_exist is None, "nobody knows: the engine does not answer"


def test_what_is_not_registered_says_so(ws: Workspace) -> None:
    for ask in (
        lambda: Environment.get(ws, "none"),
        lambda: page().build_local(ws, useDocker=True),
        lambda: page().get_image_details(ws),
        lambda: EnvironmentReference("none").get_environment(ws),
    ):
        with pytest.raises(UserErrorException, match=r"Environment '\w+' is not registered"):
            ask()
    with pytest.raises(UserErrorException, match="Only one of version or label can be specified"):
        Environment.get(ws, "pytorch", version="1", label="latest")


def test_labels_move_and_latest_is_there_by_itself(ws: Workspace) -> None:
    made = page()
    made.register(ws)
    Environment.label(ws, "pytorch", "1", ["stable", "2026"])
    made.docker.base_image = f"{PINNED[:-1]}2"
    made.register(ws)
    assert Environment.get(ws, "pytorch", label="latest").version == "2"
    assert Environment.get(ws, "pytorch", label="stable").version == "1"
    Environment.label(ws, "pytorch", "2", ["stable"])
    assert Environment.get(ws, "pytorch", label="stable").version == "2"
    assert Environment.get(ws, "pytorch", label="2026").version == "1"
    with pytest.raises(UserErrorException, match="has no label 'none'"):
        Environment.get(ws, "pytorch", label="none")


def test_all_environments_are_listed_by_name(ws: Workspace) -> None:
    page().register(ws)
    page().clone("other").register(ws)
    found = Environment.list(ws)
    assert {name: it.version for name, it in found.items()} == {"other": "1", "pytorch": "1"}


def test_every_kind_of_environment_is_registered_and_found_again(ws: Workspace) -> None:
    Path("requirements.txt").write_text("six==1.16.0\n", encoding="utf-8")
    Path("context/deep").mkdir(parents=True)
    Path("context/Dockerfile").write_text("FROM base\nCOPY . /here\n", encoding="utf-8")
    Path("context/deep/data.txt").write_text("data", encoding="utf-8")
    kinds = {
        "pip": Environment.from_pip_requirements("pip", "requirements.txt"),
        "image": Environment.from_docker_image("image", PINNED),
        "dockerfile": Environment.from_dockerfile("dockerfile", f"FROM {PINNED}\nRUN true\n"),
        "both": Environment.from_dockerfile("both", f"FROM {PINNED}\n", conda_specification="env.yml"),
        "context": Environment.from_docker_build_context(
            "context", DockerBuildContext.from_local_directory(ws, "context")
        ),
    }
    images = set()
    for name, made in kinds.items():
        if name == "pip":
            made.docker.base_image = PINNED
        assert made.register(ws).version == "1"
        images.add(made.get_image_details(ws).repository)
        again = Environment.get(ws, name)
        assert again.python.user_managed_dependencies is (name in ("image", "dockerfile", "context"))
        assert again.docker.base_dockerfile == made.docker.base_dockerfile
    assert len(images) == len(kinds)
    Path("context/deep/data.txt").write_text("other", encoding="utf-8")
    assert kinds["context"].register(ws).version == "2"
    copied = Environment.get(ws, "context", version="1").clone("copied").register(ws)
    assert (
        copied.get_image_details(ws).repository == Environment.get(ws, "context", "1").get_image_details(ws).repository
    )


def test_a_build_context_elsewhere_is_refused(ws: Workspace) -> None:
    context = DockerBuildContext(DockerBuildContext.LocationType.Git, "https://github.com/o/n")
    with pytest.raises(UserErrorException, match="the build context is remote"):
        Environment.from_docker_build_context("x", context).register(ws)


def test_no_password_reaches_the_workspace(ws: Workspace, tmp_path: Path) -> None:
    registry = ContainerRegistry()
    registry.address, registry.username, registry.password = "example.azurecr.io", "user", "hunter2hunter2"
    made = Environment.from_docker_image("x", PINNED, container_registry=registry)
    made.r = RSection()
    made.r.github_packages = [RGitHubPackage("owner/name", "token-token-token")]
    made.register(ws)
    written = b"".join(path.read_bytes() for path in (tmp_path / "team").rglob("*") if path.is_file())
    assert b"example.azurecr.io" in written
    assert b"hunter2" not in written
    assert b"token-token" not in written
    assert "hunter2" in str(registry.password), "the environment itself keeps it"


def test_a_private_wheel_enters_the_name_by_its_content(ws: Workspace) -> None:
    Path("made-1.0-py3-none-any.whl").write_bytes(b"first")
    url = Environment.add_private_pip_wheel(ws, "made-1.0-py3-none-any.whl")
    with pytest.raises(UserErrorException, match=r"A wheel with the name made-1\.0.* already exists"):
        Environment.add_private_pip_wheel(ws, "made-1.0-py3-none-any.whl")
    assert Environment.add_private_pip_wheel(ws, "made-1.0-py3-none-any.whl", exist_ok=True) == url
    with pytest.raises(UserErrorException, match=r"Please make sure the wheel file exists at: none\.whl"):
        Environment.add_private_pip_wheel(ws, "none.whl")
    made = page()
    assert made.python.conda_dependencies is not None
    made.python.conda_dependencies.add_pip_package(url)
    registered = made.register(ws)
    assert registered.python.conda_dependencies is not None
    assert list(registered.python.conda_dependencies.pip_packages) == [
        "./azureml-private-packages/made-1.0-py3-none-any.whl"
    ]
    assert registered.register(ws).version == "1"
    assert str(ws.store.path) not in repr(registered), "no path of this machine"


@pytest.mark.parametrize("place", [".azureml/config.json", "config.json"])
def test_a_workspace_is_found_by_its_file_from_below(place: str, tmp_path: Path, ws: Workspace) -> None:
    file = tmp_path / "project" / place
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"envkiln_workspace": str(ws.store.path), "workspace_name": "team"}), encoding="utf-8")
    below = tmp_path / "project" / "deep" / "er"
    below.mkdir(parents=True)
    found = Workspace.from_config(below)
    assert (found.name, found.store.path) == ("team", ws.store.path)
    assert Workspace.from_config(file).store.path == ws.store.path
    assert Workspace.from_config().store.path == ws.store.path


def test_a_file_that_is_azure_mls_own_is_enough(tmp_path: Path) -> None:
    value = {"subscription_id": "s", "resource_group": "r", "workspace_name": "mlw"}
    Path("config.json").write_text(json.dumps(value), encoding="utf-8")
    found = Workspace.from_config()
    assert (found.name, found.subscription_id, found.resource_group) == ("mlw", "s", "r")
    assert found.store.path == tmp_path / "state" / "workspaces" / "mlw"
    page().register(found)
    assert Environment.get(Workspace.from_config(), "pytorch").version == "1"


def test_the_setting_is_enough_without_a_file(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVKILN_WORKSPACE", str(ws.store.path))
    assert Workspace.from_config().store.path == ws.store.path


def test_a_workspace_that_is_written_down_is_found_again(ws: Workspace) -> None:
    ws.write_config()
    assert Workspace.from_config().store.path == ws.store.path
    with pytest.raises(UserErrorException, match="Workspace with name 'team' already exists"):
        Workspace.create("team", ws.store.path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "The workspace configuration file config.json, could not be found in"),
        ("{}", "does not seem to contain the required parameters"),
        ('{"workspace_name": "x"}', "does not seem to contain the required parameters"),
        ("{", "is not JSON"),
    ],
)
def test_what_is_wrong_with_the_file_is_said(text: str | None, message: str) -> None:
    if text is not None:
        Path("config.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserErrorException, match=message):
        Workspace.from_config()


def test_without_an_engine_a_build_fails_with_a_hint(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    page().register(ws)
    with pytest.raises(BuildFailedException, match="Building environment failed with exit code: 1") as raised:
        page().build_local(ws, useDocker=True)
    assert "is Docker running?" in str(raised.value)
    assert capsys.readouterr().out.startswith("Saving setup content into  /")


def test_a_build_in_the_background_tells_how_it_ended(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    build = page().build(ws)
    with pytest.raises(BuildFailedException):
        build.wait_for_completion()
    assert build.status == "Failed"
    assert "Image Build Status: Failed" in capsys.readouterr().out


def test_in_a_notebook_whose_loop_runs_a_build_is_the_same(ws: Workspace) -> None:
    page().register(ws)

    async def cell() -> None:
        page().build_local(ws, useDocker=True)

    with pytest.raises(BuildFailedException, match="Building environment failed with exit code: 1"):
        asyncio.run(cell())


def test_without_a_registry_nothing_is_pushed(ws: Workspace) -> None:
    assert not ws.has_registry
    version = find(ws, page().register(ws).name or "")
    with pytest.raises(UserErrorException, match="there is no registry to push azureml/azureml_"):
        push_image(ws, version, print)


def test_no_conda_environment_is_made_of_an_image(ws: Workspace) -> None:
    made = Environment.from_docker_image("x", PINNED)
    made.register(ws)
    with pytest.raises(UserErrorException, match="x:1 has no conda environment"):
        made.build_local(ws)


def test_an_error_says_what_to_do_next_and_has_the_shape_of_azure_mls() -> None:
    Path("broken.yml").write_text("foo: 1\n", encoding="utf-8")
    with pytest.raises(UserErrorException) as raised:
        CondaDependencies("broken.yml")
    message = "Environment error: unknown foo key in environment specification"
    assert raised.value.message == message
    lines = str(raised.value).splitlines()
    assert lines[:2] == ["UserErrorException:", f"\tMessage: {message}"]
    assert lines[-1] == "broken.yml: known keys are name, channels, dependencies, prefix, variables"


@pytest.mark.parametrize(
    "text",
    ["name: a\nname: b\n", "name:\n\t- b\n", "dependencies:\n", "dependencies: x\n", "dependencies: [{pip: }]\n"],
)
def test_a_broken_specification_is_the_users_turn(text: str) -> None:
    Path("broken.yml").write_text(text, encoding="utf-8")
    with pytest.raises(UserErrorException, match=r"Environment error: "):
        Environment.from_conda_specification("x", "broken.yml")


def test_what_yaml_reads_as_no_text_is_refused_when_it_is_registered(ws: Workspace) -> None:
    Path("odd.yml").write_text("dependencies:\n- python=3.9\n- yes\n", encoding="utf-8")
    with pytest.raises(UserErrorException, match=r"conda_dependencies\.yml:3:3: a dependency must be a text"):
        Environment.from_conda_specification("x", "odd.yml").register(ws)


def test_local_files_of_the_pip_part_are_refused_when_they_are_registered(ws: Workspace) -> None:
    Path("local.yml").write_text("dependencies:\n- python=3.9\n- pip:\n  - -r other.txt\n", encoding="utf-8")
    Path("other.txt").write_text("six\n", encoding="utf-8")
    with pytest.raises(UserErrorException, match=r"conda_dependencies\.yml:4:5: .*other\.txt"):
        Environment.from_conda_specification("x", "local.yml").register(ws)


def test_what_the_command_line_has_registered_is_an_environment_too(ws: Workspace, tmp_path: Path) -> None:
    envs = tmp_path / "envs"
    files = {
        "conda/env.yml": PAGE,
        "pip/requirements.txt": "six==1.16.0\n",
        "v2/environment.yml": f"name: v2\nimage: {PINNED}\nconda_file: conda.yml\n",
        "v2/conda.yml": PAGE,
        "context/Dockerfile": "FROM base:1\n",
    }
    for path, text in files.items():
        (envs / path).parent.mkdir(parents=True, exist_ok=True)
        (envs / path).write_text(text, encoding="utf-8")
    for name in ("conda", "pip", "v2", "context"):
        words = ["register", str(envs / name), "--name", name, "--workspace", str(ws.store.path)]
        assert CliRunner().invoke(envkiln, words, catch_exceptions=False).exit_code == 0
    found = Environment.list(ws)
    assert found.keys() == {"conda", "pip", "v2", "context"}
    base = PINNED.partition("@")[0]
    assert [found[name].docker.base_image for name in ("conda", "pip", "v2")] == [base] * 3
    assert found["context"].docker.build_context is not None
    conda = found["v2"].python.conda_dependencies
    assert conda is not None
    assert conda.as_dict()["name"] == PAGE_CONDA_NAME
    assert found["conda"].get_image_details(ws).repository == found["v2"].get_image_details(ws).repository


def fake_conda(directory: Path, exported: str) -> Path:
    """A program that answers as conda does; conda itself is in the base image only."""
    program = directory / "conda"
    listed = json.dumps({"envs": ["/opt/conda", "/opt/conda/envs/there"]})
    program.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        "--version) echo conda 26.9.0 ;;\n"
        f"'env list --json') echo '{listed}' ;;\n"
        f"'env export --no-builds --name there') printf '%s' '{exported}' ;;\n"
        "*) echo unknown >&2; exit 2 ;;\nesac\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    return program


def test_an_existing_conda_environment_is_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    exported = "name: there\nchannels:\n  - defaults\ndependencies:\n  - python=3.11.7\nprefix: /opt/conda/envs/there\n"
    monkeypatch.setenv("CONDA_EXE", str(fake_conda(tmp_path, exported)))
    made = Environment.from_existing_conda_environment("x", "there")
    assert made is not None
    assert made.python.conda_dependencies is not None
    assert made.python.conda_dependencies.get_python_version() == "3.11.7"
    assert capsys.readouterr().out == "Exporting conda specifications for existing conda environment: there\n"
    assert Environment.from_existing_conda_environment("x", "none") is None


def making_conda(directory: Path, code: int) -> Path:
    """A program that says what it was told, makes the prefix as conda does, and ends with `code`."""
    program = directory / "conda"
    program.write_text(
        '#!/bin/sh\necho "$@"\n[ -f "$6" ] && mkdir -p "$4/conda-meta" && touch "$4/conda-meta/history"\n'
        f"exit {code}\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    return program


def test_conda_makes_the_environment_where_there_is_one(
    ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page().register(ws)
    prefix = tmp_path / "home" / ".azureml" / "envs" / PAGE_CONDA_NAME
    monkeypatch.setenv("CONDA_EXE", str(making_conda(tmp_path, 2)))
    with pytest.raises(BuildFailedException, match="Creating conda environment failed with exit code: 2"):
        page().build_local(ws, useDocker=False)
    capsys.readouterr()

    monkeypatch.setenv("CONDA_EXE", str(making_conda(tmp_path, 0)))
    page().build_local(ws)
    saved, missing, running, said = capsys.readouterr().out.splitlines()
    specification = f"{saved.rpartition('  ')[2]}/azureml-environment-setup/mutated_conda_dependencies.yml"
    assert missing == f"Materialized conda environment not found on target: {prefix}", "what failed does not count"
    assert said == f"env create -p {prefix} -f {specification}"
    assert running == f"Running: {[str(tmp_path / 'conda'), *said.split()]}"

    page().build_local(ws)
    assert capsys.readouterr().out.splitlines()[1:] == [f"Materialized conda environment found on target: {prefix}"]


def test_without_conda_there_is_nothing_to_export(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDA_EXE", "/none/conda")
    with pytest.raises(FileNotFoundError):
        Environment.from_existing_conda_environment("x", "there")


def test_an_unknown_attribute_is_an_error() -> None:
    made: Any = Environment("x")
    with pytest.raises(AttributeError, match=r"has no attribute foo"):
        made.docker.foo = 1
    with pytest.raises(TypeError, match=r"Environment name expected str, <class 'int'> found"):
        Environment(3)  # type: ignore[arg-type]
