"""Private wheels: kept in the workspace, named by a URL, and laid beside the specification that lists them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from envkiln.daemon.sdk_errors import UserErrorException
from envkiln.daemon.sdk_workspace import Workspace
from envkiln.daemon.whole_file import write_whole

DIRECTORY = "azureml-private-packages"
"""In the workspace, and beside a specification. Azure ML's container of blobs is called so."""
_LOCAL = f"./{DIRECTORY}/"


def add_wheel(workspace: Workspace, file_path: str | Path, *, exist_ok: bool) -> str:
    """Copy a wheel into the workspace and return its URL, an item for the pip part; raises UserErrorException."""
    file = Path(file_path)
    if not file.is_file():
        raise UserErrorException(f"Please make sure the wheel file exists at: {file_path}")
    kept = workspace.store.path / DIRECTORY / file.name
    if kept.exists() and not exist_ok:
        raise UserErrorException(
            f"A wheel with the name {file.name} already exists. Please make sure {file.name} is the wheel you want to "
            "upload, then set exist_ok=True to use the existing one."
        )
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_whole(kept, file.read_bytes())
    return kept.as_uri()


def with_local_wheels(workspace: Workspace, conda: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return a specification that refers to wheels of the workspace by relative paths, and those files by path.

    So no path of this machine enters a name, and a wheel of another content is another environment.
    """
    found: dict[str, bytes] = {}
    base = (workspace.store.path / DIRECTORY).as_uri() + "/"

    def local(item: Any) -> Any:
        if isinstance(item, str) and item.startswith((base, _LOCAL)):
            name = item.removeprefix(base).removeprefix(_LOCAL)
            found[f"{DIRECTORY}/{name}"] = _bytes_of(workspace.store.path / DIRECTORY / name, item)
            return f"{_LOCAL}{name}"
        return item

    dependencies = list(_mapped(conda.get("dependencies") or [], local))
    return ({**conda, "dependencies": dependencies} if found else dict(conda)), found


def _mapped(dependencies: list[Any], local: Any) -> Iterator[Any]:
    for item in dependencies:
        if isinstance(item, dict) and isinstance(item.get("pip"), list):
            yield {**item, "pip": [local(line) for line in item["pip"]]}
        else:
            yield item


def _bytes_of(file: Path, item: str) -> bytes:
    if file.parent.name != DIRECTORY or not file.is_file():
        raise UserErrorException(f"{item} is not in the workspace", hint="add it with add_private_pip_wheel")
    return file.read_bytes()
