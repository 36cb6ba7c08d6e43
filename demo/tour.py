"""The tour: a service watches a scratch copy of the examples while files change, and every step is checked.

Needs the test bed (`make testbed`). Ends with 0 when everything went as it says, with 1 at the first thing that did
not. What it made is removed at the end: the service, the directory, and the images and tags of its own environments.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
TESTBED = PROJECT / "build" / "testbed" / "testbed.json"
# What the local channel can serve; the others name base images or packages of the real world.
SERVED = ("training", "web-client")
DEADLINE_S = 300.0
BOLD, DIM, GREEN, END = ("\033[1m", "\033[2m", "\033[32m", "\033[0m") if sys.stdout.isatty() else ("",) * 4


class Surprise(Exception):  # noqa: N818 -- what it is
    """Something did not go as the tour says."""


class Tour:
    """One scratch directory, one service, and the commands a user would type."""

    def __init__(self, scratch: Path, facts: dict[str, Any]) -> None:
        self.envs = scratch / "envs"
        self._facts = facts
        self._service: subprocess.Popen[str] | None = None
        path = os.environ["PATH"]
        if facts["docker_cli"]:
            path = f"{Path(facts['docker_cli']).parent}{os.pathsep}{path}"
        self.environ = os.environ | {
            "DOCKER_HOST": facts["docker_host"],
            "ENVKILN_STATE_DIR": str(scratch / "state"),
            "XDG_RUNTIME_DIR": str(scratch / "run"),
            "XDG_CONFIG_HOME": str(scratch / "config"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{path}",
        }
        if facts["docker_config"]:
            self.environ["DOCKER_CONFIG"] = facts["docker_config"]
        (scratch / "run").mkdir(mode=0o700)
        self.made: set[str] = set()

    def copy_examples(self) -> None:
        for name in SERVED:
            shutil.copytree(PROJECT / "examples" / name, self.envs / name)
        (self.envs / "envkiln.toml").write_text(
            f'base_image = "{self._facts["base_image"]}"\n'
            'build_network = "host"  # the channel is on this machine\n'
            'aliases = ["envkiln-demo/{id}:latest"]\n'
        )

    def start(self) -> None:
        print(f"{BOLD}$ envkiln up {self.envs}{END}")
        self._service = subprocess.Popen(
            ["envkiln", "up", str(self.envs)], env=self.environ, stdout=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._echo, daemon=True).start()
        until("the service answers", lambda: bool(self.status()["running"]))

    def _echo(self) -> None:
        assert self._service is not None and self._service.stdout is not None  # noqa: PT018, S101
        for line in self._service.stdout:
            print(f"{DIM}  | {line.rstrip()}{END}", flush=True)

    def stop(self) -> None:
        if self._service is None:
            return
        self._service.terminate()
        try:
            self._service.wait(30)
        except subprocess.TimeoutExpired:
            self._service.kill()
            raise Surprise("the service did not stop within 30 s") from None

    def show(self, *arguments: str) -> None:
        """Type a command and show what it prints."""
        print(f"{BOLD}$ envkiln {' '.join(arguments)}{END}")
        print(self._run(*arguments).stdout, end="", flush=True)

    def wait(self, id_: str) -> dict[str, Any]:
        self._run("wait", id_, "--timeout", str(DEADLINE_S))
        return self.view(id_)

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._run("status", "--json").stdout)
        self.made |= {view["image"] for view in answer["environments"] if view["image"]}
        return answer

    def view(self, id_: str) -> dict[str, Any]:
        return next(view for view in self.status()["environments"] if view["environment"] == id_)

    def builds(self) -> int:
        """Return how many builds there have been: each has a log."""
        return len(list(Path(self.environ["ENVKILN_STATE_DIR"]).glob("logs/*/*.log")))

    def docker(self, *arguments: str) -> str:
        done = subprocess.run(
            [self._facts["docker_cli"] or "docker", *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def remove_images(self) -> None:
        for alias in (f"envkiln-demo/{name}:latest" for name in SERVED):
            subprocess.run(
                [self._facts["docker_cli"] or "docker", "rmi", alias],
                env=self.environ,
                capture_output=True,
                check=False,
            )
        for image in self.made:
            subprocess.run(
                [self._facts["docker_cli"] or "docker", "rmi", f"{image}:latest"],
                env=self.environ,
                capture_output=True,
                check=False,
            )

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["envkiln", *arguments], env=self.environ, capture_output=True, text=True, check=False)


def until(what: str, condition: Callable[[], bool], seconds: float = DEADLINE_S) -> None:
    """Return when `condition` holds; raises Surprise after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Surprise(f"this did not come true within {seconds:g} s: {what}")
        time.sleep(0.02)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Announce a step, and say how long it took."""
    print(f"\n{BOLD}{title}{END}", flush=True)
    started = time.monotonic()
    yield
    print(f"{GREEN}  done in {time.monotonic() - started:.2f} s{END}", flush=True)


def expect(truth: bool, what: str) -> None:
    if not truth:
        raise Surprise(f"this is not so: {what}")
    print(f"  {what}", flush=True)


def play(tour: Tour) -> None:
    """Play the tour; raises Surprise where something is not as told."""
    file = tour.envs / "training" / "env.yml"
    alias = "envkiln-demo/training:latest"
    with step("1. First start: two environments, none has an image; both are built"):
        tour.start()
        first = tour.wait("training")
        tour.wait("web-client")
        expect(tour.builds() == 2, "two builds ran")
        id_first = tour.docker("inspect", "-f", "{{.Id}}", alias)
        python = tour.docker("run", "--rm", alias, "python", "-c", "import numpy, sys; print(sys.executable)")
        expect(python == f"/azureml-envs/{first['conda_environment']}/bin/python", f"in the image, python is {python}")
    with step("2. A save that changes only a comment: nothing is built"):
        file.write_text("# a better comment\n" + file.read_text())
        until("the save was seen", lambda: tour.view("training")["state"] == "ready")
        expect(tour.wait("training")["image"] == first["image"], f"the name is still {first['image']}")
        expect(tour.builds() == 2, "still two builds")
    with step("3. A real edit: one package more, one build, and the tag moves"):
        before = file.read_text()
        file.write_text(before.replace("  - numpy\n", "  - numpy\n  - six\n"))
        second = tour.wait("training")
        expect(second["image"] != first["image"], f"the name is now {second['image']}")
        expect(tour.builds() == 3, "one more build ran")
        until("the tag moved", lambda: tour.docker("inspect", "-f", "{{.Id}}", alias) == second["image_id"])
    with step("4. The edit taken back: the image is there, it is tagged, not built"):
        file.write_text(before)
        expect(tour.wait("training")["image"] == first["image"], f"the name is {first['image']} again")
        until("the tag is back", lambda: tour.docker("inspect", "-f", "{{.Id}}", alias) == id_first)
        expect(tour.builds() == 3, "no build ran")
    with step("5. A broken file: the error says where, the good image stays"):
        file.write_text(before.replace("dependencies:", "dependencies"))
        until("the error is seen", lambda: tour.view("training")["state"] == "invalid")
        tour.show("status", "training")
        expect(tour.docker("inspect", "-f", "{{.Id}}", alias) == id_first, f"{alias} is still the good image")
    with step("6. Mended, and the state of everything"):
        file.write_text(before)
        tour.wait("training")
        tour.show("status")
        expect(tour.builds() == 3, "three builds in all")


def main() -> int:
    facts = json.loads(TESTBED.read_text())
    if not facts["docker_cli"]:
        print("The tour needs the `docker` command beside the engine: install Docker's client.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="envkiln-demo-") as directory:
        tour = Tour(Path(directory), facts)
        tour.copy_examples()
        try:
            try:
                play(tour)
            finally:
                tour.stop()
                tour.remove_images()
        except Surprise as surprise:
            print(f"\nThe tour ended early: {surprise}", file=sys.stderr)
            return 1
    print(f"\n{GREEN}That was all: the service has stopped, its images and files are removed.{END}")
    print("Try it on your own: .venv/bin/envkiln up DIRECTORY")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
