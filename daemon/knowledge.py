"""What can be said about environments now: the service's answer, or the index's while the service is down."""

import difflib
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envkiln.cache.errors import EnvkilnError
from envkiln.daemon.client import Client, ServiceDown
from envkiln.daemon.errors import UnknownEnvironment
from envkiln.daemon.paths import Paths, paths_from

if TYPE_CHECKING:
    from envkiln.cache.index import Index

View = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """`service` is null while the service is down; `age` is then how old the views are, in seconds, if known."""

    views: tuple[View, ...]
    service: View | None
    age: float | None = None
    roots: Mapping[str, str] = field(default_factory=dict)
    """The watched directories by label."""

    @property
    def counts(self) -> dict[str, int]:
        """The number of all environments by state."""
        if self.service is not None:
            return dict(self.service["counts"])
        counts: dict[str, int] = {}
        for view in self.views:
            counts[str(view["state"])] = counts.get(str(view["state"]), 0) + 1
        return counts

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


@dataclass(frozen=True, slots=True)
class Found:
    """One environment: `detail` is its `EnvironmentDetail`; `client` is null while the service is down."""

    detail: View
    client: Client | None
    age: float | None = None

    @property
    def id(self) -> str:
        return str(self.detail["environment"])


def what_is_known(paths: Paths | None = None, *, states: Sequence[str] = ()) -> Knowledge:
    """Return what the service says, or else what it said last; of the service only environments in `states`."""
    paths = paths or paths_from(os.environ)
    client = Client(paths.socket)
    try:
        return _everything(client, states)
    except ServiceDown:
        return from_index(paths)


def find_environment(environment: str, paths: Paths | None = None) -> Found:
    """Return all about an id, or the path of a definition; raises UnknownEnvironment."""
    paths = paths or paths_from(os.environ)
    client = Client(paths.socket)
    try:
        return Found(find_running(client, environment), client)
    except ServiceDown:
        known = from_index(paths)
    view = known.find(environment)
    builds: list[dict[str, Any]] = []
    if (index := open_index(paths)) is not None:
        with closing(index):
            builds = index.builds(str(view["environment"]))[::-1]
    of_image = [build for build in builds if build.get("image") == view.get("image") and build.get("definition")]
    definition = of_image[0]["definition"] if of_image else None
    return Found({"definition": definition, "changes": [], **view, "builds": builds}, None, known.age)


def note_use(found: Found, image: str, paths: Paths | None = None) -> None:
    """Note that an environment's image is used now, for clean-ups; what cannot be noted keeps nobody from the use."""
    import sqlite3  # noqa: PLC0415 -- after the answer

    with suppress(ServiceDown, EnvkilnError, OSError, sqlite3.Error):
        if found.client is not None:
            found.client.use(found.id)
        elif (index := open_index(paths or paths_from(os.environ))) is not None:
            with closing(index):
                index.record_use(image, time.time(), found.id)


def find_running(client: Client, environment: str) -> View:
    """Return the detail that the service has of an id or a path; raises UnknownEnvironment, ServiceDown."""
    detail = client.environment(environment)
    if detail is not None:
        return detail
    # Not an id: only now is it worth to ask for all of them.
    known = _everything(client, ())
    view = known.find(environment)
    return client.environment(str(view["environment"])) or view


def from_index(paths: Paths) -> Knowledge:
    """Return what the service said last; nothing when there never was one."""
    index = open_index(paths)
    if index is None:
        return Knowledge((), None)
    with closing(index):
        views = index.views()
        stored_at = index.views_stored_at()
        roots = index.roots()
    age = time.time() - stored_at if stored_at is not None else None
    return Knowledge(tuple({**_UNSAID, **views[id_]} for id_ in sorted(views)), None, age, roots)


def open_index(paths: Paths) -> "Index | None":
    """Return the index, None where there never was a service: a question makes no files."""
    if not paths.index.is_dir():
        return None
    from envkiln.cache.index import Index  # noqa: PLC0415 -- only while the service is down

    return Index(paths.index)


def recorded_digests(paths: Paths) -> dict[str, str]:
    """Return the digest that was last seen for each base image's tag, by reference."""
    index = open_index(paths)
    if index is None:
        return {}
    with closing(index):
        return {reference: digest for reference, (digest, _) in index.digests().items()}


def _everything(client: Client, states: Sequence[str]) -> Knowledge:
    service = client.service()
    roots = {root["label"]: root["path"] for root in service["roots"]}
    return Knowledge(tuple(client.environments(states=states)), service, roots=roots)


# What an index of an earlier version may not say (`messages.EnvironmentView`).
_UNSAID: View = {
    "state": "unknown",
    "since": 0.0,
    "reason": "",
    "hint": None,
    "turn": None,
    "file": "",
    "root": "",
    "format": None,
    "conda_environment": None,
    "image": None,
    "base_image": None,
    "recipe": None,
    "aliases": [],
    "image_id": None,
    "image_size": None,
    "image_created": None,
    "digest": None,
    "tags": [],
    "last_good": None,
    "registry": None,
    "registry_size": None,
    "registry_layers": None,
    "pushing": False,
    "warnings": [],
    "paused": False,
    "build": None,
}
