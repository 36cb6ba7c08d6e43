"""Cases: environments that are made, changed, saved and loaded."""

import json
from pathlib import Path
from typing import Any

CONDA = "name: project\nchannels: [conda-forge]\ndependencies: [python=3.9, numpy, {pip: [six]}]\n"
FILES = {
    "env.yml": CONDA,
    "no-python.yml": "dependencies: [numpy]\n",
    "broken.yml": "foo: 1\n",
    "requirements.txt": "# comment\n\nnumpy==1\n-r other.txt\n--pre\n  six  # why\n",
    "Dockerfile": "FROM base\r\nRUN true\n",
}


def _write_files() -> None:
    for name, text in FILES.items():
        Path(name).write_text(text, encoding="utf-8", newline="")
    Path("empty").mkdir()


def _of(environment: Any) -> Any:
    return [json.loads(repr(environment)), str(environment) if hasattr(environment, "docker") else None]


def made(client: Any, constructor: str, arguments: dict[str, Any]) -> Any:
    """What a constructor makes of `arguments`, whose paths are among FILES."""
    _write_files()
    return _of(getattr(client.Environment, constructor)(**arguments))


def made_of_open_file(client: Any) -> Any:
    _write_files()
    with Path("Dockerfile").open(encoding="utf-8") as file:
        return _of(client.Environment.from_dockerfile("x", file))


def new(client: Any, name: Any) -> Any:
    return _of(client.Environment(name))


def built_from_context(client: Any, kind: str, location: str, *path: str) -> Any:
    context = client.DockerBuildContext(client.DockerBuildContext.LocationType(kind), location, *path)
    return _of(client.Environment.from_docker_build_context("x", context))


def context_of_directory(client: Any, directory: str) -> Any:
    _write_files()
    return vars(client.DockerBuildContext.from_local_directory(None, directory))


def with_registry(client: Any) -> Any:
    registry = client.ContainerRegistry()
    registry.address, registry.username, registry.password = "address", "user", "secret"
    made = client.Environment.from_docker_image("x", "base:1", container_registry=registry)
    return json.loads(repr(made))["docker"]["baseImageRegistry"]


def set_on(client: Any, assignments: list[list[Any]]) -> Any:
    """An environment after its attributes were set: each a dotted path and a value."""
    environment = client.Environment("x")
    for path, value in assignments:
        place = environment
        *parents, name = path.split(".")
        for parent in parents:
            place = getattr(place, parent)
        setattr(place, name, value)
    return _of(environment)


def unknown_attribute(client: Any, part: str) -> Any:
    """What is said of an attribute that does not exist; the module of the class is the client's own."""
    owner = client.Environment("x") if part == "Environment" else getattr(client, part)()
    try:
        owner.foo = 1
    except AttributeError as error:
        return str(error).rpartition(".")[2]
    return None


def with_sections(client: Any) -> Any:
    return _of(_with_sections(client))


def _with_sections(client: Any) -> Any:
    environment = client.Environment("x")
    environment.spark.packages = [client.SparkPackage("group", "artifact", "1")]
    environment.spark.repositories = ["https://repository"]
    environment.spark.precache_packages = False
    environment.r = client.RSection()
    environment.r.r_version = "3.6"
    package = client.RGitHubPackage()
    package.repository, package.auth_token = "owner/name", "token"
    cran = client.RCranPackage()
    cran.name, cran.version = "dplyr", "1.0"
    environment.r.github_packages, environment.r.cran_packages = [package], [cran]
    environment.databricks.maven_libraries = [client.MavenLibrary("a:b:c")]
    environment.databricks.pypi_libraries = [client.PyPiLibrary("p", "https://index")]
    environment.databricks.rcran_libraries = [client.RCranLibrary("c")]
    environment.databricks.jar_libraries = [client.JarLibrary("j")]
    environment.databricks.egg_libraries = [client.EggLibrary("e")]
    environment.inferencing_stack_version = "latest"
    return environment


def cloned(client: Any, name: Any) -> Any:
    environment = _with_sections(client)
    environment.version = "3"
    return [_of(environment.clone(name)), _of(environment)]


def saved(client: Any, kind: str, overwrite: Any) -> Any:
    """The files that an environment is saved as, all but the comments and the layout of the YAML."""
    _write_files()
    environment = {
        "new": lambda: client.Environment("x"),
        "sections": lambda: _with_sections(client),
        "conda": lambda: client.Environment.from_conda_specification("x", "env.yml"),
        "dockerfile": lambda: client.Environment.from_dockerfile(
            "x", "Dockerfile", pip_requirements="requirements.txt"
        ),
        "image": lambda: client.Environment.from_docker_image("x", "base:1"),
        "context": lambda: client.Environment.from_docker_build_context(
            "x", client.DockerBuildContext("git", "https://x", "d/Dockerfile")
        ),
        "no python": lambda: _without_python(client),
    }[kind]()
    environment.save_to_directory("out", *([] if overwrite is None else [True]))
    if overwrite:
        environment.save_to_directory("out", overwrite=True)
    elif overwrite is False:
        environment.save_to_directory("out")
    files = {path.name: path.read_text(encoding="utf-8") for path in Path("out").iterdir()}
    conda = files.pop("conda_dependencies.yml", None)
    if conda is not None:
        conda = client.CondaDependencies("out/conda_dependencies.yml").as_dict()
    return [files, conda, _of(client.Environment.load_from_directory("out"))]


def _without_python(client: Any) -> Any:
    environment = client.Environment("x")
    environment.python.conda_dependencies = client.CondaDependencies("no-python.yml")
    return environment


def loaded(client: Any, files: dict[str, str]) -> Any:
    """The environment in a directory with these files, and what it is."""
    Path("in").mkdir()
    for name, text in files.items():
        (Path("in") / name).write_text(text, encoding="utf-8", newline="")
    environment = client.Environment.load_from_directory("in")
    return [type(environment).__name__, _of(environment)]


def image_details(client: Any, value: dict[str, Any]) -> Any:
    details = client.DockerImageDetails(value)
    names = (
        *("image_exist", "repository", "registry", "image"),
        *("interpreter_path", "environment_path", "dockerfile"),
    )
    return [repr(details), [getattr(details, name) for name in names]]


def written(client: Any, kind: str) -> Any:
    """The bytes that an environment is saved as: for the other client to load."""
    _write_files()
    environment = {
        "conda": lambda: client.Environment.from_conda_specification("x", "env.yml"),
        "pip": lambda: client.Environment.from_pip_requirements("x", "requirements.txt"),
        "dockerfile": lambda: client.Environment.from_dockerfile("x", "Dockerfile", conda_specification="env.yml"),
        "image": lambda: client.Environment.from_docker_image("x", "base:1"),
        "sections": lambda: _with_sections(client),
    }[kind]()
    environment.save_to_directory("out")
    files = {path.name: path.read_text(encoding="utf-8") for path in Path("out").iterdir()}
    return [files, _of(environment)]
