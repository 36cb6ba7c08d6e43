"""Debian's docker-registry as a process, and a proxy before it that goes wrong when it is told to.

On `pythonpath` (pyproject.toml): test files import it as `registry_server`.
"""

import base64
import gzip
import http.client
import json
import re
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from running import until

USER = "ada"
PASSWORD = "s3cret-of-ada"  # noqa: S105 -- of the registries that tests start
# bcrypt of the password: docker-registry takes no other.
_HTPASSWD = f"{USER}:$2b$04$9C26jybkc/9VFL9I4cA9GulfsEFEtBizgx1nRkvLn6TR9Yroorh/W\n"


class RegistryServer:
    """A registry of its own on a free port; `locked` wants USER and PASSWORD. Started when it is made.

    With a `certificate`, whose key is beside it, it speaks TLS.
    """

    def __init__(
        self, program: Path, directory: Path, *, locked: bool = False, certificate: Path | None = None
    ) -> None:
        self._program = program
        self._directory = directory
        self._directory.mkdir(parents=True, exist_ok=True)
        self._log = directory / "log"
        self._locked = locked
        self._certificate = certificate
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve what is stored; at the port of before, if there was one."""
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": str(self._directory / "store")}, "delete": {"enabled": True}},
            "http": {"addr": f"127.0.0.1:{self.port}"},
        }
        if self._locked:
            (self._directory / "htpasswd").write_text(_HTPASSWD)
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(self._directory / "htpasswd")}}
        if self._certificate is not None:
            key = self._certificate.with_suffix(".key")
            config["http"]["tls"] = {"certificate": str(self._certificate), "key": str(key)}
        # JSON is YAML.
        (self._directory / "config.yml").write_text(json.dumps(config))
        self._log.write_text("")
        with self._log.open("ab") as log:
            command = [str(self._program), "serve", str(self._directory / "config.yml")]
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        found = until(self._listening, self._log.read_text)
        self.port = int(found[1])

    def stop(self) -> None:
        """Nobody answers any more; what is stored stays."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Return (status, body) of one request, made as the user."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        login = {"Authorization": basic(USER, PASSWORD)} if self._locked else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, login | named)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def begin_upload(self, repository: str) -> str:
        """Return the path to which a blob can be put."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        login = {"Authorization": basic(USER, PASSWORD)} if self._locked else {}
        try:
            connection.request("POST", f"/v2/{repository}/blobs/uploads/", headers=login)
            response = connection.getresponse()
            response.read()
            place = urlsplit(response.headers["Location"])
            return f"{place.path}?{place.query}"
        finally:
            connection.close()

    def tags(self, repository: str) -> list[str]:
        status, body = self.call("GET", f"/v2/{repository}/tags/list")
        return sorted(json.loads(body)["tags"] or []) if status == 200 else []

    def requests(self) -> int:
        """Return how many requests it has answered since it was started."""
        return self._log.read_text(errors="replace").count('msg="response completed')

    def _listening(self) -> "re.Match[str] | None":
        if self._process is not None and self._process.poll() is not None:
            raise AssertionError(self._log.read_text())
        return re.search(r"listening on 127\.0\.0\.1:(\d+)", self._log.read_text())


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def docker_config(directory: Path, host: str, user: str = USER, password: str = PASSWORD) -> Path:
    """Write what `docker login` writes; returns the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    (directory / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return directory


Which = Callable[[str, str], bool]
"""Takes the method and path of a request."""


def everything(_method: str, _path: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with the requests that `which` chooses.

    `status` is answered instead; `cut` ends the connection in the middle of the answer, or, for an upload, of the
    request; `corrupt` changes a byte of the answer; `delay_s` lets it wait, at most until the fault is over.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"errors": []}'
    cut: bool = False
    corrupt: bool = False
    delay_s: float = 0.0
    which: Which = everything


def put_image(
    server: RegistryServer,
    repository: str,
    *,
    labels: dict[str, str] | None = None,
    variables: tuple[str, ...] = (),
    platform: str = "linux/amd64",
    tag: str = "latest",
    step: str | None = None,
) -> str:
    """Put an image of one small layer into a registry, without an engine; returns the digest of its manifest.

    `step` is what made it last, by itself the instruction that gave it its labels.
    """
    system, architecture = platform.split("/")
    if step is None:
        step = " ".join(["LABEL", *(f"{key}={value}" for key, value in (labels or {}).items())])
    layer = gzip.compress(b"\0" * 1024, mtime=0)
    config = {
        "os": system,
        "architecture": architecture,
        "config": {"Labels": labels or {}, "Env": list(variables)},
        "history": [{"created_by": step}] if step else [],
        "rootfs": {"type": "layers", "diff_ids": [_digest(b"\0" * 1024)]},
    }
    data = json.dumps(config).encode()
    for blob in (layer, data):
        status, _ = _upload(server, repository, blob)
        assert status == 201, status
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": len(data),
            "digest": _digest(data),
        },
        "layers": [
            {
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "size": len(layer),
                "digest": _digest(layer),
            }
        ],
    }
    return put_document(server, repository, tag, kind, manifest)


