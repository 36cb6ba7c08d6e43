"""Asks a running service over its Unix socket. Imports little: every query starts here."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

from envkiln.cache.errors import EnvkilnError, Turn


class ServiceDown(EnvkilnError):  # noqa: N818 -- what it is
    """No service answers on the socket."""

    turn = Turn.SURROUNDINGS


class Client:
    """One service. Every method raises ServiceDown when nobody answers."""

    def __init__(self, path: Path, *, timeout_s: float = 5.0) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def service(self) -> dict[str, Any]:
        """Return the whole service's view (`views.ServiceView`)."""
        found = self._ask("GET", "/v1/service")
        if found is None:
            raise ServiceDown("the service is another program", hint=f"what listens on {self._path}?")
        return found

    def environment(self, id_: str) -> dict[str, Any] | None:
        """Return one environment's view (`views.EnvironmentView`), None when there is none of that id."""
        return self._ask("GET", f"/v1/environments/{_quoted(id_)}")

    def wait(self, id_: str, timeout_s: float) -> dict[str, Any] | None:
        """Return the view when the environment is settled, or after `timeout_s` (at most a minute)."""
        return self._ask("GET", f"/v1/environments/{_quoted(id_)}?wait={timeout_s:.3f}", wait_s=timeout_s)

    def build(self, id_: str) -> dict[str, Any] | None:
        """Ask for a build of an environment; its view, None when there is none of that id."""
        return self._ask("POST", f"/v1/environments/{_quoted(id_)}/build")

    def _ask(self, method: str, target: str, *, wait_s: float = 0.0) -> dict[str, Any] | None:
        connection = _UnixConnection(self._path, self._timeout_s + wait_s)
        try:
            connection.request(method, target)
            response = connection.getresponse()
            body = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ServiceDown(
                f"no envkiln service answers on {self._path} ({error})", hint="start it with: envkiln up"
            ) from error
        finally:
            connection.close()
        return body if response.status == 200 and isinstance(body, dict) else None


def _quoted(id_: str) -> str:
    return quote(id_, errors="surrogateescape")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("envkiln", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
