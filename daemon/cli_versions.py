"""`versions` and `show`: what is registered. They read the workspace itself, so no service is needed."""

import os
from typing import TYPE_CHECKING, Any

import click

from envkiln.cache.names import short_name
from envkiln.daemon.cli_options import setting_options
from envkiln.daemon.cli_shared import json_option
from envkiln.daemon.completion import VERSION
from envkiln.daemon.config import Config, ConfigError, load_config, read_file
from envkiln.daemon.errors import ExitCode
from envkiln.daemon.paths import paths_from
from envkiln.daemon.text import one_line
from envkiln.daemon.version_reference import VersionReference

if TYPE_CHECKING:
    from envkiln.daemon.messages import VersionDetail, VersionView
    from envkiln.daemon.workspace import Contents, Workspace

REFERENCE = click.argument("reference", type=VERSION)
workspace_option = setting_options("workspace")


@click.command()
@click.argument("name", required=False, type=VERSION)
@click.option("--archived", is_flag=True, help="Archived versions too.")
@workspace_option
@json_option
def versions(name: str | None, archived: bool, as_json: bool, **flags: Any) -> int:
    """List the registered versions, of NAME or of all.

    Example: envkiln versions pytorch --json
    """
    from envkiln.daemon.version_views import version_views

    workspace = opened(flags=flags)
    contents = workspace.read()
    shown = [
        view
        for view in version_views(contents.versions)
        if (archived or not view.archived) and name in (None, view.name)
    ]
    if name is not None and not any(it.name == name for it in contents.versions) and not contents.problems:
        workspace.find(name)  # says that there is none
    if as_json:
        import msgspec

        problems = [{"place": problem.place, "message": problem.message} for problem in contents.problems]
        click.echo(msgspec.json.encode({"versions": shown, "problems": problems}).decode())
    else:
        for line in _table(shown):
            click.echo(line)
    return _say_problems(contents)


@click.command()
@REFERENCE
@workspace_option
@json_option
def show(reference: str, as_json: bool, **flags: Any) -> int:
    """Show one registered version: REFERENCE is NAME, NAME:VERSION or NAME@LABEL.

    Example: envkiln show pytorch@latest
    """
    from envkiln.daemon.version_labels import find_version
    from envkiln.daemon.version_views import version_detail

    wanted = VersionReference.parse(reference)
    workspace = opened(flags=flags)
    version = find_version(workspace, wanted)
    detail = version_detail(version, workspace.versions())
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(detail).decode())
    else:
        click.echo(_as_text(detail))
    return ExitCode.DONE


def opened(config: Config | None = None, *, flags: dict[str, Any] | None = None, create: bool = False) -> "Workspace":
    """Return the configured workspace; raises ConfigError where none is configured."""
    from envkiln.daemon.workspace import Workspace

    if config is None:
        paths = paths_from(os.environ)
        config = load_config(
            roots_from_flags=[],
            flags=flags or {},
            environ=os.environ,
            user_file=paths.config_file,
            read=read_file,
        )
    if config.workspace is None:
        raise ConfigError(
            "no workspace is configured",
            hint="say where registered versions are kept: --workspace DIR, or `workspace` in the user's envkiln.toml",
        )
    return Workspace.create(config.workspace) if create else Workspace(config.workspace)


def _say_problems(contents: "Contents") -> ExitCode:
    for problem in contents.problems:
        click.echo(f"envkiln: {one_line(str(problem))}", err=True)
        if problem.hint:
            click.echo(f"  {one_line(problem.hint)}", err=True)
    return ExitCode.FAILED if contents.problems else ExitCode.DONE


def _table(views: "list[VersionView]") -> list[str]:
    width = max((len(view.reference) for view in views), default=0)
    lines = []
    for view in views:
        label = "latest" if view.latest else "archived" if view.archived else ""
        words = [f"{view.reference:{width}}", f"{label:8}", short_name(view.image), one_line(view.description)]
        lines.append("  ".join(words).rstrip())
    return lines


def _as_text(detail: "VersionDetail") -> str:
    labels = [label for label, holds in (("latest", detail.latest), ("archived", detail.archived)) if holds]
    rows = {
        "labels": ", ".join(labels),
        "description": one_line(detail.description),
        "format": detail.format,
        "image": detail.image,
        "tag": detail.tag,
        "conda environment": detail.conda_environment,
        "base image": detail.base_image,
    }
    lines = [detail.reference, *(f"  {label:17}  {value}" for label, value in rows.items() if value)]
    for file in detail.files:
        kind = "directory" if file.directory else f"link to {file.link}" if file.link else file.sha256 or ""
        lines.append(f"  {'file':17}  {one_line(file.path)}{f' ({one_line(kind)})' if kind else ''}")
        if file.text is not None and file.path == detail.main:
            lines += [f"    {one_line(line)}" for line in file.text.splitlines()]
    return "\n".join(lines)
