"""Options that several commands share: settings as flags, and the configuration they lead to."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from envkiln.daemon.config import Config, load_config, read_file
from envkiln.daemon.paths import Paths, paths_from
from envkiln.daemon.settings import BY_NAME, SETTINGS, Scope, Setting

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def setting_options(*names: str) -> Decorator:
    """Return the decorator that adds the flags of these settings (all but `roots` where none is given)."""
    wanted = names or tuple(setting.name for setting in SETTINGS if setting.name != "roots")

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(wanted):
            setting = BY_NAME[name]
            many = isinstance(setting.default, (list, tuple))
            option = click.option(
                setting.flag, name, multiple=many, metavar=_metavar(setting), help=setting.doc, hidden=not names
            )
            function = option(function)
        return function

    return decorate


def _metavar(setting: Setting) -> str:
    return setting.flag.rpartition("-")[2].upper()


def environment_scope() -> tuple[str, ...]:
    """Return the names of the settings that may differ between environments."""
    return tuple(setting.name for setting in SETTINGS if setting.scope is Scope.ENVIRONMENT)


def configuration(roots: Sequence[Path], flags: Mapping[str, Any], *, here: bool = True) -> tuple[Config, Paths]:
    """Return the configuration of this process with `flags` on top.

    The current directory is the last choice of a root; without `here` there may be none.
    """
    paths = paths_from(os.environ)
    config = load_config(
        roots_from_flags=roots,
        flags=flags,
        environ=os.environ,
        user_file=paths.config_file,
        read=read_file,
        default_root=Path.cwd() if here else None,
    )
    return config, paths
