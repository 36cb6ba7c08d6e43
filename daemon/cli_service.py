"""`service`: the background service as a unit of systemd."""

import os
from typing import Any

import click

from envkiln.daemon.cli_shared import json_option
from envkiln.daemon.errors import ExitCode


@click.command()
@click.argument("action", type=click.Choice(["install", "uninstall", "status"]))
@click.option("--system", is_flag=True, help="The machine's service, for root to install; else that of this user.")
@json_option
def service(action: str, system: bool, as_json: bool) -> int:
    """Let systemd run the service: install it, take it out again, or say how it is.

    The directories to watch come from the configuration: ~/.config/envkiln/envkiln.toml, with --system
    /etc/envkiln/envkiln.toml. After a change: systemctl --user reload envkiln.

    Example: envkiln service install
    """
    from envkiln.daemon.paths import asks_the_machines
    from envkiln.daemon.unit_files import Whose
    from envkiln.daemon.unit_install import install, uninstall

    whose = Whose.SYSTEM if system or asks_the_machines(os.environ) else Whose.USER
    done: list[str] = []

    def say(line: str) -> None:
        done.append(line)
        if not as_json:
            click.echo(line)

    match action:
        case "install":
            install(whose, os.environ, say)
        case "uninstall":
            uninstall(whose, os.environ, say)
        case _:
            return _status(whose, as_json=as_json)
    if as_json:
        import json

        click.echo(json.dumps({"done": done}))
    return ExitCode.DONE


def _status(whose: Any, *, as_json: bool) -> int:
    from dataclasses import asdict

    from envkiln.daemon.systemctl import Systemctl
    from envkiln.daemon.unit_files import SERVICE, SOCKET
    from envkiln.daemon.unit_install import outdated

    states = Systemctl(whose).states()
    old = outdated(whose, os.environ)
    if as_json:
        import json

        click.echo(json.dumps({"units": [asdict(states[unit]) for unit in (SERVICE, SOCKET)], "outdated": old}))
    else:
        for unit in (SERVICE, SOCKET):
            state = states[unit]
            if not state.loaded:
                click.echo(f"{unit}  not installed")
                continue
            said = f": {state.status}" if state.status else ""
            again = f", started {state.restarts} times again" if state.restarts else ""
            click.echo(f"{unit}  {state.active} ({state.detail}), {state.enabled}{again}{said}")
        for path in old:
            click.echo(f"{path} is not as this version writes it: run `envkiln service install`", err=True)
    listening = any(states[unit].active in ("active", "reloading") for unit in (SERVICE, SOCKET))
    return ExitCode.DONE if listening else ExitCode.SURROUNDINGS
