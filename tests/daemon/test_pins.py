"""What a user has pinned is in a file of its own."""

from pathlib import Path

import pytest

from envkiln.daemon.pins import PinsUnreadable, change_pins, read_pins


def test_pins_are_added_and_taken_back(tmp_path: Path) -> None:
    file = tmp_path / "pins"
    assert read_pins(file) == ()
    assert change_pins(file, add=("train", "gpu/*")) == ("gpu/*", "train")
    assert change_pins(file, add=("train",)) == ("gpu/*", "train")
    assert change_pins(file, remove=("gpu/*", "other")) == ("train",)
    assert read_pins(file) == ("train",)


@pytest.mark.parametrize("pattern", ["", "two words", "line\nend", "\x1b[31m"])
def test_what_is_no_pattern_is_refused(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        change_pins(tmp_path / "pins", add=(pattern,))


@pytest.mark.parametrize("make", [lambda file: file.mkdir(), lambda file: file.write_bytes(b"\xff\xfe")])
def test_pins_that_cannot_be_read_are_not_none(tmp_path: Path, make: object) -> None:
    file = tmp_path / "pins"
    assert callable(make)
    make(file)
    with pytest.raises(PinsUnreadable):
        read_pins(file)
