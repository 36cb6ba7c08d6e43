"""Limits of the kernel, and files that this user may not read: said with the way out, lived with, healed."""

import os
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from running import World, until

MakeWorld = Callable[..., World]
AS_A_USER = ("setpriv", "--inh-caps=-all", "--bounding-set=-all")
"""Starts a program to which modes of files apply, although it is root."""


def problems(world: World) -> str:
    service = world.service()
    assert service is not None
    return "\n".join(text for root in service["roots"] for text in root["problems"].values())


def test_too_few_watches_for_the_directories(make_world: MakeWorld) -> None:
    """The real limit of the kernel, in a namespace of its own, where it may be lowered."""
    world = make_world(build=False)
    for number in range(8):
        world.write(f"{number}/Dockerfile", world.dockerfile())
    limited = 'echo 4 > /proc/sys/user/max_inotify_watches; exec "$@"'
    through = ("unshare", "--user", "--map-root-user", "sh", "-c", limited, "sh")
    world.up(through=through, environ={"ENVKILN_POLL_INTERVAL_S": "0.2"})
    until(lambda: "sudo sysctl fs.inotify.max_user_watches=1048576" in problems(world), lambda: problems(world))
    service = world.service()
    assert service is not None
    assert [root["mode"] for root in service["roots"]] == ["polling"]
    before = until(lambda: world.view("7")["image"], world.output)
    world.write("7/Dockerfile", world.dockerfile("ENV NEWER=1"))
    until(lambda: world.view("7")["image"] != before, world.output)


def test_out_of_file_descriptors(make_world: MakeWorld) -> None:
    world = make_world()
    world.write("a/Dockerfile", world.dockerfile())
    world.up()
    before = world.until_state("a", "ready")
    assert world.process is not None
    process = world.process.pid
    _, hard = resource.prlimit(process, resource.RLIMIT_NOFILE)
    # Nothing can be opened any more: no file, no connection to the engine, none of a client.
    resource.prlimit(process, resource.RLIMIT_NOFILE, (3, hard))
    world.write("a/Dockerfile", world.dockerfile("ENV NEWER=1"))
    assert world.command("status", limit_s=120).returncode in (0, 4)
    until(lambda: world.process is not None and world.process.poll() is None, world.output)

    resource.prlimit(process, resource.RLIMIT_NOFILE, (hard, hard))
    after = world.until_state("a", "ready", image_is_not=before["image"], limit_s=180)
    assert after["image"] != before["image"]


@pytest.mark.skipif(os.geteuid() != 0, reason="the rights of root are what is given up here")
def test_a_root_that_may_not_be_read(make_world: MakeWorld) -> None:
    world = make_world(build=False)
    world.write("a/Dockerfile", world.dockerfile())
    world.write("b/Dockerfile", world.dockerfile("ENV OTHER=1"))
    world.up(through=AS_A_USER)
    before = until(lambda: world.view("a")["image"], world.output)
    world.root.chmod(0)
    until(lambda: "make it readable for this user" in problems(world), lambda: problems(world))
    assert world.view("a")["image"] == before
    world.root.chmod(0o700)
    until(lambda: not problems(world), lambda: problems(world))

    file = world.write("a/Dockerfile", world.dockerfile("ENV NEWER=1"))
    file.chmod(0)
    invalid = world.until_state("a", "invalid")
    assert "Permission denied" in invalid["reason"]
    world.write("b/Dockerfile", world.dockerfile("ENV OTHER=2"))
    file.chmod(0o600)
    until(lambda: world.view("a")["image"] not in (None, before), world.output)


@pytest.mark.timeout(400)
def test_a_checkout_that_switches_ten_thousand_files(make_world: MakeWorld) -> None:
    world = make_world(build=False)
    count = 10_000
    _git(world.root, "init", "--quiet")
    history = "".join(_commit(branch, count) for branch in ("one", "two"))
    _git(world.root, "fast-import", "--quiet", given=history)
    _git(world.root, "checkout", "--quiet", "two")
    world.up()
    two = until(lambda: _names(world, count), world.output, 120)
    _git(world.root, "checkout", "--quiet", "one")
    one = until(lambda: _other(_names(world, count), two), world.output, 120)
    _git(world.root, "checkout", "--quiet", "two")
    until(lambda: _names(world, count) == two, world.output, 120)
    assert not set(one.values()) & set(two.values())


def _names(world: World, count: int) -> dict[str, str]:
    """Return the name of every environment, none before there are `count` with different names."""
    found = {view["environment"]: view["image"] for view in world.client.environments()}
    return found if len(set(found.values())) == count else {}


def _other(names: dict[str, str], before: dict[str, str]) -> dict[str, str]:
    """Return the names when none of them is as before."""
    return names if names and not set(names.values()) & set(before.values()) else {}


def _commit(branch: str, count: int) -> str:
    """Return a commit with an environment in each of `count` directories, as git fast-import reads it."""
    lines = [f"commit refs/heads/{branch}", "committer x <x@x> 0 +0000", "data 0", ""]
    for number in range(count):
        text = f"dependencies: [python=3.11, {branch}={number}]\n"
        lines += [f"M 644 inline {number // 100:02}/{number % 100:02}/env.yml", f"data {len(text)}", text]
    return "\n".join(lines) + "\n"


def _git(directory: Path, *words: str, given: str = "") -> None:
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", *words], cwd=directory, env=environ, check=True, input=given, text=True)
