"""Which engine is used, what is said when there is none, and what `clean` removes from one that stays."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from base_image import remove_images
from debian import sysroot_environment
from engine import PrivateEngine, provide_engine
from layout import Layout
from steps import TestbedError


class Store:
    """The images of an engine: each may be the parent of others, which must go first."""

    def __init__(self, parents: dict[str, str], used: str = "") -> None:
        self.parents = parents
        self.used = used

    def images_with_label(self, label: str) -> list[str]:
        assert label.startswith("envkiln.testbed=")
        return sorted(self.parents)

    def remove_image(self, name: str) -> None:
        if name != self.used and name not in self.parents.values():
            del self.parents[name]


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    layout = Layout(tmp_path / "work")
    layout.create()
    yield layout
    layout.run_directory().rmdir()


def removed(layout: Layout, store: Store) -> str:
    return remove_images(layout, cast("Any", SimpleNamespace(api=store, host="here")))


def test_a_parent_is_removed_after_its_children(layout: Layout) -> None:
    store = Store({"a": "", "b": "a", "c": "b"})
    assert removed(layout, store) == "3 removed from here"
    assert not store.parents


def test_an_image_in_use_stays(layout: Layout) -> None:
    assert removed(layout, Store({"a": "", "b": ""}, used="a")) == "1 removed from here, 1 in use by containers left"


def test_two_test_beds_tell_their_images_apart(tmp_path: Path) -> None:
    assert Layout(tmp_path / "a").owner != Layout(tmp_path / "b").owner


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("unix:///nonexistent/docker.sock", "no Docker engine answers at unix:///nonexistent/docker.sock"),
        ("ssh://somewhere", "cannot talk to an engine at ssh://somewhere"),
    ],
)
def test_a_user_without_an_engine_is_told_what_to_do(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, host: str, said: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(TestbedError, match=said) as caught:
        provide_engine(layout, "auto")
    assert "DOCKER_HOST" in caught.value.hint


def test_a_socket_of_others_is_named(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    path = layout.run_directory() / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        monkeypatch.setattr(os, "access", lambda *_: False)
        with pytest.raises(TestbedError, match="may not use") as caught:
            provide_engine(layout, "auto")
    path.unlink()
    assert "group" in caught.value.hint


def test_a_directory_that_was_there_is_not_ours(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = layout.root / "ours", layout.root / "theirs"
    theirs.mkdir()
    monkeypatch.setattr("engine.SHARED", (str(ours), str(theirs)))
    engine = PrivateEngine(layout)
    engine._remember_made()
    ours.mkdir()
    engine._remember_made()  # another start: still ours
    made = layout.run_directory() / "made"
    assert made.read_text().splitlines() == [str(ours)]
    made.unlink()


def test_libraries_outside_of_usr_are_found(tmp_path: Path) -> None:
    for place in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"):
        (tmp_path / place).mkdir(parents=True)
    assert str(tmp_path / "lib/x86_64-linux-gnu") in sysroot_environment(tmp_path)["LD_LIBRARY_PATH"].split(":")
