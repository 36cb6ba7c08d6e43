"""`register` and `archive`: what changes a workspace."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from envkiln.cache.definition import EnvironmentDefinition
from envkiln.cache.names import short_name
from envkiln.daemon.cli_options import setting_options
from envkiln.daemon.cli_shared import json_option
from envkiln.daemon.cli_versions import REFERENCE, opened, workspace_option
from envkiln.daemon.completion import ENVIRONMENT
from envkiln.daemon.errors import ExitCode
from envkiln.daemon.targets import Targets, find_targets
from envkiln.daemon.version_reference import VersionReference

if TYPE_CHECKING:
    from envkiln.cache.registered_version import RegisteredVersion
    from envkiln.cache.registration import Registration
    from envkiln.cache.stored_definition import Naming
    from envkiln.daemon.workspace import Workspace


@click.command()
@click.argument("environment", type=ENVIRONMENT)
@click.option("--name", help="The name to register by; without it, the name that the definition declares, or the id.")
@click.option("--version", "number", type=int, help="The number to give it; without it, the next.")
@click.option("--description", default="", help="What this version is, in a sentence.")
@click.option("--create", is_flag=True, help="Make the workspace where there is none.")
@click.option("--root", type=click.Path(path_type=Path), help="The directory that ids and references start at.")
@workspace_option
@setting_options("base_image", "base_image_digest", "requirements_python", "platform", "docker_host")
@json_option
def register(
    environment: str,
    name: str | None,
    number: int | None,
    description: str,
    create: bool,
    root: Path | None,
    as_json: bool,
    **flags: Any,
) -> int:
    """Register the definition of ENVIRONMENT, a path or an id, in the workspace.

    What has not changed since the latest version keeps that version; what has changed gets the next one.

    Example: envkiln register envs/pytorch --name pytorch
    """
    from envkiln.daemon.disk_tree import DigestCache, DiskTree

    targets = _targets(environment, flags, root)
    sighting = targets.only
    workspace = opened(targets.config, create=create)
    naming, unknown = _naming(targets)
    fallback = None if name or _declared(targets) else sighting.id
    done = workspace.register(
        DiskTree(targets.root.path, DigestCache()),
        sighting.file,
        naming,
        name=name or fallback,
        number=number,
        description=description,
    )
    if as_json:
        _say_json(done.version, workspace, change=done.change.value)
    else:
        click.echo(_as_text(done))
    if (why := unknown()) and "@" not in (done.version.base_image or "@"):
        click.echo(f"the digest of {done.version.base_image} is not known: {why}", err=True)
        click.echo("  the version is named without it; register it again when the registry answers", err=True)
    return ExitCode.DONE


@click.command()
@REFERENCE
@click.option("--restore", is_flag=True, help="Take it back out of the archive.")
@workspace_option
@json_option
def archive(reference: str, restore: bool, as_json: bool, **flags: Any) -> int:
    """Archive version REFERENCE: it leaves the lists, is not `latest`, and clean-up may remove its image.

    Nothing is lost: it can still be shown, exported and checked out by its number.

    Example: envkiln archive pytorch:3
    """
    from envkiln.daemon.version_labels import find_version

    workspace = opened(flags=flags)
    version = find_version(workspace, VersionReference.parse(reference))
    version = workspace.archive(version.name, version.version, archived=not restore)
    if as_json:
        _say_json(version, workspace)
    else:
        click.echo(f"{version.reference} is {'archived' if version.archived else 'not archived'}")
    return ExitCode.DONE


def _targets(environment: str, flags: dict[str, Any], root: Path | None) -> Targets:
    """Return what a path or an id means; of an id, the file that the service knows it by."""
    if root is None and not Path(environment).exists():
        from envkiln.daemon.knowledge import what_is_known
        from envkiln.daemon.paths import paths_from

        known = what_is_known(paths_from(os.environ))
        view = known.find(environment)
        root = Path(known.roots[str(view["root"])])
        found = find_targets(root / str(view["file"]), flags, root)
        return replace(found, sightings=tuple(it for it in found.sightings if it.file == view["file"]))
    return find_targets(Path(environment), flags, root)


def _declared(targets: Targets) -> str | None:
    found = targets.only.found
    return found.declared_name if isinstance(found, EnvironmentDefinition) else None


def _naming(targets: Targets) -> "tuple[Naming, Callable[[], str | None]]":
    """Return what decides the names, and what says afterwards why a base image's digest is not known, if it is not."""
    from envkiln.cache.stored_definition import Naming
    from envkiln.daemon.base_digest import DigestAsked

    settings = targets.only.settings
    asked = DigestAsked(targets.paths, targets.config.docker_host)
    pinned = settings.base_image_digest == "pin"
    naming = Naming(
        settings.base_image,
        asked if pinned else (lambda _: None),
        settings.platform,
        targets.root.requirements_python,
    )
    return naming, lambda: asked.problem


def _say_json(version: "RegisteredVersion", workspace: "Workspace", **others: str) -> None:
    import msgspec

    from envkiln.daemon.version_views import version_view

    view = msgspec.to_builtins(version_view(version, workspace.versions()))
    click.echo(json.dumps({**others, **view}))


def _as_text(done: "Registration") -> str:
    version = done.version
    return f"{version.reference} {done.change.value} {version.image} [{short_name(version.image)}]"
