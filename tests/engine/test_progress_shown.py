"""Where a build is, and how long it takes by the one before: on the terminal of `up`, and said by `wait`."""

import os
from collections.abc import Callable

from running import Gate, World, until
from shells import PROMPT, program, shell_on_terminal


def test_up_and_wait_show_step_phase_and_estimate(make_world: Callable[..., World], gate: Gate) -> None:
    world = make_world()
    world.write("a/Dockerfile", world.dockerfile("RUN true"))
    world.environ["PATH"] = f"{program(world.directory / 'bin')}{os.pathsep}{world.environ['PATH']}"
    with shell_on_terminal(["bash", "--norc"], world.environ, world.directory, f"PS1='{PROMPT}'") as terminal:
        terminal.press("envkiln up root\r")
        terminal.until(lambda: any("1 ready; engine up" in line for line in terminal.lines), "the first build")
        world.write("a/Dockerfile", world.dockerfile("RUN true", gate.step))

        def shown() -> bool:
            rows = [line for line in terminal.lines if " building " in line]
            return any("step " in row and " of " in row and "about" in row for row in rows)

        terminal.until(shown, "step and estimate of the second build")
        until(lambda: gate.waiting, "the step that waits")
        waiting = world.start("wait", "a")
        assert waiting.stderr is not None
        said = waiting.stderr.readline()
        while "step " not in said or "about" not in said:
            assert said.startswith("a: "), said
            said = waiting.stderr.readline()
        gate.open()
        out, _ = waiting.communicate(timeout=60)
        assert (waiting.returncode, out.startswith("a: ready azureml/azureml_")) == (0, True)
        terminal.until(lambda: any("1 ready; engine up" in line for line in terminal.lines), "the second build")
        assert len(world.logs()) == 2
        terminal.press("\x03")
        terminal.until_line("")
