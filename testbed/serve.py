"""Serves the conda channel and the package index on 127.0.0.1, as a process of its own."""

from __future__ import annotations

import http.server
import os
import re
import sys
import urllib.request
from functools import partial
from http import HTTPStatus
from pathlib import Path

import background
from layout import Layout
from steps import step
from wheels import public_index

USUAL_PORT = 8765
START_DEADLINE = 15.0

# Well-known channels that the one channel stands for: a `.condarc` whose channel
# alias is this server makes `conda-forge` and friends work.
CHANNEL_NAMES = {"anaconda", "conda-forge", "defaults", "local", "main", "nvidia", "pytorch"}
# Names that are never looked up elsewhere, so that tests can fail fast and off line.
OWN_PREFIX = "envkiln-"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files below a directory; other projects are redirected to the public index."""

    protocol_version = "HTTP/1.1"
    public_index = ""

    def send_head(self) -> object:  # type: ignore[override]
        """Rewrite channel names, redirect unknown projects, serve the rest."""
        first, _, rest = self.path.lstrip("/").partition("/")
        if first in CHANNEL_NAMES:
            self.path = f"/channel/{rest}"
        project = re.fullmatch(r"/simple/([a-z0-9-]+)/", self.path)
        unknown = project and not Path(self.translate_path(self.path)).is_dir()
        if project and unknown and not project[1].startswith(OWN_PREFIX):
            self.send_response(HTTPStatus.FOUND)
            self.send_header("Location", f"{self.public_index}/{project[1]}/")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        return super().send_head()


class Server(http.server.ThreadingHTTPServer):
    """A server that can be restarted at once on the port it had."""

    allow_reuse_address = True
    daemon_threads = True


def serve(layout: Layout) -> None:
    """Serve until killed; the port is written to `server/port`."""
    Handler.public_index = public_index(layout)
    remembered = layout.server / "port"
    ports = [int(remembered.read_text())] if remembered.exists() else []
    handler = partial(Handler, directory=str(layout.served))
    for port in [*ports, USUAL_PORT, 0]:
        try:
            server = Server(("127.0.0.1", port), handler)
        except OSError:
            continue
        break
    (layout.server / "pid").write_text(str(os.getpid()))
    remembered.write_text(str(server.server_port))
    server.serve_forever()


def address(layout: Layout) -> str | None:
    """The running server's address, or None."""
    if background.running_pid(layout.server / "pid", str(layout.root)) is None:
        return None
    where = f"http://127.0.0.1:{(layout.server / 'port').read_text()}"
    # Straight to the port: a proxy of the environment has no business here.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{where}/channel/noarch/repodata.json", timeout=3) as reply:
            return where if reply.status == HTTPStatus.OK else None
    except OSError:
        return None


def provide_server(layout: Layout) -> str:
    """Start the server unless it runs; returns its address."""
    with step("channel server") as current:
        where = address(layout)
        current.note = f"{where}, running already"
        if where is None:
            stop_server(layout)
            log = layout.server / "server.log"
            command: list[str | Path] = [sys.executable, Path(__file__).resolve(), layout.root]
            process = background.start(command, log, os.environ)
            background.wait_until(lambda: address(layout) is not None, process, log, "the channel", START_DEADLINE)
            where = str(address(layout))
            current.note = where
    return where


def stop_server(layout: Layout) -> bool:
    """Stop the server; tells whether it was running."""
    return background.stop(layout.server / "pid", str(layout.root))


if __name__ == "__main__":
    serve(Layout(Path(sys.argv[1])))
