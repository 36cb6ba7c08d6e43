"""Secrets of a build are readable by their paths for as long as the build lasts."""

from pathlib import Path

from envkiln.daemon.build_secrets import BuildSecrets


def _paths(arguments: list[str]) -> dict[str, Path]:
    fields = [dict(field.partition("=")[::2] for field in text.split(",")) for text in arguments[1::2]]
    return {field["id"]: Path(field["src"]) for field in fields}


def test_every_secret_has_a_path_that_holds_it_whole_as_often_as_it_is_read() -> None:
    contents = {"one": b"\0\xff" * 200_000, "two": b"", "three": b"x,y"}
    with BuildSecrets(contents) as kept:
        arguments = list(kept.arguments())
        assert arguments[::2] == ["--secret"] * 3
        for _ in range(2):
            assert {id_: path.read_bytes() for id_, path in _paths(arguments).items()} == contents


def test_afterwards_nothing_is_there() -> None:
    with BuildSecrets({"one": b"x"}) as kept:
        (path,) = _paths(list(kept.arguments())).values()
        assert "memfd" in str(path.readlink())
    # The number may be another file's by then.
    assert not path.is_symlink() or "memfd:one" not in str(path.readlink())
