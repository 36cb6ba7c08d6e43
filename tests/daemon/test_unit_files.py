"""What the units say for one installation."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from envkiln.daemon.paths import SYSTEM, asks_the_machines, paths_from
from envkiln.daemon.unit_files import Whose, is_ours, quoted, rendered, unit_files
from envkiln.daemon.unit_install import program_words, wanted_texts

PROGRAM = ("/home/ada/my tools/bin/envkiln",)
HOME = {"HOME": "/home/ada"}


def text_of(whose: Whose, name: str, environ: dict[str, str]) -> str:
    texts = {file.path.name: text for file, text in wanted_texts(whose, environ, PROGRAM).items()}
    return texts[name]


def values(text: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def test_a_users_units_go_where_the_user_has_units() -> None:
    directory = Path("/home/ada/.config/systemd/user")
    expected = [directory / "envkiln.service", directory / "envkiln.socket"]
    assert [file.path for file in unit_files(Whose.USER, HOME)] == expected
    elsewhere = unit_files(Whose.USER, {**HOME, "XDG_CONFIG_HOME": "/etc/ada"})
    assert elsewhere[0].path == Path("/etc/ada/systemd/user/envkiln.service")


def test_every_file_of_the_folder_has_a_use() -> None:
    used = {file.source for whose in Whose for file in unit_files(whose, HOME)}
    there = {entry.name for entry in files("envkiln.systemd").iterdir() if not entry.name.startswith("__")}
    assert there == used | {"drop-in.conf"}


def test_the_program_is_the_one_that_installs() -> None:
    text = text_of(Whose.USER, "envkiln.service", HOME)
    assert values(text, "ExecStart") == ['"/home/ada/my tools/bin/envkiln" up --plain']


def test_the_script_beside_the_interpreter_is_started_or_else_the_module(tmp_path: Path) -> None:
    python = str(tmp_path / "python3")
    assert program_words(python) == (python, "-m", "envkiln.daemon")
    script = tmp_path / "envkiln"
    script.touch(mode=0o755)
    assert program_words(python) == (str(script),)


def test_where_the_users_shell_has_its_things_the_service_has_them_too() -> None:
    environ = {
        **HOME,
        "ENVKILN_STATE_DIR": "/data/50% used",
        "DOCKER_HOST": "tcp://engine:2375",
        "ENVKILN_WEB_PORT": "1",
    }
    text = text_of(Whose.USER, "envkiln.service", environ)
    assert values(text, "Environment") == ['"ENVKILN_STATE_DIR=/data/50%% used"', "DOCKER_HOST=tcp://engine:2375"]


def test_the_machines_service_has_the_places_that_its_clients_ask_at() -> None:
    text = text_of(Whose.SYSTEM, "envkiln.service", {**HOME, "DOCKER_HOST": "tcp://engine:2375"})
    assert [set(line.split()) for line in values(text, "Environment")] == [{f"{k}={v}" for k, v in SYSTEM.items()}]
    paths = paths_from(SYSTEM)
    assert values(text_of(Whose.SYSTEM, "envkiln.socket", HOME), "ListenStream") == [str(paths.socket)]
    assert paths.state == Path("/var/lib") / values(text, "StateDirectory")[0]
    assert paths.config_file == Path("/etc/envkiln/envkiln.toml")
    assert asks_the_machines(SYSTEM)
    assert not asks_the_machines(HOME)


def test_a_users_socket_is_where_its_clients_ask() -> None:
    text = text_of(Whose.USER, "envkiln.socket", HOME)
    (place,) = values(text, "ListenStream")
    assert place.replace("%t", "/run/user/7") == str(paths_from({**HOME, "XDG_RUNTIME_DIR": "/run/user/7"}).socket)


def test_what_we_wrote_is_known_again() -> None:
    assert all(is_ours(text) for text in wanted_texts(Whose.SYSTEM, HOME, PROGRAM).values())
    assert not is_ours("[Service]\nExecStart=envkiln up --plain\n")
    assert rendered("a\n", Whose.USER, PROGRAM, {}).splitlines()[1:] == ["a"]


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("/usr/bin/envkiln", "/usr/bin/envkiln"),
        ("/a b", '"/a b"'),
        ("100%", '"100%%"'),
        ("$HOME", '"$$HOME"'),
        ('say "x"', '"say \\"x\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("it's", '"it\'s"'),
        ("", '""'),
    ],
)
def test_words_are_written_as_systemd_reads_them(word: str, written: str) -> None:
    assert quoted(word) == written


def test_a_line_break_cannot_add_a_line_to_a_unit() -> None:
    with pytest.raises(ValueError, match="cannot stand in a unit"):
        quoted("/tmp\nExecStartPre=/bin/rm")
