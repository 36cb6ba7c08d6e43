"""`Workspace` of the v1 client: where versions are registered, with the settings of this machine.

The versions are in a directory (`workspace.py`). `config.json` is Azure ML's own file; `envkiln_workspace` in it is
ours, a path from where the file is.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envkiln.daemon import workspace as versions
from envkiln.daemon.config import Config, RootConfig, load_config, read_file
from envkiln.daemon.paths import Paths, paths_from
from envkiln.daemon.sdk_errors import UserErrorException, translated
from envkiln.daemon.whole_file import write_whole

KEY = "envkiln_workspace"
_FILE = "config.json"
_PLACES = (Path(".azureml") / _FILE, Path(_FILE))
_AZURE = ("subscription_id", "resource_group", "workspace_name")


@dataclass(frozen=True, slots=True)
class Workspace:
    """One workspace. `subscription_id` and `resource_group` are what Azure ML's file says, and are not used."""

    name: str
    subscription_id: str | None
    resource_group: str | None
    store: versions.Workspace = field(repr=False)
    paths: Paths = field(repr=False)
    config: Config = field(repr=False)

    @staticmethod
    def from_config(
        path: str | Path | None = None, auth: Any = None, _logger: Any = None, _file_name: str | None = None
    ) -> "Workspace":
        """Return the workspace that a `config.json` names: at `path`, or here or in a directory above.

        `.azureml/config.json` is looked for, then `config.json`. Without `envkiln_workspace` in it, the workspace is
        that of the setting `workspace`, and without that one of its name in the state directory, which is made. Where
        there is no file the setting is enough. `auth` is not used. Raises UserErrorException.
        """
        del auth, _logger
        start = Path(path) if path is not None else Path.cwd()
        file = _find(start, _file_name)
        paths = paths_from(os.environ)
        if file is None:
            configured = _load(None, paths).workspace
            if configured is None:
                raise _missing(start)
            return _opened(configured.name, {}, versions.Workspace(configured), paths)
        value = _read(file)
        return _opened(
            str(value.get("workspace_name") or file.parent.name), value, _store_of(value, file, paths), paths
        )

    @staticmethod
    def create(name: str, path: str | Path, exist_ok: bool = False) -> "Workspace":
        """Make a workspace in the directory `path` and return it; `write_config` lets others find it.

        Raises UserErrorException where there is one, unless `exist_ok`.
        """
        directory = Path(path).absolute()
        if (directory / versions.MARK).exists() and not exist_ok:
            raise UserErrorException(f"Workspace with name '{name}' already exists.", hint="give exist_ok=True")
        with translated():
            store = versions.Workspace.create(directory)
        return _opened(name, {}, store, paths_from(os.environ))

    def write_config(self, path: str | Path | None = None, file_name: str | None = None) -> None:
        """Write `.azureml/config.json` below `path` (the current directory), for `from_config`."""
        file = Path(path or ".") / ".azureml" / (file_name or _FILE)
        file.parent.mkdir(parents=True, exist_ok=True)
        said = {"subscription_id": self.subscription_id, "resource_group": self.resource_group}
        value = {**said, "workspace_name": self.name, KEY: str(self.store.path)}
        write_whole(file, (json.dumps(value, indent=4) + "\n").encode())

    def get_details(self) -> dict[str, Any]:
        """Return what is known of the workspace."""
        return {"id": str(self.store.path), "name": self.name, "resourceGroup": self.resource_group}

    @property
    def has_registry(self) -> bool:
        """Whether the settings name a registry: the first one is the workspace's."""
        return bool(self.config.registries)

    @property
    def root(self) -> RootConfig:
        """What holds for environments of the workspace: an `envkiln.toml` in its directory counts."""
        return self.config.roots[0]


def _opened(name: str, value: dict[str, Any], store: versions.Workspace, paths: Paths) -> Workspace:
    config = _load(store.path, paths)
    return Workspace(name, value.get("subscription_id"), value.get("resource_group"), store, paths, config)


def _load(root: Path | None, paths: Paths) -> Config:
    with translated():
        return load_config(
            roots_from_flags=[root] if root else [],
            flags={},
            environ=os.environ,
            user_file=paths.config_file,
            read=read_file,
        )


def _store_of(value: dict[str, Any], file: Path, paths: Paths) -> versions.Workspace:
    named = value.get(KEY)
    if isinstance(named, str) and named:
        return versions.Workspace((file.parent / named).resolve())
    configured = _load(None, paths).workspace
    if configured is not None:
        return versions.Workspace(configured)
    name = str(value["workspace_name"]).replace("/", "_").lstrip(".") or "workspace"
    with translated():
        return versions.Workspace.create(paths.state / "workspaces" / name)


def _find(start: Path, file_name: str | None) -> Path | None:
    if start.is_file():
        return start
    places = (Path(".azureml") / file_name, Path(file_name)) if file_name else _PLACES
    for directory in (start.absolute(), *start.absolute().parents):
        for place in places:
            if (directory / place).is_file():
                return directory / place
    return None


def _read(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except ValueError as error:
        raise UserErrorException(f"{file} is not JSON: {error}", hint="download it again, or correct it") from None
    if not isinstance(value, dict) or not (value.get(KEY) or all(value.get(key) for key in _AZURE)):
        raise UserErrorException(
            f"The config file found in: {file} does not seem to contain the required parameters. Please make sure it "
            "contains your subscription_id, resource_group and workspace_name.",
            hint=f"{KEY} alone is enough: the path of a workspace's directory",
        )
    return value


def _missing(start: Path) -> UserErrorException:
    return UserErrorException(
        f"The workspace configuration file config.json, could not be found in {start.absolute()} or its parent "
        "directories. Please check whether the workspace configuration file exists, or provide the full path to the "
        "configuration file as an argument. You can download a configuration file for your workspace, via "
        "http://ml.azure.com and clicking on the name of your workspace in the right top.",
        hint="or set ENVKILN_WORKSPACE to the directory of a workspace",
    )
