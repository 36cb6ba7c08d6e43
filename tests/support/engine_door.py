"""A socket in front of the engine: what stands behind it can be cut off, hang, be slow, or answer nonsense.

On `pythonpath` (pyproject.toml): test files import it as `engine_door`.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ERROR_500 = b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: 34\r\n\r\n"
ERROR_500 += b'{"message":"layer does not exist"}'
BROKEN_JSON = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"Version": '
_CHUNK = 1 << 16


class EngineDoor:
    """Shut at first. Whatever is chosen counts for every connection, also for those that are through."""

    def __init__(self, engine_url: str, path: Path) -> None:
        self._engine_url = engine_url
        self._path = path
        self._listener: socket.socket | None = None
        self._through: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._flows = threading.Event()
        self._flows.set()
        self._reply: bytes | None = None
        self._delay_s = 0.0
        self._never = threading.Event()

    @property
    def url(self) -> str:
        return f"unix://{self._path}"

    def open(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen(64)
        self._start(self._serve, self._listener)

    def shut(self) -> None:
        """Nothing listens any more, and every connection is cut."""
        self.heal()
        listener, self._listener = self._listener, None
        self._path.unlink(missing_ok=True)
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)
            self._threads.pop(0).join()
            listener.close()
        self._cut()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def hang(self) -> None:
        """Take everything, and let nothing through any more."""
        self._flows.clear()

    def slow(self, delay_s: float) -> None:
        """Let every piece wait this long."""
        self._delay_s = delay_s

    def reply(self, answer: bytes) -> None:
        """Answer every request with this; what is through is cut."""
        self._reply = answer
        self._cut()

    def heal(self) -> None:
        """Let the engine answer again, as fast as it does."""
        self._reply, self._delay_s = None, 0.0
        self._flows.set()

    def _cut(self) -> None:
        with self._lock:
            for connection in self._through:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _start(self, target: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()
        return thread

    def _serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                inner, _ = listener.accept()
                self._start(self._carry, inner)

    def _carry(self, inner: socket.socket) -> None:
        with inner, suppress(OSError):
            reply = self._reply
            if reply is not None:
                self._answer(inner, reply)
                return
            with self._connect() as outer:
                self._join(inner, outer)

    def _join(self, inner: socket.socket, outer: socket.socket) -> None:
        with self._lock:
            self._through |= {inner, outer}
        back = threading.Thread(target=self._copy, args=(outer, inner))
        back.start()
        self._copy(inner, outer)
        back.join()
        with self._lock:
            self._through -= {inner, outer}

    def _answer(self, inner: socket.socket, reply: bytes) -> None:
        """Answer one request: the client sees the connection close, and opens another for the next."""
        request = b""
        while b"\r\n\r\n" not in request and (data := inner.recv(_CHUNK)):
            request += data
        if request:
            inner.sendall(reply)

    def _connect(self) -> socket.socket:
        scheme, _, place = self._engine_url.partition("://")
        if scheme == "unix":
            outer = socket.socket(socket.AF_UNIX)
            outer.connect(place)
            return outer
        host, _, port = place.rpartition(":")
        return socket.create_connection((host, int(port)))

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                self._never.wait(self._delay_s)
                self._flows.wait()
                target.sendall(data)
        # Only this direction has ended: the other side may still have something to say.
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
