"""`image`: the reference of an environment's image."""

import click

from envkiln.daemon.cli_shared import json_option, say_down, say_troubles, settled
from envkiln.daemon.completion import ENVIRONMENT
from envkiln.daemon.errors import ExitCode
from envkiln.daemon.knowledge import find_environment, note_use
from envkiln.daemon.text import one_line


@click.command()
@click.argument("environment", type=ENVIRONMENT)
@click.option("--last-good", is_flag=True, help="The last image that was ready, whatever the file says now.")
@json_option
def image(environment: str, last_good: bool, as_json: bool) -> int:
    """Print the reference of ENVIRONMENT's image, if it is ready.

    Example: docker run --rm $(envkiln image pytorch) python -V
    """
    found = find_environment(environment)
    view = found.detail
    if found.client is not None and not last_good and view["state"] == "ready" and not view["image_id"]:
        view = settled(found.client, found.id)  # only a registry has it
    name = view["last_good"] if last_good else view["image"] if view["state"] == "ready" else None
    if name is None:
        click.echo(f"{one_line(found.id)}: {view['state']}: {one_line(view['reason'])}", err=True)
        if view["last_good"] and not last_good:
            click.echo(f"  its last good image: envkiln image --last-good {one_line(found.id)}", err=True)
        return ExitCode.FAILED
    if as_json:
        import json

        click.echo(json.dumps({"environment": found.id, "image": f"{name}:latest"}))
    else:
        click.echo(f"{name}:latest")
    note_use(found, str(name))
    if found.client is None:
        say_down(found.age)
    else:
        say_troubles(found.client.service())
    return ExitCode.DONE
