"""What a command's PATH means: the environments there, read once, with the settings of their root."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envkiln.cache.errors import DefinitionError, EnvkilnError
from envkiln.cache.formats import read_definition
from envkiln.daemon.candidates import Rules
from envkiln.daemon.config import Config, RootConfig, load_config, read_file
from envkiln.daemon.discover import look
from envkiln.daemon.disk_tree import DigestCache, DiskTree
from envkiln.daemon.events import Problem, Sighting
from envkiln.daemon.paths import FILE_NAME, Paths, paths_from


class NoEnvironment(EnvkilnError):  # noqa: N818 -- what it is
    """There is no definition at a path."""


@dataclass(frozen=True, slots=True)
class Targets:
    """The environments at a path, and the configuration of the root they lie in."""

    config: Config
    paths: Paths
    root: RootConfig
    sightings: tuple[Sighting, ...]

    @property
    def only(self) -> Sighting:
        """The one environment there is; raises NoEnvironment where there are several."""
        if len(self.sightings) > 1:
            ids = ", ".join(sighting.id for sighting in self.sightings[:5])
            message = f"{self.root.path} holds {len(self.sightings)} environments here"
            raise NoEnvironment(message, hint=f"choose one of {ids}, ...")
        return self.sightings[0]


def find_targets(path: Path, flags: Mapping[str, Any], root: Path | None = None) -> Targets:
    """Return the environments at `path`, a file or a directory, in the order of their ids.

    Their root is `root`, else a configured root that holds the path, else the nearest directory above with an
    `envkiln.toml`, else the directory itself (of a file: its directory). Raises NoEnvironment where nothing is
    defined; what is wrong with a definition is its sighting's problem.
    """
    target = Path(os.path.abspath(path))  # noqa: PTH100 -- `resolve` would follow a link to somewhere else
    if not target.exists():
        raise NoEnvironment(f"{path} does not exist", hint="give the path of a definition file or its directory")
    target = target.parent.resolve() / target.name if target.name else target
    paths = paths_from(os.environ)
    place = root or _root_of(target, flags, paths)
    config = _load([place], flags, paths)
    watched = config.roots[0]
    # Second, for a link to the root itself: a root is where its links lead.
    found_at = next((at for at in (target, target.resolve()) if at.is_relative_to(watched.path)), None)
    if found_at is None:
        raise NoEnvironment(f"{path} is not below {watched.path}", hint="choose another --root")
    relative = found_at.relative_to(watched.path).as_posix()
    rules = Rules(watched.ignore, watched.requirements_python)
    snapshot = look(watched.path, rules=rules)
    below = "" if relative == "." else relative
    sightings = []
    for id_, found in sorted(snapshot.environments.items()):
        at = found.file == below or not below or found.file.startswith(f"{below}/")
        if at:
            value = Problem.of(found.result) if isinstance(found.result, DefinitionError) else found.result
            settings = config.for_environment(watched, id_)
            sightings.append(Sighting(id_, watched.label, found.file, value, settings))
    if not sightings and target.is_file():
        sightings = [_explicit(config, watched, below)]
    if not sightings:
        raise NoEnvironment(
            f"no environment is defined in {path}",
            hint="envkiln looks for env.yml, environment.yml, conda.yml, conda_dependencies.yml, "
            "azureml_environment.json, requirements.txt, Dockerfile, and other *.yml with a `dependencies` list",
        )
    return Targets(config, paths, watched, tuple(sightings))


def _explicit(config: Config, root: RootConfig, file: str) -> Sighting:
    """A file that a look would pass over, such as `requirements-dev.txt`, named by somebody who means it."""
    settings = config.for_environment(root, file)
    try:
        tree = DiskTree(root.path, DigestCache())
        definition = read_definition(tree, file, requirements_python=root.requirements_python)
    except DefinitionError as error:
        return Sighting(file, root.label, file, Problem.of(error), settings)
    return Sighting(file, root.label, file, definition, settings)


def _root_of(target: Path, flags: Mapping[str, Any], paths: Paths) -> Path:
    directory = target if target.is_dir() else target.parent
    for configured in _load([], flags, paths).roots:
        if directory.is_relative_to(configured.path):
            return configured.path
    for above in (directory, *directory.parents):
        if (above / FILE_NAME).is_file():
            return above
    return directory


def _load(roots: list[Path], flags: Mapping[str, Any], paths: Paths) -> Config:
    return load_config(
        roots_from_flags=roots, flags=flags, environ=os.environ, user_file=paths.config_file, read=read_file
    )
