"""The commands about registered versions: what they print and write, and what they end with."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from envkiln.daemon.version_labels import label_version
from envkiln.daemon.workspace import Workspace

BASE = "base:1@sha256:" + "1" * 64

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def envs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of environments, and a workspace that the commands find."""
    monkeypatch.setenv("ENVKILN_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("ENVKILN_BASE_IMAGE", BASE)
    Workspace.create(tmp_path / "workspace")
    save(tmp_path / "envs", "numpy")
    return tmp_path / "envs"


def save(envs: Path, package: str, file: str = "pytorch/env.yml") -> None:
    path = envs / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"dependencies:\n- python=3.11\n- {package}\n")


def test_register_says_the_version_and_what_was_done(run: Run, envs: Path) -> None:
    assert run("register", envs / "pytorch")[1].startswith("pytorch:1 registered azureml/azureml_")
    assert run("register", envs / "pytorch")[1].startswith("pytorch:1 unchanged ")
    save(envs, "scipy")
    code, out, _ = run("register", envs / "pytorch", "--json", "--description", "with scipy")
    assert code == 0
    said = json.loads(out)
    assert (said["change"], said["reference"], said["latest"]) == ("registered", "pytorch:2", True)
    assert said["description"] == "with scipy"


def test_the_registered_image_is_that_of_name(run: Run, envs: Path) -> None:
    named = json.loads(run("name", envs / "pytorch", "--json")[1])
    registered = json.loads(run("register", envs / "pytorch", "--json")[1])
    assert registered["image"] == named["image"]
    assert registered["conda_environment"] == named["conda_environment"]
    assert registered["base_image"] == BASE


def test_versions_lists_what_is_not_archived(run: Run, envs: Path) -> None:
    for package in ("numpy", "scipy"):
        save(envs, package)
        run("register", envs / "pytorch")
    run("register", envs / "pytorch", "--name", "Other")
    assert run("archive", "pytorch:1")[1] == "pytorch:1 is archived\n"
    listed = [line.split()[:2] for line in run("versions")[1].splitlines()]
    assert listed == [["Other:1", "latest"], ["pytorch:2", "latest"]]
    assert [line.split()[0] for line in run("versions", "pytorch", "--archived")[1].splitlines()] == [
        "pytorch:1",
        "pytorch:2",
    ]
    said = json.loads(run("versions", "--json", "--archived")[1])
    assert [(it["reference"], it["tag"]) for it in said["versions"]] == [
        ("Other:1", "other:1"),
        ("pytorch:1", "pytorch:1"),
        ("pytorch:2", "pytorch:2"),
    ]
    assert run("archive", "pytorch:1", "--restore")[1] == "pytorch:1 is not archived\n"


def test_a_name_that_is_not_registered_has_no_list(run: Run, envs: Path) -> None:
    assert envs.exists()
    code, _, err = run("versions", "absent")
    assert code == 6
    assert "no environment 'absent' is registered" in err


def test_show_takes_a_name_a_number_or_the_label(run: Run, envs: Path) -> None:
    run("register", envs / "pytorch")
    for reference in ("pytorch", "pytorch:1", "pytorch@latest"):
        code, out, _ = run("show", reference, "--json")
        assert code == 0
        said = json.loads(out)
        assert said["reference"] == "pytorch:1"
        assert said["files"][0]["text"] == (envs / "pytorch" / "env.yml").read_text()
    text = run("show", "pytorch")[1]
    assert "base image         base:1@sha256:" in text
    assert "    - python=3.11\n" in text


def test_a_label_stands_for_its_version_until_it_moves(run: Run, envs: Path) -> None:
    run("register", envs / "pytorch")
    save(envs, "scipy")
    run("register", envs / "pytorch")
    workspace = Workspace(envs.parent / "workspace")
    label_version(workspace, "pytorch", 1, ["prod"])
    assert json.loads(run("show", "pytorch@prod", "--json")[1])["reference"] == "pytorch:1"
    label_version(workspace, "pytorch", 2, ["prod"])
    assert json.loads(run("show", "pytorch@prod", "--json")[1])["reference"] == "pytorch:2"
    (workspace.path / "labels" / "pytorch.json").write_text("[]")
    code, _, err = run("show", "pytorch@prod")
    assert code == 1
    assert "labels/pytorch.json:1: this is not a file of labels" in err


@pytest.mark.parametrize(
    ("reference", "code", "says"),
    [
        ("absent", 6, "no environment 'absent' is registered"),
        ("pytorch:9", 6, "pytorch has no version 9"),
        ("pytorch:x", 1, "'x' is not a version"),
        ("pytorch:0", 1, "0 is not a version"),
        ("pytorch@prod", 6, "pytorch has no label 'prod'"),
        ("pytorch@a b", 1, "'a b' is not a label"),
        ("../x", 1, "'../x' is not a name"),
    ],
)
def test_what_cannot_be_shown_says_what_to_do(run: Run, envs: Path, reference: str, code: int, says: str) -> None:
    run("register", envs / "pytorch")
    ended, _, err = run("show", reference)
    assert ended == code
    assert says in err
    assert len(err.splitlines()) == 2


def test_a_damaged_version_is_said_with_its_line_and_the_others_are_listed(run: Run, envs: Path) -> None:
    run("register", envs / "pytorch")
    run("register", envs / "pytorch", "--name", "other")
    (envs.parent / "workspace" / "versions" / "other" / "1.yml").write_text("layout: 1\nname: [\n")
    code, out, err = run("versions")
    assert code == 1
    assert out.startswith("pytorch:1")
    assert "versions/other/1.yml:3:1: " in err
    assert json.loads(run("versions", "--json")[1])["problems"][0]["place"] == "versions/other/1.yml:3:1"


