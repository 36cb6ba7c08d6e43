"""`name` and `render`: what they print, write and end with, without an engine."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "pytorch"
AZUREML_BASE = (
    "mcr.microsoft.com/azureml/intelmpi2018.3-ubuntu16.04:20200821.v1"
    "@sha256:8cee6f674276dddb23068d2710da7f7f95b119412cc482675ac79ba45a4acf99"
)
CONDA = "channels: [defaults]\ndependencies: [python=3.11]\n"
SECRET = "hush-hush"  # noqa: S105 -- what must not be seen

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "root"
    directory.mkdir()
    return directory


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _objects(lines: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines()]


def test_the_names_that_azure_ml_published(run: Run) -> None:
    code, out, _ = run("name", EXAMPLE, "--base-image", AZUREML_BASE)
    assert code == 0
    assert "conda environment  azureml_7459a71437df47401c6a369f49fbbdb6" in out
    assert "image              azureml/azureml_ae31c6ab58033c4e44c7369910eea717" in out


def test_the_named_text_of_the_example_hashes_to_its_name(run: Run, tmp_path: Path) -> None:
    code, _, _ = run("render", EXAMPLE, "--base-image", AZUREML_BASE, "--as-named", "-o", tmp_path / "out")
    assert code == 0
    text = (tmp_path / "out" / "azureml-environment-setup" / "Dockerfile").read_bytes()
    assert sha256(text).hexdigest()[:32] == "ae31c6ab58033c4e44c7369910eea717"


def test_a_v2_environment_has_the_version_that_it_gets_without_a_name(run: Run, root: Path) -> None:
    image = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1"
    _write(root / "conda.yml", (EXAMPLE / "env.yml").read_text())
    file = _write(root / "environment.yml", f"name: a\nimage: {image}\nconda_file: conda.yml\n")
    (found,) = _objects(run("name", file, "--json")[1])
    assert found["anonymous_version"] == "82ccd0b46ecf1f0933a5bbed4af8dca45dd1875ffdacf7ca883cb007ffaccc4c"
    assert "anonymous_version" not in _objects(run("name", EXAMPLE, "--json")[1])[0]


def test_a_file_its_directory_and_the_root_give_one_name(run: Run, root: Path) -> None:
    file = _write(root / "a" / "env.yml", CONDA)
    _write(root / "envkiln.toml", "")
    answers = {run("name", path)[1] for path in (file, file.parent, root)}
    assert len(answers) == 1
    assert next(iter(answers)).startswith("a (conda)\n")


def test_a_link_to_a_root_is_the_root(run: Run, root: Path, tmp_path: Path) -> None:
    _write(root / "a/env.yml", CONDA)
    (tmp_path / "link").symlink_to("root")
    assert run("name", tmp_path / "link", "--json") == run("name", root, "--json")
    assert run("name", tmp_path / "link" / "a", "--json") == run("name", root / "a", "--json")


def test_many_are_listed_by_id(run: Run, root: Path) -> None:
    for id_ in ("b", "a", "c/d"):
        _write(root / id_ / "env.yml", CONDA)
    code, out, _ = run("name", root, "--json")
    assert code == 0
    found = _objects(out)
    assert [it["environment"] for it in found] == ["a", "b", "c/d"]
    assert len({it["image"] for it in found}) == 1


def test_the_fields_of_json(run: Run, root: Path) -> None:
    file = _write(root / "a" / "env.yml", "name: mine\ndependencies: [six]\n")
    code, out, err = run("name", file, "--base-image", "base:1", "--json")
    assert code == 0
    (found,) = _objects(out)
    assert found.pop("image").startswith("azureml/azureml_")
    assert found.pop("conda_environment").startswith("azureml_")
    warnings = found.pop("warnings")
    assert found == {
        "environment": "a",
        "format": "conda",
        "file": "env.yml",
        "base_image": "base:1",
        "recipe": "azureml/1",
    }
    assert "python is not among the dependencies" in warnings[0]
    assert "python is not among the dependencies" in err


def test_a_name_needs_no_place_and_no_time(run: Run, root: Path) -> None:
    first = _write(root / "one" / "env.yml", CONDA)
    second = _write(root / "else" / "where" / "env.yml", f"# a remark\nname: other\n{CONDA}")
    names = {_objects(run("name", file, "--base-image", "base:1", "--json")[1])[0]["image"] for file in (first, second)}
    assert len(names) == 1


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("dependencies: six\n", "env.yml:1:", "`dependencies` must be a list", "line of its own"),
        (
            "dependencis: [six]\nchannels: [x]\n",
            "env.yml:1:1",
            "unknown dependencis key",
            "did you mean 'dependencies'",
        ),
        ("dependencies:\n  - six\n  - pip:\n", "env.yml:3:", "`pip:` has no packages", "or remove the line"),
        ("dependencies: [six\n", "env.yml:", "", ""),
        ("dependencies: [six]\ndependencies: [six]\n", "env.yml:2:", "dependencies", ""),
    ],
)
def test_an_invalid_definition(run: Run, root: Path, text: str, place: str, message: str, hint: str) -> None:
    file = _write(root / "env.yml", text)
    code, out, err = run("name", file)
    assert (code, out) == (1, "")
    assert err.startswith(f"envkiln: {place}")
    assert message in err
    assert hint in err.splitlines()[1]

    code, out, _ = run("name", file, "--json")
    assert code == 1
    (found,) = _objects(out)
    assert found["file"] == "env.yml"
    assert message in found["error"]["message"]
    assert found["error"]["place"].startswith(place)
    assert found["error"]["hint"]

    code, _, err = run("render", file, "-o", root / "out")
    assert code == 1
    assert err.startswith(f"envkiln: {place}")
    assert not (root / "out").exists()


def test_one_that_is_invalid_does_not_hide_the_others(run: Run, root: Path) -> None:
    _write(root / "bad" / "env.yml", "dependencies: six\n")
    _write(root / "good" / "env.yml", CONDA)
    code, out, err = run("name", root)
    assert code == 1
    assert out.startswith("good (conda)\n")
    assert "bad/env.yml:1:" in err


def test_a_file_with_another_name_that_somebody_names(run: Run, root: Path) -> None:
    file = _write(root / "requirements-dev.txt", "six\n")
    code, out, _ = run("name", file)
    assert code == 0
    assert out.startswith("requirements-dev.txt (requirements)\n")


def test_no_definition_there(run: Run, root: Path) -> None:
    for path, message in ((root, "no environment is defined in"), (root / "none", "does not exist")):
        code, _, err = run("name", path)
        assert code == 1
        assert message in err
        assert len(err.splitlines()) == 2, "a message and a hint"
    code, _, err = run("name", _write(root / "pyproject.toml", "[project]\n"))
    assert code == 1
    assert err


def test_render_writes_the_setup_content_and_wants_one_environment(run: Run, root: Path, tmp_path: Path) -> None:
    file = _write(root / "a" / "env.yml", CONDA)
    out = tmp_path / "setup"
    code, said, _ = run("render", file, "-o", out)
    assert code == 0
    assert said == f"Saving setup content into {out}\n"
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()) == [
        "azureml-environment-setup/99brokenproxy",
        "azureml-environment-setup/Dockerfile",
        "azureml-environment-setup/log4j.properties",
        "azureml-environment-setup/mutated_conda_dependencies.yml",
        "azureml-environment-setup/spark_cache.py",
    ]
    once = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert run("render", file, "-o", out)[0] == 0, "again into what it wrote"
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == once

    _write(root / "b" / "env.yml", CONDA)
    code, _, err = run("render", root, "-o", out)
    assert code == 1
    assert "holds 2 environments" in err
    assert "choose one of a, b" in err


@pytest.mark.parametrize(
    "text",
    [
        f"channels: ['https://me:{SECRET}@conda.example.com/x']\ndependencies: [python]\n",
        f"channels: ['https://conda.example.com/t/{SECRET}/x']\ndependencies: [python]\n",
        f"dependencies:\n  - pip:\n    - --index-url https://me:{SECRET}@example.com/simple\n    - '{{{{ x }}}}'\n",
        f"dependencies:\n  - pip:\n    - https://me:{SECRET}@example.com/{{{{x}}}}.whl\n",
        f"dependencies:\n  - pip:\n    - -r https://me:{SECRET}@example.com/<x>\n",
        f"dependencies:\n  - pip:\n    - -e https://me:{SECRET}@example.com/\n    - [1]\n",
        f"dependencies: https://me:{SECRET}@example.com/x\n",
        f'dependencies:\n  - pip:\n    - -r "https://me:{SECRET}@example.com/ \'x"\n',
    ],
)
def test_secrets_are_in_no_output(run: Run, root: Path, text: str) -> None:
    file = _write(root / "env.yml", text)
    for words in (("name", file), ("name", file, "--json"), ("render", file, "-o", root / "out")):
        _, out, err = run(*words)
        assert SECRET not in out + err


def test_a_credential_that_an_image_would_have_is_warned_of_and_not_said(run: Run, root: Path, tmp_path: Path) -> None:
    _write(root / "envkiln.toml", 'builder = "classic"\n')
    _write(root / "env.yml", f"channels: ['https://host/t/{SECRET}/c']\ndependencies: [python]\n")
    told = "env.yml:1: the token of a channel becomes part of the image, as the classic builder has no secrets"
    code, out, err = run("name", root)
    assert (code, told in err, SECRET in out + err) == (0, True, False)
    code, out, err = run("name", root, "--json")
    (warning,) = _objects(out)[0]["warnings"]
    assert warning.startswith(told)
    code, out, err = run("render", root, "-o", tmp_path / "out")
    assert (code, told in err, SECRET in out + err) == (0, True, False)
