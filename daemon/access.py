"""Who may come in by TCP: whoever has the token, from this machine, and no page of another origin."""

import hashlib
import hmac
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from envkiln.daemon.journal import encoded
from envkiln.daemon.messages import ErrorView
from envkiln.daemon.routes import VERSION_HEADERS

_SECURITY = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with none at all, the forms of browsers come with the origin `null`
    "cross-origin-resource-policy": "same-origin",
}
_SECURITY_HEADERS = [(name.encode(), value.encode()) for name, value in _SECURITY.items()]
_SAFE = frozenset({"GET", "HEAD"})
_HINT = "open the link that `envkiln web` prints, or send its token as `Authorization: Bearer TOKEN`"


def behind_token(app: ASGIApp, *, token: str, port: int) -> ASGIApp:
    """Return `app` for those who come to 127.0.0.1:`port` with `token`.

    The token comes as `Authorization: Bearer`, or once as `/?token=...`: that sets a cookie, and leads to `/`. A
    request that changes something and has only the cookie must say that it comes from our own page.
    """
    return _Door(app, token, port)


class _Door:
    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})
        # Browsers send a cookie to all ports of a host: each has its own name, and none has the token itself.
        self._cookie = f"envkiln-{port}"
        self._pass = hmac.new(self._token, f"cookie {port}".encode(), hashlib.sha256).hexdigest().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # nothing here speaks WebSocket: the server says no for us

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*_without_security(message.get("headers", ())), *_SECURITY_HEADERS]
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, sending)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return the answer to a request that does not get in, None for one that does."""
        headers = Headers(scope=scope)
        strange = self._strange(headers)
        if strange is not None or scope["path"] == "/healthz" or self._has_token(headers):
            return strange
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        tokens = [value for name, value in query if name == "token"]
        if tokens and scope["path"] == "/" and scope["method"] in _SAFE:
            if all(hmac.compare_digest(token.encode(errors="replace"), self._token) for token in tokens):
                return self._let_in([(name, value) for name, value in query if name != "token"])
            return _refused(403, "the link is not, or not any more, that of this service", _HINT)
        if not self._has_cookie(headers):
            return _not_known(headers)
        if scope["method"] not in _SAFE and "origin" not in headers:
            return _refused(403, "a request that changes something has to say its origin", None)
        return None

    def _strange(self, headers: Headers) -> Response | None:
        """Return the answer to a request that does not come to our address, or not from our own page."""
        hosts = [host.lower() for host in headers.getlist("host")]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            # A page of another name that leads here (DNS rebinding) has no business with us.
            return _refused(403, "this is not the address of the service", "use http://127.0.0.1 and its port")
        if any(origin.lower() != f"http://{hosts[0]}" for origin in headers.getlist("origin")):
            return _refused(403, "a page of another origin may not ask here", None)
        return None

    def _has_token(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode("latin-1"), self._token)

    def _has_cookie(self, headers: Headers) -> bool:
        # Not `http.cookies`, which stops at the first odd cookie: other programs on this host set some too.
        for cookie in ";".join(headers.getlist("cookie")).split(";"):
            name, _, value = cookie.strip().partition("=")
            if name == self._cookie and hmac.compare_digest(value.encode("latin-1"), self._pass):
                return True
        return False

    def _let_in(self, query: list[tuple[str, str]]) -> Response:
        place = "/?" + urlencode(query) if query else "/"
        response = Response(
            status_code=303, headers={**VERSION_HEADERS, "location": place, "cache-control": "no-store"}
        )
        response.set_cookie(self._cookie, self._pass.decode(), httponly=True, samesite="strict", path="/")
        return response


def _without_security(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.decode("latin-1").lower() not in _SECURITY]


def _not_known(headers: Headers) -> Response:
    challenge = {"www-authenticate": "Bearer", **VERSION_HEADERS}
    if "text/html" in headers.get("accept", ""):
        text = "This page opens with its link only.\n\nThe command `envkiln web` prints it.\n"
        return PlainTextResponse(text, 401, headers=challenge)
    return _refused(401, "no token", _HINT, challenge)


def _refused(status: int, error: str, hint: str | None, headers: dict[str, str] | None = None) -> Response:
    headers = {**VERSION_HEADERS, **(headers or {})}
    return Response(encoded(ErrorView(error, hint)), status, headers, media_type="application/json")
