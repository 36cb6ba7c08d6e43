"""Labels of registered versions besides `latest`: `labels/<name>.json` in a workspace, from a label to a number."""

import json
from collections.abc import Iterable, Mapping

from envkiln.cache.errors import DefinitionError
from envkiln.cache.json_text import read_json
from envkiln.cache.registered_version import RegisteredVersion, checked_name
from envkiln.daemon.version_reference import LATEST, VersionReference
from envkiln.daemon.whole_file import write_whole
from envkiln.daemon.workspace import UnknownVersion, Workspace
from envkiln.daemon.workspace_files import trouble


def labels_of(workspace: Workspace, name: str) -> Mapping[str, int]:
    """Return the labels of the versions of `name`; raises DefinitionError for a damaged file, WorkspaceError."""
    file = f"labels/{checked_name(name)}.json"
    try:
        data = (workspace.path / file).read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise trouble(workspace.path / file, error) from error
    value = read_json(data, file).value
    if not isinstance(value, dict) or not all(type(number) is int for number in value.values()):
        hint = "take it back from git, or remove it"
        raise DefinitionError("this is not a file of labels", file=file, line=1, hint=hint)
    return value


def label_version(workspace: Workspace, name: str, number: int, labels: Iterable[str]) -> None:
    """Give a version these labels; a label that another version of the name has moves. For a version that exists."""
    with workspace.locked():
        found = {**labels_of(workspace, name), **dict.fromkeys(map(str, labels), number)}
        path = workspace.path / "labels" / f"{name}.json"
        try:
            path.parent.mkdir(exist_ok=True)
            write_whole(path, (json.dumps(found, indent=4, sort_keys=True) + "\n").encode())
        except OSError as error:
            raise trouble(path, error) from error


def find_version(workspace: Workspace, reference: VersionReference) -> RegisteredVersion:
    """Return what a reference stands for; raises UnknownVersion, DefinitionError, WorkspaceError."""
    name, number, label = reference
    if label != LATEST:
        labels = labels_of(workspace, name)
        if label not in labels:
            hint = f"its labels are: {', '.join([LATEST, *labels])}"
            raise UnknownVersion(f"{name} has no label {label!r}", hint=hint)
        number = labels[label]
    return workspace.find(name, number)
