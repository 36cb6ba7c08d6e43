"""How a registry is told who asks: HTTP's own log-in, or a token for what is asked (distribution's token scheme)."""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from envkiln.daemon.credentials import Credentials
from envkiln.daemon.registry_address import is_loopback
from envkiln.daemon.registry_errors import NoAnswer, forbidden

_PARAMETER = re.compile(r'([a-z_]+)="([^"]*)"', re.IGNORECASE)
_KEPT_S = 60.0
"""How long a log-in is kept in memory: a credential helper is a program, and an image takes several questions."""

Fetch = Callable[[str, str, Mapping[str, str], bytes | None], tuple[int, bytes]]
"""Takes method, URL, headers and body of a request; returns its status and the body of its answer."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a registry wants to be told (`WWW-Authenticate`): `scheme` is in lower case."""

    scheme: str
    realm: str = ""
    service: str = ""

    @classmethod
    def parse(cls, header: str) -> "Challenge":
        """Return the challenge in a header; an empty scheme where there is none."""
        scheme, _, rest = header.strip().partition(" ")
        values = {name.lower(): value for name, value in _PARAMETER.findall(rest)}
        return cls(scheme.lower(), values.get("realm", ""), values.get("service", ""))


@dataclass(slots=True)
class Authorizer:
    """Makes the header `Authorization` for one registry; what it learnt is kept in memory for a minute.

    `credentials` is asked anew after that, so that a `docker login` counts without a restart.
    """

    host: str
    credentials: Callable[[], Credentials | None]
    fetch: Fetch
    _kept: dict[str, tuple[float, str]] = field(default_factory=dict, repr=False)

    def known(self, scope: str) -> str | None:
        """Return the header that was good for `scope` before."""
        until, header = self._kept.get(scope, (0.0, ""))
        return header if time.monotonic() < until else None

    def answer(self, challenge: Challenge, scope: str) -> str:
        """Return the header that answers `challenge`; raises NoAnswer where nobody may know who we are."""
        self._kept.pop(scope, None)
        if challenge.scheme == "basic":
            who = self.credentials()
            if who is None:
                raise forbidden(self.host, "wants a log-in")
            header, lasts = who.basic, _KEPT_S
        elif challenge.scheme == "bearer":
            header, lasts = self._token(challenge, scope)
        else:
            raise forbidden(self.host, "wants a log-in of a kind that envkiln does not know")
        self._kept[scope] = (time.monotonic() + lasts, header)
        return header

    def _token(self, challenge: Challenge, scope: str) -> tuple[str, float]:
        realm = urlsplit(challenge.realm)
        if realm.scheme != "https" and not (realm.scheme == "http" and is_loopback(realm.netloc)):
            raise forbidden(self.host, "sends log-ins to an address that is not https")
        who = self.credentials()
        if who is not None and who.identity_token:
            form = {
                "grant_type": "refresh_token",
                "service": challenge.service,
                "scope": scope,
                "refresh_token": who.identity_token,
                "client_id": "envkiln",
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            status, body = self.fetch("POST", challenge.realm, headers, urlencode(form).encode())
        else:
            query = urlencode({"service": challenge.service, "scope": scope})
            url = f"{challenge.realm}{'&' if realm.query else '?'}{query}"
            status, body = self.fetch("GET", url, {"Authorization": who.basic} if who else {}, None)
        if status in (401, 403):
            raise forbidden(self.host, "does not take the log-in" if who else "wants a log-in")
        return _read_token(self.host, status, body)


def _read_token(host: str, status: int, body: bytes) -> tuple[str, float]:
    try:
        document = json.loads(body) if status == 200 else {}
        token = document.get("token") or document.get("access_token")
        lasts = float(document.get("expires_in") or _KEPT_S)
    except (ValueError, TypeError, AttributeError):
        token, lasts = None, 0.0
    if not token:
        raise NoAnswer(f"{host} gave no token for a log-in (HTTP {status})", hint="it is asked again")
    # A little less than it lasts: it has to get there, too.
    return f"Bearer {token}", min(lasts * 0.8, _KEPT_S)