def put_document(server: RegistryServer, repository: str, tag: str, kind: str, document: dict[str, Any]) -> str:
    """Put a manifest or an index into a registry; returns its digest."""
    data = json.dumps(document).encode()
    status, said = server.call("PUT", f"/v2/{repository}/manifests/{tag}", data, Content_Type=kind)
    assert status == 201, said
    return _digest(data)


def _upload(server: RegistryServer, repository: str, blob: bytes) -> tuple[int, bytes]:
    place = server.begin_upload(repository)
    mark = "&" if "?" in place else "?"
    octets = "application/octet-stream"
    return server.call("PUT", f"{place}{mark}digest={_digest(blob)}", blob, Content_Type=octets)


def _digest(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"


class FaultProxy:
    """HTTP to the server at `port`, with `fault` (None: nothing goes wrong); `requests` are those that came."""

    def __init__(self, port: int) -> None:
        self.upstream = port
        self.requests: list[tuple[str, str]] = []
        self._fault: Fault | None = None
        self._over = threading.Event()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                proxy._pass(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 -- as the library has it

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass  # a connection that was cut, by us or by the other side

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def fault(self) -> Fault | None:
        return self._fault

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        """What goes wrong from now on; whoever was delayed by the fault of before goes on."""
        self._over.set()
        self._over = threading.Event()
        self._fault = fault

    def close(self) -> None:
        self.fault = None
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _pass(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests.append((handler.command, handler.path))
        fault, over = self._fault, self._over
        if fault is not None and not fault.which(handler.command, handler.path):
            fault = None
        if fault is not None and fault.delay_s:
            over.wait(fault.delay_s)
        if fault is not None and fault.cut and handler.command in ("PATCH", "PUT"):
            handler.rfile.read(16)
            _hang_up(handler)
            return
        body = _body(handler)
        if fault is not None and fault.status is not None:
            _answer(handler, fault.status, {"Content-Type": "application/json", **fault.headers}, fault.body)
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=120)
        try:
            connection.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in handler.headers.items():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    connection.putheader(name, value)
            if body or handler.command in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            data = response.read()
            headers = {name: value for name, value in response.getheaders() if name.lower() not in _HOP}
            if fault is not None and fault.corrupt and data:
                middle = len(data) // 2
                data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
            _answer(handler, response.status, headers, data, cut=fault is not None and fault.cut)
        except OSError:
            _hang_up(handler)
        finally:
            connection.close()


_HOP = ("transfer-encoding", "connection")


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("Transfer-Encoding", "").lower() == "chunked":
        pieces = []
        while length := int(handler.rfile.readline().split(b";")[0], 16):
            pieces.append(handler.rfile.read(length))
            handler.rfile.readline()
        handler.rfile.readline()
        return b"".join(pieces)
    return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))


def _answer(
    handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], data: bytes, *, cut: bool = False
) -> None:
    handler.send_response_only(status)
    length = len(data)
    for name, value in headers.items():
        if name.lower() != "content-length":
            handler.send_header(name, value)
    # An answer to HEAD has the length of what is not sent.
    told = headers.get("Content-Length", "0") if handler.command == "HEAD" else str(length)
    handler.send_header("Content-Length", told)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(data[: length // 2] if cut else data)
    if cut:
        _hang_up(handler)


def _hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    with suppress(OSError):
        handler.connection.shutdown(socket.SHUT_RDWR)
