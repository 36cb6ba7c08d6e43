"""Cases: environments of azure-ai-ml, loaded from YAML and made in Python."""

import os
from pathlib import Path
from typing import Any


def from_yaml(client: Any, files: dict[str, str], overrides: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """What `load_environment` makes of `environment.yml` among `files`."""
    _write(files)
    return _said(client.load_environment("environment.yml", params_override=overrides))


def dumped(client: Any, files: dict[str, str]) -> dict[str, Any]:
    """What is loaded again of what was dumped."""
    _write(files)
    client.load_environment("environment.yml").dump("again.yml")
    return _said(client.load_environment("again.yml"))


def made(client: Any, files: dict[str, str], arguments: dict[str, Any], build: dict[str, Any] | None) -> dict[str, Any]:
    """What `Environment(...)` is."""
    _write(files)
    entities = getattr(client, "entities", client)
    if build is not None:
        arguments = {**arguments, "build": entities.BuildContext(**build)}
    return _said(entities.Environment(**arguments))


def judged(client: Any, arguments: dict[str, Any]) -> None:
    """What `validate` says of `Environment(...)`."""
    entities = getattr(client, "entities", client)
    entities.Environment(**arguments).validate()


def _write(files: dict[str, str]) -> None:
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("link:"):
            path.symlink_to(text.removeprefix("link:"))
        else:
            path.write_text(text, encoding="utf-8")


def _said(environment: Any) -> dict[str, Any]:
    names = ("name", "version", "description", "image", "conda_file", "tags", "properties", "datastore")
    said = {name: getattr(environment, name) for name in names}
    build = environment.build
    if build is not None:
        path = os.fspath(build.path) if build.path else None
        said["build"] = [build.dockerfile_path, path if path is None or "://" in path else Path(path).name]
    said["os_type"] = str(environment.os_type).rpartition(".")[2].lower() if environment.os_type else None
    said["inference_config"] = _plain(environment.inference_config)
    return said


def _plain(config: Any) -> Any:
    if config is None:
        return None
    routes = ("liveness_route", "readiness_route", "scoring_route")
    return {name: [_of(_of(config, name), key) for key in ("path", "port")] for name in routes}


def _of(value: Any, name: str) -> Any:
    return value[name] if type(value) is dict else getattr(value, name)
