"""`config`: every effective value and where it came from."""

import json
from pathlib import Path
from typing import Any

import click

from envkiln.daemon.cli_options import configuration, setting_options
from envkiln.daemon.config import Config, RootConfig
from envkiln.daemon.errors import ExitCode
from envkiln.daemon.settings import ConfigError, toml_text


@click.command()
@click.argument("roots", nargs=-1, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--environment", metavar="ID", help="What holds for this environment, patterns included.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, values and sources by root.")
@setting_options()
def config(roots: tuple[Path, ...], environment: str | None, as_json: bool, **flags: Any) -> int:
    """Print each setting's effective value and where it came from, for every watched root.

    Example: envkiln config envs/ --environment pytorch
    """
    effective, _ = configuration(roots, flags)
    if as_json:
        click.echo(json.dumps({str(root.path): _as_object(effective, root, environment) for root in effective.roots}))
        return ExitCode.DONE
    if not effective.roots:
        raise ConfigError("no root is configured", hint="give a directory: envkiln config envs/")
    for number, root in enumerate(effective.roots):
        explained = effective.explain(root, environment)
        texts = [(f"{it.setting.name} = {toml_text(it.value)}", it.source) for it in explained]
        width = min(max(len(text) for text, _ in texts), 72)
        click.echo(("\n" if number else "") + f"# {root.path}" + (f": {environment}" if environment else ""))
        for text, source in texts:
            click.echo(f"{text:<{width}}  # {source}")
    return ExitCode.DONE


def _as_object(effective: Config, root: RootConfig, environment: str | None) -> dict[str, Any]:
    explained = effective.explain(root, environment)
    return {it.setting.name: {"value": it.value, "source": it.source} for it in explained}
