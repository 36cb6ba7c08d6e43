"""The conda specification of the v1 client: its default one, and one that is read (FACTS §2.2, §2.3)."""

from collections.abc import Mapping
from typing import Any

import yaml

from envkiln.cache.errors import DefinitionError
from envkiln.cache.format_conda import KEYS
from envkiln.cache.yaml_text import read_yaml
from envkiln.daemon.sdk_errors import UserErrorException


def default_specification() -> dict[str, Any]:
    """Return what a new `CondaDependencies` says."""
    return {
        "name": "project_environment",
        "dependencies": ["python=3.8.13", {"pip": ["azureml-defaults"]}],
        "channels": ["anaconda", "conda-forge"],
    }


def read_specification(data: bytes, source: str) -> dict[str, Any]:
    """Return the specification in the bytes of a YAML file that errors call `source`; raises UserErrorException."""
    try:
        value = read_yaml(data, source).value
    except DefinitionError as error:
        raise UserErrorException(f"Environment error: {error}", hint=error.hint) from error
    if not isinstance(value, dict):
        hint = f"{source}: write `dependencies:` and below it a list of packages, each after `- `"
        raise UserErrorException("Environment error: not a valid YAML structure", hint=hint)
    for key in value:
        if key not in KEYS:
            message = f"Environment error: unknown {key} key in environment specification"
            raise UserErrorException(message, hint=f"{source}: known keys are {', '.join(KEYS)}")
    dependencies = value.get("dependencies", [])
    parts = [dependencies] + [it["pip"] for it in dependencies or () if isinstance(it, dict) and "pip" in it]
    if not all(isinstance(part, list) for part in parts):
        message = "Environment error: `dependencies` and `pip` must be lists"
        raise UserErrorException(message, hint=f"{source}: write each package on a line of its own, after `- `")
    return value


def specification_text(value: Mapping[str, Any]) -> str:
    """Return a specification as YAML, its keys in the order that they have."""
    text: str = yaml.safe_dump(
        dict(value), sort_keys=False, default_flow_style=False, allow_unicode=True, width=1 << 30
    )
    return text
