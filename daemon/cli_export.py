"""`export` and `checkout`: a registered version as files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from envkiln.cache.errors import EnvkilnError
from envkiln.cache.registered_version import StoredFile
from envkiln.daemon.cli_versions import REFERENCE, opened, workspace_option
from envkiln.daemon.errors import ExitCode
from envkiln.daemon.version_reference import VersionReference

if TYPE_CHECKING:
    from envkiln.daemon.workspace import Workspace


class NotEmpty(EnvkilnError):  # noqa: N818 -- what it is
    """There is something where files are to be written."""


@click.command()
@REFERENCE
@click.option("--to", "target", type=click.Choice(["v1", "v2", "conda"]), default="v2", help="The format to write.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The directory to write into, new or empty.")
@workspace_option
def export(reference: str, target: str, output: Path | None, **flags: Any) -> int:
    """Write version REFERENCE in a format of Azure ML's or as a conda specification, with the base image pinned.

    What is written has the very image name that was registered. Without -o, a single file is printed.

    Example: envkiln export pytorch:3 --to v1 -o pytorch-v1
    """
    from envkiln.cache import export as exporting
    from envkiln.daemon.version_labels import find_version

    wanted = VersionReference.parse(reference)
    workspace = opened(flags=flags)
    version = find_version(workspace, wanted)
    made = exporting.export(version, exporting.Target(target), workspace.open_file)
    if output is not None:
        _write(made.files, workspace, output)
        click.echo(f"{version.reference} in {output / made.main}")
        return ExitCode.DONE
    only = made.files[0]
    if len(made.files) > 1 or only.text is None:
        raise click.UsageError(f"in {target} {version.reference} is not one text: give a directory, -o DIRECTORY")
    click.echo(only.text, nl=False)
    return ExitCode.DONE


@click.command()
@REFERENCE
@click.argument("directory", type=click.Path(path_type=Path), required=False)
@workspace_option
def checkout(reference: str, directory: Path | None, **flags: Any) -> int:
    """Write the files of version REFERENCE as they were registered into DIRECTORY, which is new or empty.

    Without DIRECTORY it is one of the version's name here.

    Example: envkiln checkout pytorch:3 envs/pytorch-3
    """
    from envkiln.daemon.version_labels import find_version

    wanted = VersionReference.parse(reference)
    workspace = opened(flags=flags)
    version = find_version(workspace, wanted)
    target = directory or Path(version.name)
    _write(version.files, workspace, target)
    click.echo(f"{version.reference} in {target / version.main}")
    return ExitCode.DONE


def _write(files: tuple[StoredFile, ...], workspace: "Workspace", directory: Path) -> None:
    from envkiln.cache.context import ContextEntry, SetupContent
    from envkiln.cache.source import EntryKind
    from envkiln.cache.stored_tree import StoredTree
    from envkiln.daemon.write_content import write_content

    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise NotEmpty(f"{directory} is not an empty directory", hint="choose another one, or empty it")

    def entry(file: StoredFile) -> ContextEntry:
        if file.target is not None:
            return ContextEntry(file.path, EntryKind.SYMLINK, target=file.target)
        if file.directory:
            return ContextEntry(file.path, EntryKind.DIRECTORY)
        return ContextEntry(file.path, source=file.path, executable=file.executable)

    entries = tuple(map(entry, files))
    write_content(SetupContent(files[0].path, entries), StoredTree(files, workspace.open_file), directory)
