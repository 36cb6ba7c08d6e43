"""Runs the real `envkiln` as processes: each world has directories of its own, and the engine in common.

On `pythonpath` (pyproject.toml): test files import it as `running`.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

from envkiln.cache.names import IMAGE_PREFIX
from envkiln.daemon.client import Client, ServiceDown
from envkiln.daemon.engine import Engine
from envkiln.daemon.paths import paths_from

PATIENCE_S = 60.0
"""Far above what is needed, far below a hanging test."""
_PAUSE_S = 0.03

T = TypeVar("T")
View = dict[str, Any]


def until(condition: Callable[[], T | None], what: object = "", limit_s: float = PATIENCE_S) -> T:
    """Return the first true value of `condition`; AssertionError with `what` (called, if it can be) after the limit."""
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit_s:g} s: {what() if callable(what) else what}")
        time.sleep(_PAUSE_S)
    return found


def processes_with(text: str) -> list[str]:
    """Return the command lines on this machine that hold `text`."""

    def command(directory: Path) -> str:
        try:
            return (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""

    return [line for line in map(command, Path("/proc").glob("[0-9]*")) if text in line]


class World:
    """Directories for one service and its commands. `mark` is like no other world's; definitions carry it."""

    def __init__(self, directory: Path, engine_url: str, **settings: Any) -> None:
        self.mark = f"e2e-{uuid.uuid4().hex[:10]}"
        self.directory = directory
        self.root = directory / "root"
        self.root.mkdir(parents=True)
        self.settings = {"build_network": "host", "base_image_digest": "ignore", "aliases": [f"{self.mark}/{{id}}"]}
        self.configure(**settings)
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("ENVKILN_")} | {
            "ENVKILN_STATE_DIR": str(directory / "state"),
            "XDG_RUNTIME_DIR": str(directory / "run"),
            "XDG_CONFIG_HOME": str(directory / "config"),
            "DOCKER_HOST": engine_url,
            # Worlds share an engine: none takes away what another may need, but those that say so.
            "ENVKILN_CLEAN_UP": "false",
            "TMPDIR": str(directory / "tmp"),
        }
        (directory / "tmp").mkdir()
        self.paths = paths_from(self.environ)
        self.client = Client(self.paths.socket)
        self.process: subprocess.Popen[bytes] | None = None
        self._output = directory / "output"
        self._names: set[str] = set()

    def configure(self, **settings: Any) -> None:
        """Write the root's `envkiln.toml`, with what was set before."""
        self.settings |= settings
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in self.settings.items()]
        self.write("envkiln.toml", "".join(lines))

    def configure_user(self, **settings: Any) -> None:
        """Write the user's own file, which may have more than that of a root."""
        self.paths.config_file.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in settings.items()]
        self.paths.config_file.write_text("".join(lines), encoding="utf-8")

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def conda(self, channel: str, *packages: str) -> str:
        """Return a conda file that no other world has."""
        lines = ["variables:", f"  MARK: {self.mark}", "channels:", f"  - {channel}", "dependencies:"]
        return "\n".join([*lines, *(f"  - {package}" for package in packages)]) + "\n"

    def dockerfile(self, *steps: str) -> str:
        """Return a Dockerfile that no other world has."""
        return "\n".join([f"FROM {self.settings['base_image']}", f"ENV MARK={self.mark}", *steps]) + "\n"

    # Processes

    def command(self, *words: object, limit_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
        """Run `envkiln` with these words to its end."""
        command = [sys.executable, "-m", "envkiln.daemon", *map(str, words)]
        return subprocess.run(
            command,
            env=self.environ,
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start `envkiln` with these words; the caller sees it to its end."""
        command = [sys.executable, "-m", "envkiln.daemon", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self.environ, cwd=self.directory, stdout=pipe, stderr=pipe, text=True)

    def answer(self, *words: object) -> str:
        """Return what a command that ends well prints."""
        done = self.command(*words)
        assert done.returncode == 0, done
        return done.stdout

    def spawn(self, *flags: str, environ: Mapping[str, str] | None = None, through: Sequence[str] = ()) -> None:
        """Start the service, with more variables or `through` a command if need be, and wait for nothing."""
        command = [*through, sys.executable, "-m", "envkiln.daemon", "up", str(self.root), "--plain", *flags]
        variables = {**self.environ, **(environ or {})}
        with self._output.open("ab") as output:
            self.process = subprocess.Popen(
                command, env=variables, cwd=self.directory, stdout=output, stderr=subprocess.STDOUT
            )

    def up(self, *flags: str, environ: Mapping[str, str] | None = None, through: Sequence[str] = ()) -> None:
        """Start the service and wait until it answers."""
        self.spawn(*flags, environ=environ, through=through)
        until(lambda: self.service() or self._ended(), self.output)

    def ended(self) -> int:
        """Wait for the service to end by itself; its exit code, as Popen has it."""
        assert self.process is not None
        process, self.process = self.process, None
        try:
            return process.wait(PATIENCE_S)
        finally:
            process.kill()
            process.wait()
            self._remember()

    def kill(self) -> None:
        """End the service as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask the service to stop; its exit code."""
        return self._end(signal.SIGTERM)

    def close(self, engine: Engine) -> None:
        """Kill what runs and remove the images of this world."""
        if self.process is not None:
            self._end(signal.SIGKILL)
        self._remember()
        # Not `images` of the engine, which leaves out what has no name of ours.
        for references, definition in _references(engine):
            aliases = {name for name in references if name.startswith(f"{self.mark}/")}
            names = {name for name in references if name.startswith(IMAGE_PREFIX)}
            # An image that was only tagged here, such as the base image, keeps its other names.
            self._names |= aliases | (names if aliases or self.mark in definition else set())
        for name in self._names:
            engine.remove(name)

    def _end(self, number: int) -> int:
        assert self.process is not None
        process, self.process = self.process, None
        self._remember()
        process.send_signal(number)
        try:
            return process.wait(PATIENCE_S)
        finally:
            process.kill()
            process.wait()

    def _ended(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"the service ended with {self.process.returncode}: {self.output()}")
        return False

    # What is seen from outside

    def service(self) -> View | None:
        """Return the service's answer, None while nobody answers."""
        with suppress(ServiceDown):
            return self.client.service()
        return None

    def view(self, id_: str) -> View:
        found = self.client.environment(id_)
        return found or {"environment": id_, "state": "unknown", "image": None}

    def until_state(
        self, id_: str, state: str, *, image_is_not: str | None = None, limit_s: float = PATIENCE_S
    ) -> View:
        """Wait for a state, of another image than `image_is_not`; returns the view."""

        def reached() -> View | None:
            view = self.view(id_)
            self._names |= {f"{view['image']}:latest"} if view["image"] else set()
            other = image_is_not is None or view["image"] != image_is_not
            return view if view["state"] == state and other else None

        return until(reached, lambda: f"{id_} {state}: {self.view(id_)}\n{self.output()}", limit_s)

    def until_alias(self, id_: str) -> View:
        """Wait until an environment is ready and the service knows of its alias, which is set later; the view."""

        def settled() -> View | None:
            view = self.view(id_)
            return view if view["state"] == "ready" and self.alias(id_) in view["tags"] else None

        self.until_state(id_, "ready")
        return until(settled, lambda: f"the alias of {self.view(id_)}\n{self.output()}")

    def alias(self, id_: str) -> str:
        return f"{self.mark}/{id_}:latest"

    def output(self) -> str:
        """Return what the service has printed, over all of its starts."""
        return self._output.read_text(encoding="utf-8") if self._output.exists() else ""

    def until_output(self, text: str) -> None:
        until(lambda: text in self.output(), lambda: f"{text!r} in {self.output()}")

    def logs(self) -> list[Path]:
        """Return the log of every build that was started."""
        return sorted(self.paths.logs.glob("*/*.log"))

    def _remember(self) -> None:
        self._names |= {f"{IMAGE_PREFIX}{log.parent.name}:latest" for log in self.logs()}


class Gate:
    """Holds builds: a step that `passes` it waits until it is opened. A step whose process ends counts no more."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._lock = threading.Lock()
        self._waiting = 0
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if gate._wait(self.connection):
                    self.send_response(200)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                else:
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def step(self) -> str:
        """The line for a Dockerfile."""
        url = f"http://127.0.0.1:{self._server.server_port}/"
        return f"RUN python3 -c \"import urllib.request; urllib.request.urlopen('{url}').read()\""

    @property
    def waiting(self) -> int:
        """How many steps stand before the gate now."""
        return self._waiting

    def open(self) -> None:
        self._open.set()

    def close(self) -> None:
        """End for good; who still waits is let go."""
        self.open()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _wait(self, connection: socket.socket) -> bool:
        """Return True when opened, False when the other side is gone."""
        with self._lock:
            self._waiting += 1
        connection.settimeout(_PAUSE_S)
        try:
            while not self._open.is_set():
                with suppress(TimeoutError):
                    return connection.recv(1) != b""
            connection.settimeout(None)
        except OSError:
            return False
        finally:
            with self._lock:
                self._waiting -= 1
        return True


def image_id(engine: Engine, reference: str) -> str | None:
    """Return the id of the image that has the reference, None when none has."""
    image = engine.inspect(reference)
    return image.id if image else None


def _references(engine: Engine) -> Iterator[tuple[list[str], str]]:
    """Yield every image's references, and the definition in its label."""
    client = engine.new_client()
    try:
        for image in client.images():
            names = [name for name in image["RepoTags"] or () if name != "<none>:<none>"]
            yield names, (image["Labels"] or {}).get("envkiln.definition", "")
    finally:
        client.close()


def container_commands(engine: Engine) -> Iterator[str]:
    """Yield the command of every container, stopped ones too."""
    client = engine.new_client()
    try:
        listed: list[Mapping[str, Any]] = client.containers(all=True)
        for container in listed:
            yield str(container["Command"])
    finally:
        client.close()
