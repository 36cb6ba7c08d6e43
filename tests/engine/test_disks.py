"""Disks that are full, read-only or taken away: said, lived with, and over when they are as before."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from mounted import Mounted, mounted
from running import World, until

MakeWorld = Callable[..., World]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")

WITHOUT_ROOTS_RIGHTS = ("setpriv", "--inh-caps=-all", "--bounding-set=-all")
"""Starts a program to which modes of files apply, although it is root."""


@pytest.fixture
def mount() -> Iterator[Callable[..., Mounted]]:
    """Mounts file systems; they are gone after the test."""
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(mounted(*arguments))


def problems(world: World) -> str:
    """Everything the service says is not as it should be."""
    service = world.service()
    assert service is not None
    roots = [text for root in service["roots"] for text in root["problems"].values()]
    return "\n".join([*service["problems"], *roots])


def test_a_full_disk_below_the_index_and_the_logs(make_world: MakeWorld, mount: Callable[..., Mounted]) -> None:
    world = make_world()
    disk = mount(world.paths.state)
    world.write("a/Dockerfile", world.dockerfile())
    world.up()
    first = world.until_state("a", "ready")
    filler = disk.fill()
    world.write("a/Dockerfile", world.dockerfile("ENV NEWER=1"))
    second = world.until_state("a", "ready", image_is_not=first["image"])
    until(lambda: "the index cannot be written" in problems(world), lambda: problems(world))
    assert "is the disk full or read-only?" in world.command("status").stderr

    filler.unlink()
    until(lambda: not problems(world), lambda: problems(world))
    world.kill()
    assert second["image"] in world.answer("status", "a")


def test_a_start_on_a_full_disk(make_world: MakeWorld, mount: Callable[..., Mounted]) -> None:
    world = make_world()
    disk = mount(world.paths.state)
    filler = disk.fill()
    world.spawn()
    assert world.ended() == 4, world.output()
    assert "internal error" not in world.output()
    assert "disk" in world.output()
    filler.unlink()
    world.up()


def test_a_state_directory_that_becomes_read_only(make_world: MakeWorld) -> None:
    world = make_world()
    world.write("a/Dockerfile", world.dockerfile())
    world.up(through=WITHOUT_ROOTS_RIGHTS)
    first = world.until_state("a", "ready")
    directories = [world.paths.state, *(path for path in world.paths.state.rglob("*") if path.is_dir())]
    for directory in directories:
        directory.chmod(0o500)
    world.write("a/Dockerfile", world.dockerfile("ENV NEWER=1"))
    failed = world.until_state("a", "failed")
    assert failed["image"] != first["image"]
    assert failed["turn"] == "surroundings"
    assert "Permission denied" in failed["reason"]

    for directory in directories:
        directory.chmod(0o700)
    world.until_state("a", "ready")
    until(lambda: not problems(world), lambda: problems(world))


def test_a_start_on_a_read_only_state_directory(make_world: MakeWorld, mount: Callable[..., Mounted]) -> None:
    world = make_world()
    disk = mount(world.paths.state)
    disk.remount("ro")
    world.spawn()
    assert world.ended() == 4, world.output()
    assert "Read-only file system" in world.output()
    assert "internal error" not in world.output()


@pytest.mark.parametrize("builder", ["classic", "buildx"])
def test_a_full_disk_below_the_context(make_world: MakeWorld, mount: Callable[..., Mounted], builder: str) -> None:
    world = make_world(builder=builder)
    disk = mount(world.directory / "tmp", "1m")
    world.write("a/Dockerfile", world.dockerfile("COPY large /large"))
    world.write("a/large", "x" * 3_000_000)
    world.write("b/Dockerfile", world.dockerfile())
    world.up()
    failed = world.until_state("a", "failed")
    assert "No space left on device" in failed["reason"]
    assert failed["turn"] == "surroundings"
    world.until_state("b", "ready")
    disk.remount("size=16m")
    world.until_state("a", "ready")


@pytest.mark.parametrize("builder", ["classic", "buildx"])
def test_a_step_that_finds_the_disk_full(make_world: MakeWorld, builder: str) -> None:
    world = make_world(builder=builder)
    # The only disk of the engine that a build can fill without harm.
    world.write("a/Dockerfile", world.dockerfile("RUN dd if=/dev/zero of=/dev/shm/x bs=1M count=200"))
    world.write("b/Dockerfile", world.dockerfile())
    world.up()
    failed = world.until_state("a", "failed")
    assert failed["reason"].startswith("the disk is full")
    assert "docker system df" in failed["hint"]
    world.until_state("b", "ready")
    world.write("a/Dockerfile", world.dockerfile("RUN true"))
    world.until_state("a", "ready")


def test_a_root_that_is_unmounted_and_mounted_again(make_world: MakeWorld, mount: Callable[..., Mounted]) -> None:
    world = make_world(build=False)
    disk = mount(world.root)
    world.write("a/Dockerfile", world.dockerfile())
    world.up()
    before = until(lambda: world.view("a")["image"], world.output)
    disk.unmount()
    until(lambda: "(mount it)" in problems(world), lambda: problems(world))
    assert world.view("a")["image"] == before
    disk.mount()
    world.write("a/Dockerfile", world.dockerfile("ENV NEWER=1"))
    until(lambda: world.view("a")["image"] not in (None, before), world.output)
    until(lambda: not problems(world), lambda: problems(world))


def test_a_root_that_is_back_before_anybody_looked(make_world: MakeWorld, mount: Callable[..., Mounted]) -> None:
    world = make_world(build=False)
    disk = mount(world.root)
    world.write("a/Dockerfile", world.dockerfile())
    world.up()
    before = until(lambda: world.view("a")["image"], world.output)
    disk.unmount()
    disk.mount()
    world.write("a/Dockerfile", world.dockerfile())
    until(lambda: world.view("a")["image"] == before, world.output)
    world.write("a/Dockerfile", world.dockerfile("ENV NEWER=1"))
    until(lambda: world.view("a")["image"] not in (None, before), world.output)
