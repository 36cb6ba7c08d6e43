"""Questions to a service with 10,000 environments while a build runs."""

import http.client
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engine_bench import Bed
from rows import Row, median, quantile, write_environments

COUNT = 10_000
QUESTIONS = 2000
_BUILD_STEPS = 400
"""Lines that the build prints, one every 50 ms: it runs for longer than the questions take."""


class Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("envkiln", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def ask(connection: Connection, target: str) -> tuple[float, bytes]:
    """Return how long one question took, and its answer."""
    started = time.perf_counter()
    connection.request("GET", target)
    body = connection.getresponse().read()
    return time.perf_counter() - started, body


ECHO = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1] + ".new")
listener.listen()
os.rename(sys.argv[1] + ".new", sys.argv[1])
near, _ = listener.accept()
while data := near.recv(65536):
    near.sendall(data)
"""


class Echo:
    """A process that sends back what it gets: what the machine itself takes for a question, with all that it does."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen([sys.executable, "-c", ECHO, str(path)])
        while not path.exists():
            time.sleep(0.01)
        self._near = socket.socket(socket.AF_UNIX)
        self._near.connect(str(path))

    def ask(self) -> float:
        started = time.perf_counter()
        self._near.sendall(b"x" * 400)
        self._near.recv(65536)
        return time.perf_counter() - started

    def end(self) -> None:
        self._near.close()
        self._process.wait()


def measure(path: Path, echo: Echo) -> tuple[list[float], list[float]]:
    """Return how long each question took, and each echo between them."""
    connection = Connection(path)
    one = "many/group{0:03}/environment{1:05}"
    lists = (f"/v1/environments?after={one}", "/v1/environments?text=nt{1:05}")
    targets = (f"/v1/environments/{one}", *lists, "/v1/service")
    taken, echoed = [], []
    for number in range(QUESTIONS):
        target = targets[number % len(targets)].format(number * 97 % COUNT // 100, number * 97 % COUNT)
        taken.append(ask(connection, target)[0])
        echoed.append(echo.ask())
        time.sleep(0.002)  # a second of questions would fall between two lines of the build
    return taken, echoed


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        bed = Bed.at(scratch)
        root = scratch / "envs"
        write_environments(root / "many", COUNT)
        (root / "one").mkdir()
        step = f"RUN i=0; while [ $i -lt {_BUILD_STEPS} ]; do echo line $i; i=$((i+1)); sleep 0.05; done"
        unique = time.time_ns()
        (root / "one" / "Dockerfile").write_text(f"FROM {bed.base_image}\nENV UNIQUE={unique}\n{step}\n")
        pattern = '[[pattern]]\nmatch = "many/**"\nbuild = false\n'
        settings = f'base_image = "{bed.base_image}"\nbuild_network = "host"\n'
        (root / "envkiln.toml").write_text(settings + pattern)
        command = [sys.executable, "-P", "-m", "envkiln.daemon", "up", str(root), "--plain"]
        service = subprocess.Popen(command, env=bed.environ, stdout=subprocess.DEVNULL)
        path = scratch / "run" / "envkiln" / "envkiln.sock"
        try:
            while not path.exists() or b'"building"' not in ask(Connection(path), "/v1/environments/one")[1]:
                time.sleep(0.2)
            echo = Echo(scratch / "echo")
            taken, echoed = measure(path, echo)
            echo.end()
            if b'"building"' not in ask(Connection(path), "/v1/environments/one")[1]:
                raise SystemExit("the build ended before the questions")
        finally:
            service.terminate()
            service.wait()
    reference = f"an echo over a socket: {_spelled(echoed)}"
    return [Row(f"a question at {COUNT} environments while a build runs", reference, _spelled(taken), "<= 5 ms p99")]


def _spelled(taken: list[float]) -> str:
    return f"{median(taken) * 1000:.2f} ms p50, {quantile(taken, 0.99) * 1000:.2f} ms p99"


if __name__ == "__main__":
    print(rows())
