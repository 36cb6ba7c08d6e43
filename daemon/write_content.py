"""Lays setup content out in a directory, for somebody who wants to build it by hand."""

import os
import shutil
import tempfile
from pathlib import Path

from envkiln.cache.context import ContextEntry, SetupContent
from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.cache.setup_names import SETUP
from envkiln.cache.source import EntryKind, SourceTree


class CannotWrite(EnvkilnError):  # noqa: N818 -- what it is
    """The directory cannot be written."""

    turn = Turn.SURROUNDINGS


def write_content(content: SetupContent, tree: SourceTree, directory: Path) -> None:
    """Write `content` below `directory`, which is made where it is missing.

    An earlier `azureml-environment-setup` in it is replaced as a whole; other files are replaced one by one, and what
    is there besides stays. Raises CannotWrite.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # Written beside its place and then moved: nobody sees half of it.
        with tempfile.TemporaryDirectory(dir=directory, prefix=".envkiln-") as temporary:
            staging = Path(temporary)
            for entry in content.entries:
                _write(entry, tree, staging / os.fsdecode(os.fsencode(entry.path)))
            _move(staging, directory)
    except OSError as error:
        raise CannotWrite(f"cannot write into {directory}: {error}", hint="choose another directory with -o") from error


def _write(entry: ContextEntry, tree: SourceTree, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if entry.kind is EntryKind.DIRECTORY:
        path.mkdir(exist_ok=True)
    elif entry.kind is EntryKind.SYMLINK:
        path.symlink_to(entry.target)
    else:
        with path.open("wb") as file:
            if entry.data is not None:
                file.write(entry.data)
            else:
                with tree.open(entry.source or "") as source:
                    shutil.copyfileobj(source, file)
        path.chmod(0o755 if entry.executable else 0o644)


def _move(staging: Path, directory: Path) -> None:
    for made in sorted(staging.iterdir()):
        target = directory / made.name
        if made.name == SETUP and target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        if made.is_dir() and not made.is_symlink() and target.is_dir():
            for inner in sorted(made.rglob("*")):
                _replace(inner, target / inner.relative_to(made))
        else:
            _replace(made, target)


def _replace(made: Path, target: Path) -> None:
    if made.is_dir() and not made.is_symlink() and target.is_dir():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    made.replace(target)
