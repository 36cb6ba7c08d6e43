"""Cases: conda specifications that are read and changed."""

import json
from pathlib import Path
from typing import Any


def read(client: Any, text: str) -> Any:
    """Everything that a specification says of itself."""
    Path("env.yml").write_text(text, encoding="utf-8")
    conda = client.CondaDependencies("env.yml")
    return _said(conda)


def changed(client: Any, dependencies: list[Any] | None, calls: list[list[Any]]) -> Any:
    """A specification of these dependencies (None: the default one) after calls of its methods, and their errors."""
    if dependencies is None:
        conda = client.CondaDependencies()
    else:
        Path("env.yml").write_text(json.dumps({"dependencies": dependencies}), encoding="utf-8")
        conda = client.CondaDependencies("env.yml")
    errors = []
    for name, *arguments in calls:
        try:
            getattr(conda, name)(*arguments)
        except Exception as error:  # noqa: BLE001 -- compared
            errors.append([name, type(error).__name__, str(error).splitlines()[1].strip()])
    return [_said(conda), errors]


def created(client: Any, arguments: dict[str, Any]) -> Any:
    return client.CondaDependencies.create(**arguments).as_dict()


def merged(client: Any, requirements: list[str]) -> Any:
    return client.CondaDependencies.merge_requirements(requirements)


def saved(client: Any, path: str) -> Any:
    Path("there").mkdir()
    conda = client.CondaDependencies()
    returned = conda.save(path)
    return [returned, client.CondaDependencies(path).as_dict()]


def saved_below(client: Any, base: str, path: str | None) -> Any:
    Path("there/.azureml").mkdir(parents=True)
    conda = client.CondaDependencies()
    try:
        returned = conda.save_to_file(base, path)
    except FileNotFoundError as error:
        return str(error.filename).removeprefix(f"{Path.cwd()}/")
    return [returned, client.CondaDependencies(Path(base) / returned).as_dict()]


def constants(client: Any) -> Any:
    conda = client.CondaDependencies
    numbers = (conda.DEFAULT_NUMBER_OF_CONDA_PACKAGES, conda.DEFAULT_NUMBER_OF_PIP_PACKAGES)
    return [*numbers, conda.sdk_origin_url(), conda().get_default_number_of_packages()]


def python_of(client: Any, item: str) -> Any:
    """What `from_conda_specification` makes of one item that may be Python."""
    Path("env.yml").write_text(json.dumps({"dependencies": ["numpy", item, "scipy"]}), encoding="utf-8")
    version = client.CondaDependencies("env.yml").get_python_version()
    made = client.Environment.from_conda_specification("x", "env.yml")
    return [version, made.python.conda_dependencies.as_dict()]


def _said(conda: Any) -> Any:
    parts = (conda.conda_packages, conda.conda_channels, conda.pip_packages, conda.pip_options)
    return [conda.as_dict(), conda.get_python_version(), *(list(part) for part in parts)]


def specification(client: Any, text: str) -> Any:
    """What `from_conda_specification` makes of a file, or that it is refused: the words for that are another's."""
    Path("env.yml").write_text(text, encoding="utf-8", newline="")
    try:
        made = client.Environment.from_conda_specification("x", "env.yml")
    except Exception as error:  # noqa: BLE001 -- compared
        message = str(error)
        return next((line for line in message.splitlines() if "Environment error: unknown" in line), "refused")
    return made.python.conda_dependencies.as_dict()
