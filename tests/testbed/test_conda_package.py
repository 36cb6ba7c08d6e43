"""Conda packages: reproducible archives, made from wheels."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
from conda_package import Package, console_scripts, from_wheel


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "My_Tool-1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("my_tool/__init__.py", "x = 1\n")
        archive.writestr("my_tool-1.2.dist-info/RECORD", "")
        archive.writestr("my_tool-1.2.dist-info/entry_points.txt", "[console_scripts]\nMy-Tool = my_tool:main\n")
    return path


def test_a_pure_wheel_becomes_a_noarch_package(wheel: Path) -> None:
    package = from_wheel(wheel, ["python >=3.8"], "3.11")
    assert (package.filename, package.subdir) == ("my-tool-1.2-py_0.tar.bz2", "noarch")
    assert package.entry_points == ["My-Tool = my_tool:main"]
    contents = {entry.path: entry.content for entry in package.entries}
    assert contents["site-packages/my_tool-1.2.dist-info/INSTALLER"] == b"conda\n"


def test_a_platform_wheel_is_bound_to_its_python(wheel: Path) -> None:
    binary = wheel.rename(wheel.with_name("my_tool-1.2-cp311-cp311-manylinux_2_17_x86_64.whl"))
    package = from_wheel(binary, [], "3.11")
    assert (package.subdir, package.depends) == ("linux-64", ["python 3.11.*"])


def test_the_same_content_gives_the_same_archive(wheel: Path, tmp_path: Path) -> None:
    package = from_wheel(wheel, [], "3.11")
    records = [write(package, tmp_path / name) for name in ("one", "two")]
    assert records[0] == records[1]


def test_the_archive_describes_itself(wheel: Path, tmp_path: Path) -> None:
    record = write(from_wheel(wheel, ["python"], "3.11"), tmp_path)
    archive = (tmp_path / "noarch/my-tool-1.2-py_0.tar.bz2").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = tar.extractfile("info/index.json")
        assert member is not None
        index = json.load(member)
    assert index.items() <= record.items()
    assert record["size"] == len(archive)


def test_a_project_without_commands_has_no_entry_points() -> None:
    assert console_scripts("[gui_scripts]\nwindow = a:b\n") == []


def write(package: Package, channel: Path) -> dict[str, object]:
    (channel / package.subdir).mkdir(parents=True)
    return package.write(channel)
