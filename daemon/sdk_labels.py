"""Labels of registered versions, with the errors of the Python API."""

from collections.abc import Iterable

from envkiln.daemon.sdk_errors import UserErrorException, translated
from envkiln.daemon.sdk_workspace import Workspace
from envkiln.daemon.version_labels import label_version as give_labels
from envkiln.daemon.version_labels import labels_of


def label_version(workspace: Workspace, name: str, number: int, labels: Iterable[str]) -> None:
    """Give a version these labels; a label that another version of the name has moves. For a version that exists."""
    with translated():
        give_labels(workspace.store, name, number, labels)


def labelled_version(workspace: Workspace, name: str, label: str | None) -> int:
    """Return the number of the version that has a label; raises UserErrorException."""
    with translated():
        found = labels_of(workspace.store, name)
    if label is None or label not in found:
        hint = f"its labels are: {', '.join(['latest', *found])}"
        raise UserErrorException(f"Environment '{name}' has no label '{label}'", hint=hint)
    return found[label]