def test_a_workspace_that_is_not_there_is_the_surroundings_turn_and_create_makes_it(
    run: Run, envs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ENVKILN_WORKSPACE", str(tmp_path / "new"))
    code, _, err = run("register", envs / "pytorch")
    assert code == 4
    assert "--create" in err
    assert run("register", envs / "pytorch", "--create")[0] == 0
    assert run("versions")[1].startswith("pytorch:1")


def test_without_a_workspace_the_setting_is_named(run: Run, envs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENVKILN_WORKSPACE")
    code, _, err = run("register", envs / "pytorch")
    assert code == 1
    assert "--workspace" in err


def test_a_broken_definition_a_bad_name_and_several_environments_register_nothing(run: Run, envs: Path) -> None:
    save(envs, "numpy", "other/env.yml")
    assert "holds 2 environments" in run("register", envs)[2]
    assert "is not a name to register by" in run("register", envs / "pytorch", "--name", "a b")[2]
    (envs / "pytorch" / "env.yml").write_text("dependencies: [\n")
    code, _, err = run("register", envs / "pytorch")
    assert code == 1
    assert "env.yml:2:1" in err
    assert run("versions") == (0, "", "")


def test_a_number_can_be_asked_for_where_it_rises(run: Run, envs: Path) -> None:
    assert run("register", envs / "pytorch", "--version", "5")[1].startswith("pytorch:5 registered")
    save(envs, "scipy")
    code, _, err = run("register", envs / "pytorch", "--version", "3")
    assert code == 1
    assert "3 is lower than 5" in err
    assert run("register", envs / "pytorch")[1].startswith("pytorch:6 registered")


def test_an_unknown_digest_is_said_and_the_version_stands(
    run: Run, envs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ENVKILN_BASE_IMAGE", "base:1")
    code, out, err = run("register", envs / "pytorch", "--docker-host", f"unix://{tmp_path}/no.sock")
    assert code == 0
    assert out.startswith("pytorch:1 registered")
    assert "the digest of base:1 is not known" in err


def test_a_checkout_has_the_files_as_they_were_registered(run: Run, envs: Path, tmp_path: Path) -> None:
    text = "# why\n" + (envs / "pytorch" / "env.yml").read_text()
    (envs / "pytorch" / "env.yml").write_text(text)
    image = json.loads(run("register", envs / "pytorch", "--json")[1])["image"]
    save(envs, "scipy")
    run("register", envs / "pytorch")
    code, out, _ = run("checkout", "pytorch:1", tmp_path / "back")
    assert (code, out) == (0, f"pytorch:1 in {tmp_path}/back/env.yml\n")
    assert (tmp_path / "back" / "env.yml").read_text() == text
    assert json.loads(run("name", tmp_path / "back", "--json")[1])["image"] == image
    again = json.loads(run("register", tmp_path / "back", "--name", "pytorch", "--json")[1])
    assert (again["reference"], again["image"]) == ("pytorch:3", image)


def test_a_checkout_without_a_directory_is_called_like_the_environment(
    run: Run, envs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run("register", envs / "pytorch", "--name", "mine")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert run("checkout", "mine")[1] == "mine:1 in mine/env.yml\n"


def test_a_build_context_is_checked_out_with_its_modes_and_links(run: Run, envs: Path, tmp_path: Path) -> None:
    source = envs / "web"
    (source / "empty").mkdir(parents=True)
    (source / "Dockerfile").write_text("FROM base:1\nCOPY . /\n")
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o755)
    (source / "data.bin").write_bytes(b"\0\xff")
    (source / "link").symlink_to("data.bin")
    image = json.loads(run("register", source, "--json")[1])["image"]
    assert run("checkout", "web", tmp_path / "back")[0] == 0
    assert json.loads(run("name", tmp_path / "back", "--json")[1])["image"] == image
    assert (tmp_path / "back" / "data.bin").read_bytes() == b"\0\xff"
    code, out, _ = run("export", "web", "-o", tmp_path / "v2")
    assert (code, out) == (0, f"web:1 in {tmp_path}/v2/environment.yml\n")
    assert json.loads(run("name", tmp_path / "v2", "--json")[1])["image"] == image


@pytest.mark.parametrize("target", ["v1", "v2", "conda"])
def test_an_export_is_read_with_the_name_that_was_registered(run: Run, envs: Path, tmp_path: Path, target: str) -> None:
    image = json.loads(run("register", envs / "pytorch", "--json")[1])["image"]
    assert run("export", "pytorch:1", "--to", target, "-o", tmp_path / "out")[0] == 0
    assert json.loads(run("name", tmp_path / "out", "--json")[1])["image"] == image


def test_an_export_of_one_file_is_printed(run: Run, envs: Path) -> None:
    run("register", envs / "pytorch")
    assert run("export", "pytorch", "--to", "conda") == (
        0,
        "dependencies:\n- python=3.11\n- numpy\nname: pytorch\n",
        "",
    )
    code, _, err = run("export", "pytorch", "--to", "v1")
    assert code == 2
    assert "-o DIRECTORY" in err


def test_nothing_is_written_into_a_directory_with_files(run: Run, envs: Path) -> None:
    run("register", envs / "pytorch")
    for command in (("checkout", "pytorch", envs), ("export", "pytorch", "-o", envs)):
        code, _, err = run(*command)
        assert code == 1
        assert "is not an empty directory" in err
    assert sorted(path.name for path in envs.iterdir()) == ["pytorch"]
