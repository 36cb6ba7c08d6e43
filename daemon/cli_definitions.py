"""`name` and `render`: what needs no engine and no service."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from envkiln.cache.definition import EnvironmentDefinition, Format
from envkiln.cache.dockerfile import Dialect
from envkiln.cache.identity import Identity, identify
from envkiln.cache.leaks import leaks
from envkiln.cache.redact import redact
from envkiln.cache.setup_content import named_content, setup_content
from envkiln.daemon.builder import has_secrets
from envkiln.daemon.cli_options import setting_options
from envkiln.daemon.errors import ExitCode
from envkiln.daemon.events import Problem, Sighting
from envkiln.daemon.knowledge import recorded_digests
from envkiln.daemon.state import movable_base
from envkiln.daemon.targets import find_targets

_PATH = click.argument("path", type=click.Path(path_type=Path))
_ROOT = click.option("--root", type=click.Path(path_type=Path), help="The directory that ids and references start at.")
_SETTINGS = setting_options("base_image", "base_image_digest", "requirements_python", "platform")


@click.command()
@_PATH
@_ROOT
@_SETTINGS
@click.option("--json", "as_json", is_flag=True, help="One JSON object per definition, each on one line.")
def name(path: Path, root: Path | None, as_json: bool, **flags: Any) -> int:
    """Print the names Azure ML gives the environments at PATH, a file or a directory.

    Needs neither an engine nor the network: a base image's tag gets the digest that was last seen for it, if any.

    Example: envkiln name examples/pytorch --json
    """
    targets = find_targets(path, flags, root)
    recorded = recorded_digests(targets.paths)
    code = ExitCode.DONE
    for sighting in targets.sightings:
        if isinstance(sighting.found, Problem):
            code = ExitCode.FAILED
            _say_problem(sighting, sighting.found, as_json=as_json)
            continue
        identity = _identity(sighting, recorded)
        if as_json:
            anonymous = _anonymous_version(targets.root.path / sighting.file, sighting.found)
            click.echo(json.dumps(_as_object(sighting, sighting.found, identity) | anonymous))
        else:
            click.echo(_as_text(sighting, sighting.found, identity))
        for warning in _warnings(sighting, sighting.found):
            click.echo(f"{targets.root.path}/{redact(warning)}", err=True)
    return code


@click.command()
@_PATH
@_ROOT
@_SETTINGS
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The directory to write into.")
@click.option("--as-named", is_flag=True, help="Write the Dockerfile text that is named: Azure ML's, to the byte.")
def render(path: Path, root: Path | None, output: Path, as_named: bool, **flags: Any) -> int:
    """Write the setup content of the environment at PATH, ready for `docker build`.

    Example: envkiln render envs/pytorch -o setup && cd setup &&
    docker build -f azureml-environment-setup/Dockerfile .
    """
    from envkiln.daemon.disk_tree import DigestCache, DiskTree
    from envkiln.daemon.write_content import write_content

    targets = find_targets(path, flags, root)
    sighting = targets.only
    if isinstance(sighting.found, Problem):
        _say_problem(sighting, sighting.found, as_json=False)
        return ExitCode.FAILED
    identity = _identity(sighting, recorded_digests(targets.paths))
    content = (
        named_content(sighting.found, identity)
        if as_named
        else setup_content(sighting.found, identity, Dialect.CLASSIC)
    )
    for warning in leaks(sighting.found, has_secrets=False):
        click.echo(f"{targets.root.path}/{redact(warning)}", err=True)
    click.echo(f"Saving setup content into {output}")
    write_content(content, DiskTree(targets.root.path, DigestCache()), output)
    return ExitCode.DONE


def _warnings(sighting: Sighting, definition: EnvironmentDefinition) -> tuple[str, ...]:
    sealed = has_secrets(sighting.settings.builder, None)
    return (*definition.warnings, *leaks(definition, has_secrets=sealed))


def _identity(sighting: Sighting, recorded: dict[str, str]) -> Identity:
    assert isinstance(sighting.found, EnvironmentDefinition)  # noqa: S101 -- the caller looked
    base = movable_base(sighting)
    digest = recorded.get(str(base)) if base else None
    return identify(sighting.found, sighting.settings.base_image, digest, platform=sighting.settings.platform)


def _as_object(sighting: Sighting, definition: EnvironmentDefinition, identity: Identity) -> dict[str, Any]:
    return {
        "environment": sighting.id,
        "format": definition.format.value,
        "file": sighting.file,
        "conda_environment": identity.conda_environment,
        "image": identity.image,
        "base_image": str(identity.base_image) if identity.base_image else None,
        "recipe": identity.recipe,
        "warnings": [redact(warning) for warning in _warnings(sighting, definition)],
    }


def _anonymous_version(path: Path, definition: EnvironmentDefinition) -> dict[str, str | None]:
    """Return the version that azure-ai-ml gives a v2 environment's content without a name; nothing for others."""
    if definition.format is not Format.AZUREML_V2:
        return {}
    from envkiln.daemon.azure_ai_ml import load_environment

    return {"anonymous_version": load_environment(path).anonymous_version()}


def _as_text(sighting: Sighting, definition: EnvironmentDefinition, identity: Identity) -> str:
    lines = [f"{sighting.id} ({definition.format.value})"]
    if identity.conda_environment:
        lines.append(f"  conda environment  {identity.conda_environment}")
    lines.append(f"  image              {identity.image}")
    if identity.base_image:
        lines.append(f"  base image         {identity.base_image}")
    return "\n".join(lines)


def _say_problem(sighting: Sighting, problem: Problem, *, as_json: bool) -> None:
    if as_json:
        error = {"message": problem.message, "place": problem.place, "hint": problem.hint}
        click.echo(json.dumps({"environment": sighting.id, "file": sighting.file, "error": error}))
    sys.stderr.write(f"envkiln: {redact(str(problem))}\n")
    if problem.hint:
        sys.stderr.write(f"  {problem.hint}\n")
