"""How a registry is told who asks, with a token: a small server wants one, as Azure's and Docker's registries do."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from envkiln.cache.names import IMAGE_PREFIX
from envkiln.daemon.credentials import Credentials
from envkiln.daemon.registry_address import RegistryAddress
from envkiln.daemon.registry_auth import Challenge
from envkiln.daemon.registry_client import RegistryClient
from envkiln.daemon.registry_errors import NoAnswer

NAME = IMAGE_PREFIX + "0" * 32
REPOSITORY = f"repository:{NAME}"
ADA = Credentials("ada", "s3cret")


class TokenServer:
    """A registry that has nothing and wants a token, and the server that gives it."""

    def __init__(self) -> None:
        self.realm: str | None = None
        """The address of tokens, if it is not this server's own."""
        self.asked: list[dict[str, Any]] = []
        """What came with each request for a token."""
        self.good = True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                if url.path == "/token":
                    outer._token(self, parse_qs(url.query))
                elif self.headers.get("Authorization") == f"Bearer for {REPOSITORY}:pull":
                    self._say(404, {"errors": [{"code": "MANIFEST_UNKNOWN"}]})
                else:
                    realm = outer.realm or f"http://{outer.host}/token"
                    challenge = f'Bearer realm="{realm}",service="the registry",scope="ignored"'
                    self._say(401, {"errors": [{"code": "UNAUTHORIZED"}]}, {"WWW-Authenticate": challenge})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer._token(self, parse_qs(body))

            def _say(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
                data = json.dumps(document).encode()
                self.send_response(status)
                for name, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _token(self, handler: Any, given: dict[str, list[str]]) -> None:
        self.asked.append({name: values[0] for name, values in given.items()})
        self.asked[-1]["login"] = handler.headers.get("Authorization")
        if self.good:
            handler._say(200, {"token": f"for {given['scope'][0]}", "expires_in": 300})
        else:
            handler._say(401, {})


@pytest.fixture
def server() -> Iterator[TokenServer]:
    made = TokenServer()
    yield made
    made.close()


def client(server: TokenServer, who: Credentials | None = ADA) -> RegistryClient:
    return RegistryClient(RegistryAddress.parse(server.host), lambda: who)


def test_a_token_is_asked_for_once_with_the_log_in_for_what_is_wanted(server: TokenServer) -> None:
    asked = client(server)
    assert asked.manifest(NAME, "latest") is None
    assert asked.manifest(NAME, "latest") is None
    login = "Basic " + base64.b64encode(b"ada:s3cret").decode()
    assert server.asked == [{"service": "the registry", "scope": f"{REPOSITORY}:pull", "login": login}]


def test_a_public_registry_gives_a_token_to_anybody(server: TokenServer) -> None:
    assert client(server, None).manifest(NAME, "latest") is None
    assert server.asked[0]["login"] is None


def test_an_identity_token_is_exchanged(server: TokenServer) -> None:
    assert client(server, Credentials(identity_token="refresh-me")).manifest(NAME, "latest") is None  # noqa: S106
    (asked,) = server.asked
    assert asked["grant_type"] == "refresh_token"
    assert asked["refresh_token"] == "refresh-me"  # noqa: S105


def test_a_log_in_that_is_not_taken_is_no_answer_and_not_repeated(server: TokenServer) -> None:
    server.good = False
    with pytest.raises(NoAnswer) as caught:
        client(server).manifest(NAME, "latest")
    assert "does not take the log-in" in caught.value.message
    assert "s3cret" not in f"{caught.value!r} {caught.value.hint}"


def test_a_log_in_is_not_sent_in_clear_to_another_machine(server: TokenServer) -> None:
    server.realm = "http://tokens.example/token"
    with pytest.raises(NoAnswer, match="not https"):
        client(server).manifest(NAME, "latest")
    assert server.asked == []


@pytest.mark.parametrize(
    ("header", "scheme", "realm"),
    [
        ('Bearer realm="https://a/t",service="s",scope="x,y"', "bearer", "https://a/t"),
        ('Basic realm="Registry Realm"', "basic", "Registry Realm"),
        ("Negotiate", "negotiate", ""),
        ("", "", ""),
    ],
)
def test_challenges(header: str, scheme: str, realm: str) -> None:
    challenge = Challenge.parse(header)
    assert (challenge.scheme, challenge.realm) == (scheme, realm)


def test_credentials_do_not_show_themselves() -> None:
    assert "s3cret" not in repr(ADA)
