"""Every file of the state directory may be damaged while the service is down: it costs time, and nothing else."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from running import World, image_id, until

from envkiln.daemon.engine import Engine

MakeWorld = Callable[..., World]


def test_random_bytes_in_every_file(make_world: MakeWorld, engine: Engine) -> None:
    world = make_world()
    world.write("a/Dockerfile", world.dockerfile())
    world.up()
    before = world.until_alias("a")
    # Killed, so that SQLite's own files of what is not yet in the database are there too.
    world.kill()
    chosen = random.Random(7)  # noqa: S311 -- repeatable, not secret
    names = sorted(str(path.relative_to(world.paths.state)) for path in _files(world))
    assert any("index" in name for name in names)
    for damaged in (names, *([name] for name in names if "index" in name)):
        for name in damaged:
            file = world.paths.state / name
            if file.exists():
                file.write_bytes(chosen.randbytes(chosen.randrange(1, file.stat().st_size + 2)))
        assert world.command("status").returncode == 0
        world.up()
        after = world.until_alias("a")
        assert (after["image"], after["image_id"]) == (before["image"], before["image_id"])
        world.kill()
    assert image_id(engine, world.alias("a")) == before["image_id"]
    assert len(world.logs()) == 1, "nothing was built again"


@pytest.mark.parametrize(
    "damage",
    [
        lambda log: log.write_bytes(log.read_bytes()[:37]),
        lambda log: log.write_bytes(b""),
        lambda log: log.write_bytes(bytes(1000)),
        lambda log: log.unlink(),
    ],
    ids=["truncated", "empty", "zeros", "gone"],
)
def test_a_damaged_log_is_shown_as_far_as_it_goes(make_world: MakeWorld, damage: Callable[[Path], object]) -> None:
    world = make_world()
    world.write("a/Dockerfile", world.dockerfile())
    world.up()
    world.until_state("a", "ready")
    (log,) = world.logs()
    damage(log)
    shown = world.command("logs", "a")
    assert shown.returncode in (0, 1), shown
    assert "internal error" not in shown.stderr
    # The next build has a log of its own.
    world.write("a/Dockerfile", world.dockerfile("ENV NEWER=1"))
    until(lambda: len({path.parent for path in world.logs()} - {log.parent}) == 1, world.output)
    world.until_state("a", "ready")
    assert "ended well" in world.answer("logs", "a")


def _files(world: World) -> list[Path]:
    return [path for path in world.paths.state.rglob("*") if path.is_file() and path.suffix != ".log"]
