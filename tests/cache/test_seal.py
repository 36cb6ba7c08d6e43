"""What a build with credentials is made of, and the program that looks whether one stayed."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from envkiln.cache.context import ContextEntry, SetupContent
from envkiln.cache.credentials import Carrier, Credential
from envkiln.cache.definition import ImageReference
from envkiln.cache.dockerfile import Dialect
from envkiln.cache.errors import EnvkilnError
from envkiln.cache.formats import read_definition
from envkiln.cache.identity import identify
from envkiln.cache.scrub import scrub_program
from envkiln.cache.setup_content import setup_content
from envkiln.cache.source import MemoryTree

_SETUP = "azureml-environment-setup"
_SPECIFICATION = f"{_SETUP}/mutated_conda_dependencies.yml"


def _built(files: dict[str, str], dialect: Dialect = Dialect.BUILDKIT, *, ca: bool = False) -> SetupContent:
    definition = read_definition(MemoryTree({path: text.encode() for path, text in files.items()}), "env.yml")
    return setup_content(definition, identify(definition, ImageReference.parse("base:1")), dialect, ca_bundle=ca)


def _entry(content: SetupContent, path: str) -> ContextEntry:
    return next(entry for entry in content.entries if entry.path == path)


def _text(entry: ContextEntry) -> str:
    assert entry.data is not None
    return entry.data.decode()


_FILES = {
    "env.yml": yaml.safe_dump(
        {
            "channels": ["https://host/t/canary/c"],
            "dependencies": ["python", "pip", {"pip": ["-r a/more.txt", "-r plain.txt"]}],
            "variables": {"TOKEN": "canary", "MODE": "fast"},
        }
    ),
    "a/more.txt": "-i https://user:canary@host/simple\nidna\n",
    "plain.txt": "six\n",
}


def test_files_with_a_credential_are_secrets_and_the_context_has_none() -> None:
    content = _built(_FILES)
    assert not [entry.path for entry in content.entries if entry.data is not None and b"canary" in entry.data]
    assert _entry(content, f"{_SETUP}/files/a/more.txt").source is None
    assert _entry(content, f"{_SETUP}/files/plain.txt").source == "plain.txt"
    secrets = {entry.path: entry for entry in content.secrets}
    assert secrets.keys() == {"envkiln-specification", "envkiln-file-0", "envkiln-scrub"}
    assert secrets["envkiln-file-0"].source == "a/more.txt"
    real = yaml.safe_load(_text(secrets["envkiln-specification"]))
    shown = yaml.safe_load(_text(_entry(content, _SPECIFICATION)))
    assert real["channels"] == ["https://host/t/canary/c"]
    assert real["variables"] == shown["variables"] == {"MODE": "fast"}
    assert shown == {**real, "channels": ["https://host/t/***/c"]}


@pytest.mark.parametrize("ca", [False, True])
def test_the_create_step_asks_for_the_secrets_and_has_no_shared_cache(ca: bool) -> None:
    content = _built(_FILES, ca=ca)
    (create,) = (line for line in _text(_entry(content, content.dockerfile)).splitlines() if "conda env create" in line)
    assert "type=cache" not in create
    assert f"--mount=type=secret,id=envkiln-specification,target=/{_SPECIFICATION},required=true " in create
    assert f"--mount=type=secret,id=envkiln-file-0,target=/{_SETUP}/a/more.txt,required=true " in create
    assert ("--mount=type=secret,id=envkiln-ca " in create) is ca
    assert create.index("conda env create") < create.index("python3 /run/secrets/envkiln-scrub")


def test_a_variable_alone_is_left_out_and_needs_no_secret() -> None:
    content = _built({"env.yml": "dependencies: [python]\nvariables: {TOKEN: canary-1, MODE: fast}\n"})
    assert content.secrets == ()
    assert yaml.safe_load(_text(_entry(content, _SPECIFICATION)))["variables"] == {"MODE": "fast"}
    assert "type=cache" in _text(_entry(content, content.dockerfile))


def test_the_classic_builder_has_no_secrets_and_builds_the_text_as_it_is() -> None:
    content = _built(_FILES, Dialect.CLASSIC)
    assert content.secrets == ()
    assert yaml.safe_load(_text(_entry(content, _SPECIFICATION)))["variables"] == {"TOKEN": "canary", "MODE": "fast"}


def test_a_file_whose_name_cannot_be_mounted_is_refused() -> None:
    files = {"env.yml": "dependencies:\n- pip\n- pip:\n  - -r 'a,b.txt'\n", "a,b.txt": _FILES["a/more.txt"]}
    with pytest.raises(EnvkilnError, match="cannot be mounted"):
        _built(files)


_FOUND = Credential("reader:canary-long-enough", "", "env.yml", 1, Carrier.SPECIFICATION, after="@")
_SHORT = Credential("python", "", "env.yml", 1, Carrier.SPECIFICATION, before="/t/")


def _scrub(place: Path, *credentials: Credential, mounted: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    program = place.parent / "program"
    program.write_bytes(scrub_program(credentials, [str(place)], mounted))
    return subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=False)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    made = tmp_path / "environment"
    for name in ("conda-meta", "lib/x.dist-info", "src/x/.git"):
        (made / name).mkdir(parents=True)
    return made


def test_notes_are_cleaned_and_nothing_else_is_touched(place: Path) -> None:
    note = '{"url": "https://reader:canary-long-enough@host/python.conda", "channel": "https://host/t/python/c"}'
    notes = [place / path for path in ("conda-meta/x.json", "lib/x.dist-info/direct_url.json", "src/x/.git/config")]
    for path in notes:
        path.write_text(note)
    (place / "lib" / "other.py").write_text("see /t/python")
    done = _scrub(place, _FOUND, _SHORT)
    assert (done.returncode, done.stderr) == (0, "")
    for path in notes:
        assert path.read_text() == '{"url": "https://***host/python.conda", "channel": "https://host***/c"}'
    assert (place / "lib" / "other.py").read_text() == "see /t/python"


def test_a_credential_in_another_file_fails_the_build_and_is_not_said(place: Path) -> None:
    (place / "lib" / "kept.bin").write_bytes(b"\0https://reader:canary-long-enough@host\0")
    done = _scrub(place, _FOUND)
    assert done.returncode == 1
    assert f"{place}/lib/kept.bin holds a credential" in done.stderr
    assert "canary" not in done.stderr


def test_a_mounted_file_is_no_part_of_the_image(place: Path) -> None:
    path = place / "specification.yml"
    path.write_text("https://reader:canary-long-enough@host")
    assert _scrub(place, _FOUND, mounted=(str(path),)).returncode == 0
    assert "canary" in path.read_text()
