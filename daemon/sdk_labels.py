"""Labels of registered versions: `labels/<name>.json` in the workspace, from a label to a version's number."""

import json
from collections.abc import Iterable
from pathlib import Path

from envkiln.cache.registered_version import checked_name
from envkiln.daemon.sdk_errors import UserErrorException
from envkiln.daemon.sdk_workspace import Workspace
from envkiln.daemon.whole_file import write_whole


def label_version(workspace: Workspace, name: str, number: int, labels: Iterable[str]) -> None:
    """Give a version these labels; a label that another version of the name has moves. For a version that exists."""
    with workspace.store.locked():
        found = {**_read(workspace, name), **{str(label): number for label in labels}}
        file = _file(workspace, name)
        file.parent.mkdir(exist_ok=True)
        write_whole(file, (json.dumps(found, indent=4, sort_keys=True) + "\n").encode())


def labelled_version(workspace: Workspace, name: str, label: str | None) -> int:
    """Return the number of the version that has a label; raises UserErrorException."""
    found = _read(workspace, name)
    if label not in found:
        hint = f"its labels are: {', '.join(['latest', *found])}"
        raise UserErrorException(f"Environment '{name}' has no label '{label}'", hint=hint)
    return found[label]


def _read(workspace: Workspace, name: str) -> dict[str, int]:
    file = _file(workspace, name)
    if not file.is_file():
        return {}
    try:
        value = json.loads(file.read_bytes())
    except ValueError:
        value = None
    if not isinstance(value, dict) or not all(type(number) is int for number in value.values()):
        raise UserErrorException(f"{file} is not a file of labels", hint="take it back from git, or remove it")
    return value


def _file(workspace: Workspace, name: str) -> Path:
    return workspace.store.path / "labels" / f"{checked_name(name)}.json"
