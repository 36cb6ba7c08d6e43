"""A package index and a channel that ask for credentials, in front of those of the test bed.

On `pythonpath` (pyproject.toml): test files import it as `private_index`.
"""

import base64
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.error import HTTPError
from urllib.parse import urlsplit


class PrivateIndex:
    """`/t/<token>/channel` is the channel, `/simple` the index for `user` and `password`; anything else is refused."""

    def __init__(self, channel: str, *, token: str, user: str, password: str) -> None:
        self.refused = 0
        base = channel.removesuffix("/channel")
        basic = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        index = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                if path.startswith(f"/t/{token}/"):
                    self._pass_on(f"{base}/{path.removeprefix(f'/t/{token}/')}")
                elif self.headers.get("Authorization") == basic:
                    self._pass_on(f"{base}{path}")
                else:
                    index.refused += 1
                    self._answer(401, b"", {"WWW-Authenticate": 'Basic realm="private"'})

            do_HEAD = do_GET  # noqa: N815 -- the name that http.server looks for

            def _pass_on(self, url: str) -> None:
                try:
                    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 -- the test bed's own
                        kind = answer.headers.get("Content-Type", "application/octet-stream")
                        self._answer(200, answer.read(), {"Content-Type": kind})
                except HTTPError as error:
                    self._answer(error.code, b"", {})

            def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        host = f"127.0.0.1:{self._server.server_port}"
        self.channel = f"http://{host}/t/{token}/channel"
        self.index = f"http://{user}:{password}@{host}/simple"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
