"""Cases: what a client writes and reads."""

from pathlib import Path
from typing import Any


def saved(client: Any, text: str) -> list[str]:
    """What `save_to_directory` of azureml-core makes of a conda specification: its JSON and its YAML."""
    Path("env.yml").write_text(text, encoding="utf-8")
    client.Environment.from_conda_specification("x", "env.yml").save_to_directory("out")
    names = ("azureml_environment.json", "conda_dependencies.yml")
    return [(Path("out") / name).read_text(encoding="utf-8") for name in names]


def loaded(client: Any, text: str) -> Any:
    """The conda specification that azure-ai-ml reads from a YAML of version 2."""
    Path("conda.yml").write_text(text, encoding="utf-8")
    written = "name: x\nversion: '1'\nimage: base:1\nconda_file: conda.yml\n"
    Path("environment.yml").write_text(written, encoding="utf-8")
    return client.load_environment("environment.yml").conda_file
