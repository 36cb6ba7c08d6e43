"""Files that look like environment definitions and are none: what they are, in words a person can act on."""

import re
from typing import Any

# Keys of other tools' documents that also have a list of `dependencies`, or one of our standard names.
_FOREIGN_KEYS = {
    "apiVersion": "a Kubernetes or Helm document",
    "services": "a Docker Compose file",
    "jobs": "a workflow of jobs",
    "galaxy_info": "the metadata of an Ansible role",
    "allow_duplicates": "the metadata of an Ansible role",
    "build_dependencies": "an MLflow python environment",
    "package": "a conda lock file or a recipe",
    "includes": "a conda-devenv file",
    "optional_dependencies": "a unidep file",
    "local_dependencies": "a unidep file",
    "component": "an Azure ML component",
    "code_configuration": "an Azure ML deployment",
    "endpoint_name": "an Azure ML deployment",
    "extra_config": "an asset description of azureml-assets",
}
# Documents of other tools by their fixed names.
_FOREIGN_NAMES = frozenset(("chart.yaml", "chart.yml", "main.yml", "main.yaml", "galaxy.yml", "galaxy.yaml"))
_SCHEMA = re.compile(rb"([A-Za-z]{1,80})\.schema\.json")
_ARM = b"deploymentTemplate.json"
_EXTRACT = "put its environment into a file of its own, such as env.yml, and name that file"
_GENERIC_HINT = "name a conda env.yml, an Azure ML environment, a requirements.txt or a Dockerfile"


def is_foreign(name: str, value: dict[Any, Any]) -> bool:
    """Return whether a parsed YAML mapping is another tool's document."""
    if "channels" in value and "dependencies" in value:
        return False
    if name.lower() in _FOREIGN_NAMES:
        return True
    return any(key in value for key in _FOREIGN_KEYS)


def foreign_hint(name: str, data: bytes, value: Any) -> tuple[str, str]:
    """Return (message, hint) for a file that is no environment definition; `value` is its data, if it is YAML."""
    schema = _SCHEMA.search(data)
    if _ARM in data:
        return "this is an Azure Resource Manager template, not an environment", _EXTRACT
    if schema and schema[1].decode().lower() != "environment":
        return f"this is an Azure ML {_words(schema[1].decode())}, not an environment", _EXTRACT
    if b"@EXPLICIT" in data:
        return (
            "this is an explicit list of conda packages, not an environment definition",
            "name the env.yml that it was made from",
        )
    if isinstance(value, dict):
        return _of_mapping(value)
    if value is None and all(line.lstrip().startswith(b"#") for line in data.split(b"\n") if line.strip()):
        return "the file is empty", "write `dependencies:` and below it a list of packages"
    return f"{name.rpartition('/')[2]!r} is not an environment definition", _GENERIC_HINT


def _of_mapping(value: dict[Any, Any]) -> tuple[str, str]:
    for key, what in _FOREIGN_KEYS.items():
        if key in value:
            return f"this is {what}, not an environment: it has `{key}`", _EXTRACT
    if isinstance(value.get("image"), dict):
        return "this describes the publishing of an image, not an environment: `image` is a mapping", _EXTRACT
    dependencies = value.get("dependencies")
    if isinstance(dependencies, list) and any(isinstance(item, dict) for item in dependencies):
        return (
            "not a conda environment: its `dependencies` hold mappings other than `pip:`",
            "write each package as a text after `- `, and pip packages as a list below `- pip:`",
        )
    if "dependencies" in value:
        if isinstance(dependencies, list):
            return (
                "not a conda environment: it has keys that conda does not know beside `dependencies`",
                "keep name, channels, dependencies, prefix and variables",
            )
        return "not a conda environment: its `dependencies` are no list", "write each package after `- `"
    return "not an environment definition: it has neither `dependencies` nor `image` nor `build`", _GENERIC_HINT


def _words(name: str) -> str:
    """Return `managedOnlineDeployment` as `managed online deployment`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
