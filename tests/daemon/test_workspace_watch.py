"""What a service believes of its workspace follows the directory, and a directory that is gone empties nothing."""

import asyncio
from pathlib import Path

from versions import IMAGE, OTHER_IMAGE, version, workspace_of

from envkiln.daemon.events import Event, Registered
from envkiln.daemon.workspace_watch import WorkspaceWatch


class Watched:
    """A watch, what it posted, and how often it said that something changed."""

    def __init__(self, path: Path | None) -> None:
        self.events: list[Event] = []
        self.changes = 0
        self.watch = WorkspaceWatch(path, self.events.append, self._changed, 0.01)
        self.path = path

    def _changed(self) -> None:
        self.changes += 1

    def look(self) -> None:
        asyncio.run(self.watch.look())


def test_it_tells_the_tags_of_versions_that_are_not_archived_once(tmp_path: Path) -> None:
    workspace_of(tmp_path, version("PyTorch", 2), version("b", 1, OTHER_IMAGE, archived=True))
    watched = Watched(tmp_path)
    watched.look()
    watched.look()
    assert watched.events == [Registered({"pytorch:2": IMAGE})]
    assert watched.changes == 1


def test_a_version_more_is_told_at_the_next_look(tmp_path: Path) -> None:
    workspace_of(tmp_path, version("a", 1))
    watched = Watched(tmp_path)
    watched.look()
    workspace_of(tmp_path, version("a", 2, OTHER_IMAGE))
    watched.look()
    assert watched.events[-1] == Registered({"a:1": IMAGE, "a:2": OTHER_IMAGE})
    assert watched.watch.versions == (version("a", 1), version("a", 2, OTHER_IMAGE))


def test_of_two_names_with_one_tag_the_first_has_it(tmp_path: Path) -> None:
    workspace_of(tmp_path, version("a", 1, OTHER_IMAGE), version("A", 1))
    watched = Watched(tmp_path)
    watched.look()
    assert watched.events == [Registered({"a:1": IMAGE})]


def test_a_workspace_that_goes_is_a_problem_and_leaves_what_was_known(tmp_path: Path) -> None:
    workspace_of(tmp_path / "workspace", version("a"))
    watched = Watched(tmp_path / "workspace")
    watched.look()
    (tmp_path / "workspace").rename(tmp_path / "away")
    watched.look()
    assert watched.watch.versions == (version("a"),)
    assert "there is no workspace at" in watched.watch.problems[0]
    (tmp_path / "away").rename(tmp_path / "workspace")
    watched.look()
    assert watched.watch.problems == ()
    assert watched.events == [Registered({"a:1": IMAGE})]


def test_a_damaged_version_is_a_problem_with_its_line(tmp_path: Path) -> None:
    workspace_of(tmp_path, version("a"), version("b"))
    (tmp_path / "versions" / "a" / "1.yml").write_text("<<<<<<< ours\n")
    watched = Watched(tmp_path)
    watched.look()
    assert watched.watch.problems[0].startswith("workspace: versions/a/1.yml:1:1: ")
    assert watched.watch.versions == (version("b"),)


def test_without_a_workspace_there_is_nothing_to_do() -> None:
    watched = Watched(None)
    asyncio.run(watched.watch.run())
    assert watched.events == []
