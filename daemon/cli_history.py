"""`history`, `images`, `stats` and `events`: what was built, what there is, what it saved, what happens."""

import json
import os
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

import click

from envkiln.cache.names import short_name
from envkiln.daemon import terminal
from envkiln.daemon.cli_shared import View, json_option, say_down
from envkiln.daemon.client import Client, ServiceDown
from envkiln.daemon.completion import ENVIRONMENT
from envkiln.daemon.errors import ExitCode
from envkiln.daemon.knowledge import find_environment, from_index, open_index
from envkiln.daemon.paths import Paths, paths_from
from envkiln.daemon.progress_text import progress_text, spell
from envkiln.daemon.text import ago, one_line, size


@click.command()
@click.argument("environment", type=ENVIRONMENT)
@json_option
def history(environment: str, as_json: bool) -> int:
    """List the builds of ENVIRONMENT, the newest first.

    Example: envkiln history pytorch
    """
    found = find_environment(environment)
    builds = [build for build in found.detail["builds"] if "build" in build]
    if as_json:
        _print_json(found.client is not None, found.age, "builds", builds)
        return ExitCode.DONE
    now = time.time()
    rows = [
        (
            time.strftime("%Y-%m-%d %H:%M", time.localtime(build["started"])),
            progress_text(build, now) + (", forced" if build["forced"] else ""),
            short_name(build["image"]),
            size(build["size"]) if build["size"] else "",
            build["build"],
            build["problem"] or "",
        )
        for build in builds
    ]
    _print_rows(rows)
    if not rows:
        click.echo(f"nothing was built for {one_line(found.id)}")
    if found.client is None:
        say_down(found.age)
    return ExitCode.DONE


@click.command()
@json_option
def images(as_json: bool) -> int:
    """List the images that are there, and which environments ask for them now.

    Example: envkiln images
    """
    paths = paths_from(os.environ)
    age = None
    try:
        known, running = Client(paths.socket).images(), True
    except ServiceDown:
        (known, age), running = _images_of_index(paths), False
    if as_json:
        _print_json(running, age, "images", known)
        return ExitCode.DONE
    now = time.time()
    _print_rows(
        [
            (
                short_name(image["image"]),
                ago(now - image["created"]),
                size(image["size"]),
                ", ".join(image["environments"]) or "no environment asks for it",
                image["registry"] or "",
            )
            for image in known
        ]
    )
    unique = {image["id"]: image["size"] for image in known}
    click.echo(f"{len(unique)} images, {size(sum(unique.values()))}" if known else "no images")
    if not running:
        say_down(age)
    return ExitCode.DONE


@click.command()
@json_option
def stats(as_json: bool) -> int:
    """Show what envkiln has saved: builds that were not needed, their time, and what is on the disk.

    Example: envkiln stats
    """
    paths = paths_from(os.environ)
    age = None
    counted: View | None
    try:
        counted, running = Client(paths.socket).stats(), True
    except ServiceDown:
        (counted, age), running = _stats_of_index(paths), False
    if as_json:
        _print_json(running, age, "stats", counted)
        return ExitCode.DONE
    if counted is not None:
        for label, value in _stats_rows(counted):
            click.echo(f"{label:<16} {value}")
    else:
        click.echo("nothing was counted yet")
    if not running:
        say_down(age)
    return ExitCode.DONE


@click.command()
@click.option("--since", metavar="ID", help="Begin after this event, not with a snapshot.")
@click.option("--json", "_as_json", is_flag=True, help="As it is always: one JSON object per event, each on one line.")
def events(since: str | None, _as_json: bool) -> int:
    """Print what happens, until Ctrl-C: {"id": ..., "event": ..., "data": ...} on each line.

    It begins with a snapshot. When the service is started again, it goes on with a new one.

    Example: envkiln events --since 5f3c1a2b-17
    """
    said = False

    def lost(problem: ServiceDown) -> None:
        nonlocal said
        if not said:
            click.echo(f"{problem}; waiting for it", err=True)
        said = True

    for id_, kind, data in Client(paths_from(os.environ).socket).events(since, lost=lost):
        said = False
        click.echo(json.dumps({"id": id_, "event": kind, "data": data}))
    return ExitCode.DONE


def _print_json(running: bool, age: float | None, what: str, value: Any) -> None:
    click.echo(json.dumps({"running": running, "age": age, what: value}))
    if not running:
        say_down(age)


def _print_rows(rows: Sequence[tuple[str, ...]]) -> None:
    """Print aligned columns, cut to the width of the terminal."""
    import sys

    columns = terminal.width_of(sys.stdout)
    shown = [tuple(one_line(cell) for cell in row) for row in rows]
    widths = [max(map(terminal.display_width, cells)) for cells in zip(*shown, strict=True)]
    for row in shown:
        text = "  ".join(terminal.pad(cell, width) for cell, width in zip(row, widths, strict=True))
        click.echo(terminal.fit(text.rstrip(), columns))


def _stats_rows(counted: View) -> Iterable[tuple[str, str]]:
    asked = counted["hits"] + counted["misses"]
    yield "since", time.strftime("%Y-%m-%d %H:%M", time.localtime(counted["since"]))
    share = f" ({counted['hits'] / asked:.0%} of what was asked for)" if asked else ""
    yield "builds saved", f"{counted['builds_saved']}{share}"
    yield "time saved", spell(counted["seconds_saved"])
    yield "builds", f"{counted['misses']}, in {spell(counted['build_seconds'])}"
    yield "failed", f"{counted['failed']}, and {counted['cancelled']} cancelled"
    yield "unchanged saves", str(counted["unchanged"])
    yield "images", f"{counted['images']}, {size(counted['image_bytes'])}"
    yield "logs", size(counted["log_bytes"])
    images = "1 image" if counted["removed"] == 1 else f"{counted['removed']} images"
    yield "cleaned up", f"{images}, {size(counted['freed_bytes'])} freed"


def _images_of_index(paths: Paths) -> tuple[list[dict[str, Any]], float | None]:
    """Return the images that environments had, as `ImageView`s: the index knows no others."""
    known = from_index(paths)
    found: dict[str, dict[str, Any]] = {}
    for view in known.views:
        if not view["image"] or not view["image_id"]:
            continue
        image = found.setdefault(
            view["image"],
            {
                "image": view["image"],
                "id": view["image_id"],
                "tags": view["tags"],
                "size": view["image_size"] or 0,
                "created": view["image_created"] or 0.0,
                "digest": view["digest"],
                "registry": view["registry"],
                "pushing": False,
                "environments": [],
            },
        )
        image["environments"].append(view["environment"])
    return [found[name] for name in sorted(found)], known.age


def _stats_of_index(paths: Paths) -> tuple[dict[str, Any] | None, float | None]:
    index = open_index(paths)
    if index is None:
        return None, None
    import msgspec

    from envkiln.daemon.disk_use import DiskUse, samples_of
    from envkiln.daemon.logs import LogFiles
    from envkiln.daemon.tally import Tally

    with closing(index):
        document = index.document(Tally.DOCUMENT)
        disk = samples_of(index.document(DiskUse.DOCUMENT))
    known, age = _images_of_index(paths)
    if document is None:
        return None, age
    sizes = {image["id"]: image["size"] for image in known}
    tally = Tally(document, lambda _image, _id: None)
    view = tally.view(
        images=len(sizes),
        image_bytes=sum(sizes.values()),
        log_bytes=LogFiles(paths.logs).bytes_in_all(),
        disk=disk,
    )
    return msgspec.to_builtins(view), age
