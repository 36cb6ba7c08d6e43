"""`run` and `shell` with a real engine: the right image, the files of here, and how the command ended."""

import sys
from collections.abc import Callable
from typing import Any

from running import Gate, World, container_commands, until
from shells import PROMPT, shell_on_terminal

from envkiln.daemon.engine import Engine

MakeWorld = Callable[..., World]
# Not every machine has a bridge.
NETWORK = ("--network", "host")


def ready_world(make_world: MakeWorld, *steps: str) -> World:
    """A world whose environment `a` is ready and has the file /made."""
    world = make_world()
    world.write("a/Dockerfile", world.dockerfile("RUN echo by the image > /made", *steps))
    world.up()
    world.until_state("a", "ready")
    return world


def test_a_command_sees_the_image_and_the_files_of_here(make_world: MakeWorld, engine: Engine) -> None:
    world = ready_world(make_world)
    (world.directory / "note").write_text("by me\n")
    script = "cat /made note; pwd; echo to stderr >&2; echo $A > written; exit 7"
    done = world.command("run", "a", *NETWORK, "-e", "A=set", "--", "sh", "-c", script)
    assert done.returncode == 7, done
    assert done.stdout == f"by the image\nby me\n{world.directory}\n"
    assert done.stderr == "to stderr\n"
    assert (world.directory / "written").read_text() == "set\n"
    assert not [command for command in container_commands(engine) if script in command]

    done = world.command("run", "--no-mount", "a", *NETWORK, "--", "ls", world.directory)
    assert done.returncode != 0
    assert str(world.directory) in done.stderr


def test_files_belong_to_the_user_that_was_asked_for(make_world: MakeWorld) -> None:
    world = ready_world(make_world)
    world.directory.chmod(0o777)
    world.answer("run", "a", *NETWORK, "--user", "12345:12345", "--", "touch", "mine")
    status = (world.directory / "mine").stat()
    assert (status.st_uid, status.st_gid) == (12345, 12345)


def test_a_command_waits_for_the_build_of_what_was_just_saved(make_world: MakeWorld, gate: Gate) -> None:
    world = ready_world(make_world)
    world.write("a/Dockerfile", world.dockerfile(gate.step, "RUN echo by the next image > /made"))
    process = world.start("run", "a", *NETWORK, "--", "cat", "/made")
    until(lambda: gate.waiting, "the build")
    assert process.stderr is not None
    assert process.stderr.readline().startswith("a: ")
    good = world.answer("run", "--last-good", "a", *NETWORK, "--", "cat", "/made")
    assert good == "by the image\n"
    assert process.poll() is None
    gate.open()
    out, problem = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "by the next image\n"), problem


def test_while_the_service_is_down_the_last_image_is_run(make_world: MakeWorld) -> None:
    world = ready_world(make_world)
    assert world.stop() == 0
    done = world.command("run", "a", *NETWORK, "--", "cat", "/made")
    assert (done.returncode, done.stdout) == (0, "by the image\n"), done
    assert "the service is not running" in done.stderr
    assert "this is the last image that was ready: azureml/azureml_" in done.stderr


def test_an_image_that_was_removed_is_asked_of_no_registry(make_world: MakeWorld, engine: Engine) -> None:
    world = ready_world(make_world)
    image = world.view("a")["image"]
    assert world.stop() == 0
    engine.remove(world.alias("a"))
    engine.remove(f"{image}:latest")
    done = world.command("run", "a", *NETWORK, "--", "true")
    assert done.returncode == 125
    assert "No such image" in done.stderr


def test_a_shell_has_a_terminal_and_the_conda_environment(make_world: MakeWorld, testbed: Any) -> None:
    world = make_world()
    world.write("a/env.yml", world.conda(testbed.channel, "python"))
    world.up()
    view = world.until_state("a", "ready")
    command = [sys.executable, "-m", "envkiln.daemon", "shell", "a", *NETWORK]
    setup = f"PS1='{PROMPT}'; printf '\\033[2J\\033[H'"
    with shell_on_terminal(command, world.environ, world.directory, setup) as shell:
        shell.press("command -v python; test -t 0 && test -t 1 && echo on a terminal\r")
        shell.until_shown(f"/azureml-envs/{view['conda_environment']}/bin/python")
        shell.until_shown("on a terminal")
        shell.press("echo ${BASH_VERSION:+it is bash}\r")
        shell.until_shown("it is bash")
        shell.press("exit\r")
        shell.until_end()
