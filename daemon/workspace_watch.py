"""Keeps what is believed of the workspace true to its directory, which is looked at again and again."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from envkiln.cache.registered_version import RegisteredVersion
from envkiln.daemon.events import Event, Registered
from envkiln.daemon.version_views import tag_of
from envkiln.daemon.workspace import Contents, Workspace
from envkiln.daemon.workspace_files import WorkspaceError


class WorkspaceWatch:
    """Lives on the event loop. `contents` is what was read last, None before that.

    A workspace that cannot be read leaves what was read before: it is not known, and not empty.
    """

    def __init__(
        self, path: Path | None, post: Callable[[Event], None], changed: Callable[[], None], interval_s: float
    ) -> None:
        """`changed` is called after `contents` or `problems` have changed."""
        self.contents: Contents | None = None
        self._trouble: str | None = None
        self._workspace = Workspace(path) if path is not None else None
        self._post = post
        self._changed = changed
        self._interval_s = interval_s

    @property
    def versions(self) -> tuple[RegisteredVersion, ...]:
        """All versions that were read last."""
        return self.contents.versions if self.contents else ()

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the workspace, each a sentence."""
        damaged = tuple(f"workspace: {problem}" for problem in self.contents.problems) if self.contents else ()
        return (*((self._trouble,) if self._trouble else ()), *damaged)

    async def run(self) -> None:
        """Read until cancelled."""
        while self._workspace is not None:
            await self.look()
            await asyncio.sleep(self._interval_s)

    async def look(self) -> None:
        """Read the workspace now."""
        if self._workspace is None:
            return
        before = (self.contents, self._trouble)
        try:
            self.contents, self._trouble = await asyncio.to_thread(self._workspace.read), None
        except WorkspaceError as error:
            self._trouble = f"{error.message} ({error.hint})"
        if (self.contents, self._trouble) == before:
            return
        if self.contents is not None and self.contents != before[0]:
            self._post(Registered(_tags(self.contents)))
        self._changed()


def _tags(contents: Contents) -> dict[str, str]:
    """Return the image's name by tag, of versions that are not archived; the first by name has a tag."""
    tags: dict[str, str] = {}
    for version in contents.versions:
        if not version.archived:
            tags.setdefault(tag_of(version), version.image)
    return tags
