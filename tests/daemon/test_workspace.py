"""The workspace on disk: what is there is read, what is damaged is said, and what is not known is never empty."""

from pathlib import Path

import pytest
from versions import IMAGE, OTHER_IMAGE, version, workspace_of

from envkiln.daemon.config import Config, load_config
from envkiln.daemon.workspace import MARK, Workspace, registered_images
from envkiln.daemon.workspace_files import WorkspaceError


def config_with(workspace: Path | None) -> Config:
    flags = {} if workspace is None else {"workspace": workspace}
    return load_config(
        roots_from_flags=[], flags=flags, environ={}, user_file=Path("/nowhere.toml"), read=lambda _: None
    )


def test_versions_come_by_name_and_number(tmp_path: Path) -> None:
    made = [version("b", 2), version("b", 10), version("a", 1)]
    assert workspace_of(tmp_path, *made).versions() == (made[2], made[0], made[1])


def test_one_version_is_one_file_below_its_name(tmp_path: Path) -> None:
    workspace_of(tmp_path, version("b", 2))
    files = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(files) == [".gitignore", MARK, "versions/b/2.yml"]


def test_a_workspace_can_be_made_where_there_are_other_files(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n")
    (tmp_path / "README.md").write_text("mine\n")
    workspace_of(tmp_path, version("a"))
    assert workspace_of(tmp_path).versions() == (version("a"),)
    assert [(tmp_path / name).read_text() for name in (".gitignore", "README.md")] == ["mine\n"] * 2


def test_a_damaged_version_is_a_problem_and_the_others_are_there(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path, version("a"), version("b"))
    (tmp_path / "versions" / "a" / "1.yml").write_text("layout: 1\nname: [\n")
    contents = workspace.read()
    assert contents.versions == (version("b"),)
    assert [problem.place for problem in contents.problems] == ["versions/a/1.yml:3:1"]


def test_a_version_under_another_number_is_a_problem(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path, version("a"))
    (tmp_path / "versions" / "a" / "1.yml").rename(tmp_path / "versions" / "a" / "2.yml")
    assert "says that it is a:1" in str(workspace.read().problems[0])


def test_what_an_interrupted_write_left_behind_does_not_count(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path, version("a"))
    (tmp_path / "versions" / "a" / ".envkiln-1-2").write_text("half")
    assert workspace.read().versions == (version("a"),)
    assert not workspace.read().problems


def test_a_directory_without_the_mark_is_no_empty_workspace(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="there is no workspace"):
        Workspace(tmp_path).read()


def test_a_mark_of_a_later_envkiln_is_refused(tmp_path: Path) -> None:
    (tmp_path / MARK).write_text('{"envkiln_workspace": 2}')
    with pytest.raises(WorkspaceError, match="not that of a workspace which this envkiln can read"):
        Workspace(tmp_path).read()


def test_registered_images_are_those_of_versions_that_are_not_archived(tmp_path: Path) -> None:
    workspace_of(tmp_path, version("a"), version("b", image=OTHER_IMAGE, archived=True))
    assert registered_images(config_with(tmp_path)) == frozenset({IMAGE})


def test_without_a_workspace_nothing_is_registered() -> None:
    assert registered_images(config_with(None)) == frozenset()


def test_registered_images_are_not_known_without_the_directory_or_with_a_damaged_file(tmp_path: Path) -> None:
    assert registered_images(config_with(tmp_path / "absent")) is None
    workspace_of(tmp_path, version("a"))
    (tmp_path / "versions" / "a" / "1.yml").write_text("")
    assert registered_images(config_with(tmp_path)) is None
