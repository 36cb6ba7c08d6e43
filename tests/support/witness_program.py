"""Runs cases against one of Azure ML's own clients and tells what came of them; a program of build/witness/bin/python.

A case is a function whose first parameter is the client: the same function is called with ours. Standard library only,
as every module that holds cases.
"""

import contextlib
import importlib
import importlib.util
import io
import json
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

CLIENTS = ("azureml-core", "azure-ai-ml")
_CORE = {
    "azureml.core": ("Environment", "Workspace", "ContainerRegistry"),
    "azureml.core.conda_dependencies": ("CondaDependencies",),
    "azureml.core.databricks": (
        "DatabricksSection",
        "MavenLibrary",
        "PyPiLibrary",
        "RCranLibrary",
        "JarLibrary",
        "EggLibrary",
    ),
    "azureml.core.environment": (
        "DEFAULT_CPU_IMAGE",
        "DEFAULT_GPU_IMAGE",
        "DockerBuildContext",
        "DockerImageDetails",
        "DockerImagePlatform",
        "DockerSection",
        "EnvironmentReference",
        "PythonSection",
        "RCranPackage",
        "RGitHubPackage",
        "RSection",
        "SparkPackage",
        "SparkSection",
    ),
}


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def run_case(case: Callable[..., Any], client: Any, arguments: Sequence[Any]) -> dict[str, Any]:
    """Return what a case did in an empty current directory: `value` as JSON has it, `error` ([type, message], or
    None), what it `printed`, and what it `logged` as warnings."""
    printed, logged, before = io.StringIO(), _Lines(), Path.cwd()
    value, error = None, None
    root = logging.getLogger()
    root.addHandler(logged)
    with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.chdir(directory)
        try:
            value = case(client, *arguments)
        except Exception as raised:  # noqa: BLE001 -- what is raised is what is compared
            error = [type(raised).__name__, str(raised)]
        finally:
            os.chdir(before)
            root.removeHandler(logged)
    # As JSON: a client's mappings may be of types of its own.
    plain = json.loads(json.dumps(value, default=str))
    return {"value": plain, "error": error, "printed": printed.getvalue(), "logged": logged.lines}


def _client(name: str) -> Any:
    if name == "azure-ai-ml":
        return importlib.import_module("azure.ai.ml")
    found: dict[str, Any] = {}
    for module, names in _CORE.items():
        loaded = importlib.import_module(module)
        found |= {each: getattr(loaded, each) for each in names}
    return SimpleNamespace(**found)


def _load(file: str) -> Any:
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    if spec is None or spec.loader is None:
        raise ImportError(file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Read `{"client", "calls": [[file, function, arguments], ...]}`, write the list of outcomes."""
    asked = json.load(sys.stdin)
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    # What the clients print while they are imported is no answer.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    warnings.simplefilter("ignore")
    client = _client(asked["client"])
    modules = {file: _load(file) for file, _, _ in asked["calls"]}
    outcomes = [run_case(getattr(modules[file], name), client, given) for file, name, given in asked["calls"]]
    json.dump(outcomes, answer)
    answer.close()


if __name__ == "__main__":
    main()
