"""The few calls of the Docker Engine API that the test bed needs."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import urllib.parse
from typing import TYPE_CHECKING, Any

from steps import TestbedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class EngineApi:
    """An engine at `unix://path` or `tcp://host:port` (without TLS)."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._address = urllib.parse.urlsplit(host)
        if self._address.scheme not in {"unix", "tcp"}:
            raise TestbedError(f"cannot talk to an engine at {host}", "use unix:// or tcp://")

    def version(self) -> str | None:
        """The engine's version, or None when no working engine answers there."""
        try:
            with self._request("GET", "/version", timeout=3.0) as reply:
                return str(json.load(reply)["Version"]) if reply.status == 200 else None
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            return None

    def info(self) -> dict[str, Any]:
        """What the engine says about itself."""
        with self._request("GET", "/info", timeout=30.0) as reply:
            answer: dict[str, Any] = json.load(reply)
        return answer

    def has_bridge_network(self) -> bool:
        """Whether containers can have a network of their own."""
        with self._request("GET", "/networks/bridge", timeout=30.0) as reply:
            return reply.status == 200

    def image_labels(self, name: str) -> dict[str, str] | None:
        """Labels of an image, or None when there is no such image."""
        with self._request("GET", f"/images/{name}/json", timeout=30.0) as reply:
            if reply.status == 404:
                return None
            return dict(json.load(reply)["Config"].get("Labels") or {})

    def images_with_label(self, label: str) -> list[str]:
        """Ids of all images that carry the label."""
        query = urllib.parse.urlencode({"all": 0, "filters": json.dumps({"label": [label]})})
        with self._request("GET", f"/images/json?{query}", timeout=30.0) as reply:
            return [str(image["Id"]) for image in json.load(reply)]

    def remove_image(self, name: str) -> None:
        """Remove an image with all its tags; one that is gone or in use is left alone."""
        with self._request("DELETE", f"/images/{name}?force=1", timeout=120.0):
            pass

    def saved_images(self, name: str) -> Iterator[bytes]:
        """Yield an image as an archive that `load_images` of another engine takes."""
        with self._request("GET", f"/images/{name}/get", timeout=300.0) as reply:
            while block := reply.read(1 << 20):
                yield block

    def load_images(self, archive: Iterable[bytes]) -> None:
        """Load an archive of images, with their names."""
        self._work("/images/load?quiet=1", archive)

    def import_image(self, name: str, changes: Iterable[str], archive: Iterable[bytes]) -> None:
        """Make an image of one layer from a root file system in tar format."""
        repository, _, tag = name.partition(":")
        query = [("fromSrc", "-"), ("repo", repository), ("tag", tag)]
        query += [("changes", change) for change in changes]
        self._work(f"/images/create?{urllib.parse.urlencode(query)}", archive)

    def build_image(self, name: str, context: bytes, *, host_network: bool = False) -> None:
        """Build a context (tar format) with the classic builder."""
        query = {"t": name, "rm": "1", "forcerm": "1"}
        if host_network:
            query["networkmode"] = "host"
        self._work(f"/build?{urllib.parse.urlencode(query)}", [context])

    def _work(self, path: str, body: Iterable[bytes]) -> None:
        """Send a long job; its errors come in the stream of an answer that says 200."""
        job = path.partition("?")[0]
        with self._request("POST", path, timeout=900.0, body=body) as reply:
            lines = reply.read().decode(errors="replace").splitlines()
            if reply.status >= 400:
                raise TestbedError(f"the engine refused {job}: {lines[-1:]}")
        for line in lines:
            if line.startswith("{") and (error := json.loads(line).get("error")):
                raise TestbedError(f"the engine failed at {job}: {error}")

    def _request(
        self, method: str, path: str, *, timeout: float, body: Iterable[bytes] | None = None
    ) -> http.client.HTTPResponse:
        connection: http.client.HTTPConnection
        if self._address.scheme == "unix":
            connection = _UnixConnection(self._address.path, timeout)
        else:
            connection = http.client.HTTPConnection(
                self._address.hostname or "localhost", self._address.port or 2375, timeout=timeout
            )
        headers = {"Content-Type": "application/x-tar"} if body is not None else {}
        # One connection per call: the answer closes it, so nothing is left open.
        headers["Connection"] = "close"
        # An engine that refuses a long body answers and closes: read the answer.
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, path, body=body, headers=headers, encode_chunked=body is not None)
        except OSError:
            connection.close()
            raise
        return connection.getresponse()
