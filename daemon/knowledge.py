"""What can be said about environments now: the service's answer, or the index's while the service is down."""

import difflib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envkiln.daemon.client import Client, ServiceDown
from envkiln.daemon.errors import UnknownEnvironment
from envkiln.daemon.paths import Paths, paths_from

View = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """`service` is null while the service is down; `age` is then how old the views are, in seconds, if known."""

    views: tuple[View, ...]
    service: View | None
    age: float | None = None
    roots: Mapping[str, str] = field(default_factory=dict)
    """The watched directories by label."""

    def find(self, environment: str) -> View:
        """Return the view of an id, or of the path of a definition; raises UnknownEnvironment."""
        by_id = {str(view["environment"]): view for view in self.views}
        if environment in by_id:
            return by_id[environment]
        target = Path(environment).resolve()
        for view in self.views:
            place = self._place(view)
            if place is not None and target in (place, place.parent) and (target != place.parent or self._owns(view)):
                return view
        near = difflib.get_close_matches(environment, by_id, 1)
        hint = f"did you mean {near[0]!r}?" if near else "`envkiln status` lists them"
        raise UnknownEnvironment(f"no environment {environment!r} is known", hint=hint)

    def _place(self, view: View) -> Path | None:
        root = self.roots.get(str(view.get("root")))
        return Path(root) / str(view.get("file")) if root is not None else None

    @staticmethod
    def _owns(view: View) -> bool:
        """Whether the environment is its directory, not one file among others in it."""
        return not str(view["environment"]).endswith(str(view["file"]))


def what_is_known(paths: Paths | None = None) -> Knowledge:
    """Return what the service says, or else what it said last."""
    paths = paths or paths_from(os.environ)
    try:
        service = Client(paths.socket).service()
    except ServiceDown:
        return _from_index(paths)
    return from_service(service)


def from_service(service: View) -> Knowledge:
    """Return what the service's answer says."""
    roots = {root["label"]: root["path"] for root in service["roots"]}
    return Knowledge(tuple(service["environments"]), service, roots=roots)


def _from_index(paths: Paths) -> Knowledge:
    if not paths.index.is_dir():
        return Knowledge((), None)
    from envkiln.cache.index import Index  # noqa: PLC0415 -- only while the service is down

    index = Index(paths.index)
    try:
        views = index.views()
        stored_at = index.views_stored_at()
        roots = index.roots()
    finally:
        index.close()
    age = time.time() - stored_at if stored_at is not None else None
    return Knowledge(tuple(views[id_] for id_ in sorted(views)), None, age, roots)
