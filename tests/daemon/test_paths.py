"""Where things are kept, and that nobody else can put theirs there."""

import os
import stat
import sys
from pathlib import Path

import pytest

from envkiln.daemon.paths import Paths, PathsError, paths_from

HOME = {"HOME": "/home/ada"}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_without_variables_everything_is_below_home() -> None:
    paths = paths_from(HOME)

    assert paths.state == Path("/home/ada/.local/state/envkiln")
    assert paths.socket == paths.state / "run/envkiln.sock"
    assert paths.config_file == Path("/home/ada/.config/envkiln/envkiln.toml")
    assert (paths.logs, paths.index) == (paths.state / "logs", paths.state / "index-v1")


def test_xdg_variables_move_things() -> None:
    paths = paths_from({**HOME, "XDG_RUNTIME_DIR": "/run/user/7", "XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s"})

    assert paths.socket == Path("/run/user/7/envkiln/envkiln.sock")
    assert (paths.state, paths.config_file) == (Path("/s/envkiln"), Path("/c/envkiln/envkiln.toml"))


def test_a_relative_xdg_variable_counts_as_not_set() -> None:
    assert paths_from({**HOME, "XDG_STATE_HOME": "s", "XDG_RUNTIME_DIR": "", "XDG_CONFIG_HOME": "."}) == (
        paths_from(HOME)
    )


def test_the_state_directory_can_be_chosen_and_must_be_absolute() -> None:
    assert paths_from({**HOME, "ENVKILN_STATE_DIR": "/data/x/../kiln/"}).index == Path("/data/kiln/index-v1")
    with pytest.raises(PathsError, match="not an absolute path"):
        paths_from({**HOME, "ENVKILN_STATE_DIR": "kiln"})


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere platformdirs has other places")
def test_the_places_are_those_of_platformdirs(monkeypatch: pytest.MonkeyPatch) -> None:
    import platformdirs  # noqa: PLC0415 -- where it is a stand-in for the specification

    for variable in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", "/home/ada")

    assert paths_from(HOME).state == platformdirs.user_state_path("envkiln") == paths_from({}).state
    assert paths_from(HOME).config_file.parent == platformdirs.user_config_path("envkiln")
    assert paths_from({}).config_file == paths_from(HOME).config_file


@pytest.mark.parametrize("variable", ["ENVKILN_STATE_DIR", "XDG_RUNTIME_DIR"])
def test_a_socket_path_that_is_too_long_is_replaced_by_a_short_one(variable: str) -> None:
    def socket(directory: str) -> Path:
        return paths_from({**HOME, variable: directory, "TMPDIR": "/tmp"}, uid=7).socket

    longest = "/" + "d" * (107 - len("/run/envkiln.sock" if "STATE" in variable else "/envkiln/envkiln.sock") - 1)
    assert len(os.fsencode(socket(longest))) == 107
    assert socket(longest).is_relative_to(longest)
    short = socket(longest + "d")
    assert short.parent == Path("/tmp/envkiln-7")
    assert short == socket(longest + "d")
    assert short != socket(longest + "e")
    # The limit is in bytes, not in characters.
    assert socket("/" + "ü" * 50).parent == Path("/tmp/envkiln-7")


def test_a_long_temporary_directory_is_not_used_for_the_socket() -> None:
    paths = paths_from({"ENVKILN_STATE_DIR": "/" + "d" * 200, "HOME": "/h", "TMPDIR": "/" + "t" * 100}, uid=7)

    assert paths.socket.parent == Path("/tmp/envkiln-7")


def test_directories_are_made_for_the_user_alone_whatever_the_umask(tmp_path: Path) -> None:
    paths = paths_from({"HOME": str(tmp_path), "ENVKILN_STATE_DIR": str(tmp_path / "a/b"), "XDG_RUNTIME_DIR": ""})
    before = os.umask(0)
    try:
        paths.ensure()
        paths.ensure()
    finally:
        os.umask(before)

    assert [mode(path) for path in (paths.state, paths.runtime, paths.logs, paths.index)] == [0o700] * 4


def test_directories_of_ours_that_are_too_open_are_tightened(tmp_path: Path) -> None:
    paths = Paths(tmp_path, tmp_path / "run/envkiln.sock", tmp_path / "c")
    paths.index.mkdir()
    paths.index.chmod(0o755)
    paths.ensure()

    assert mode(paths.index) == 0o700


def test_a_state_directory_that_others_may_write_is_refused_and_not_changed(tmp_path: Path) -> None:
    state = tmp_path / "shared"
    state.mkdir()
    state.chmod(0o777)
    with pytest.raises(PathsError, match="may be written by other users"):
        Paths(state, state / "run/envkiln.sock", tmp_path / "c").ensure()

    assert mode(state) == 0o777


def test_a_link_in_place_of_the_runtime_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to(tmp_path)
    with pytest.raises(PathsError, match="is not a directory"):
        Paths(tmp_path, tmp_path / "run/envkiln.sock", tmp_path / "c").ensure()


def test_a_directory_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(tmp_path / "s", tmp_path / "run/envkiln.sock", tmp_path / "c")
    paths.ensure()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(PathsError, match="belongs to user"):
        paths.ensure()


def test_a_directory_that_cannot_be_made_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PathsError, match=f"{tmp_path}/file/state cannot be made"):
        Paths(tmp_path / "file/state", tmp_path / "s", tmp_path / "c").ensure()
