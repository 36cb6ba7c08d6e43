"""One registry over HTTP (OCI distribution specification): what it has, and what it is given."""

import json
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin
from urllib.request import getproxies, proxy_bypass

from envkiln.daemon.credentials import Credentials
from envkiln.daemon.manifests import ACCEPTED
from envkiln.daemon.registry_address import RegistryAddress, is_loopback
from envkiln.daemon.registry_auth import Authorizer, Challenge
from envkiln.daemon.registry_errors import NoAnswer, refused, unreachable

if TYPE_CHECKING:
    import urllib3

_CONNECT_S = 5.0
_LEFT_ALONE_S = 2.0
"""How long nobody else tries a registry that could not be reached: thousands of names may want to know."""
_MOST_BYTES = 8 * 1024 * 1024
"""No manifest, configuration or list of tags is longer."""
_PIECE = 65_536
_ENGINE_CERTIFICATES = Path("/etc/docker/certs.d")
_MISSING = frozenset({"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "BLOB_UNKNOWN", "NOT_FOUND"})


@dataclass(frozen=True, slots=True)
class Document:
    """What stands in a registry: its bytes, whose digest has been checked, and their type."""

    data: bytes
    media_type: str

    @property
    def digest(self) -> str:
        return f"sha256:{sha256(self.data).hexdigest()}"


class RegistryClient:
    """Blocking calls to one registry, from any thread.

    Every method raises NoAnswer when the registry does not say yes or no within `answer_s`, or what it says is
    damaged; CredentialsUnreadable when Docker's configuration cannot be read. A registry that cannot be reached, or
    asks to be left alone, is left alone for a moment: the same NoAnswer is raised without a question.
    """

    def __init__(
        self, address: RegistryAddress, credentials: Callable[[], Credentials | None], *, answer_s: float = 20.0
    ) -> None:
        self.address = address
        self.credentials = credentials
        self._answer_s = answer_s
        self._opened: urllib3.PoolManager | None = None
        self._held: tuple[float, NoAnswer] | None = None
        self._authorizer = Authorizer(address.host, credentials, self._fetch)

    def manifest(self, name: str, reference: str) -> Document | None:
        """Return the manifest (or index) of an image name under a tag or digest, None where there is none."""
        return self._document(name, f"manifests/{reference}", reference)

    def blob(self, name: str, digest: str) -> Document | None:
        """Return a small blob such as an image's configuration, None where there is none."""
        return self._document(name, f"blobs/{digest}", digest)

    def tags(self, name: str) -> list[str]:
        """Return the tags of an image name; none where there is no such repository."""
        tags: list[str] = []
        last = ""
        while True:
            status, _, body = self._call("GET", name, f"tags/list?n=1000{last}", {})
            if status == 404 and _says_missing(body):
                return tags
            if status != 200:
                raise refused(self.address.host, status, body, None)
            try:
                page = [str(tag) for tag in json.loads(body).get("tags") or ()]
            except (ValueError, AttributeError, TypeError):
                raise NoAnswer(f"{self.address.host} gave a list of tags that cannot be read") from None
            tags += page
            if len(page) < 1000:
                return tags
            last = f"&last={page[-1]}"

    def put_manifest(self, name: str, tag: str, document: Document) -> None:
        """Give the image of a manifest that is there already another tag."""
        headers = {"Content-Type": document.media_type}
        status, _, body = self._call("PUT", name, f"manifests/{tag}", headers, document.data)
        if status not in (200, 201, 202):
            raise refused(self.address.host, status, body, None)

    def put_blob(self, name: str, data: bytes) -> None:
        """Put a small blob."""
        digest = f"sha256:{sha256(data).hexdigest()}"
        status, headers, body = self._call("POST", name, "blobs/uploads/", {}, b"")
        if status not in (201, 202):
            raise refused(self.address.host, status, body, headers.get("retry-after"))
        place = urljoin(f"{self.address.url}/", headers.get("location", ""))
        to = f"{place}{'&' if '?' in place else '?'}digest={digest}"
        known = self._authorizer.known(self._scope(name, "PUT"))
        octets = {"Content-Type": "application/octet-stream"} | ({"Authorization": known} if known else {})
        status, headers, body = self._send("PUT", to, octets, data)
        if status not in (200, 201, 204):
            raise refused(self.address.host, status, body, headers.get("retry-after"))

    def delete_manifest(self, name: str, digest: str) -> None:
        """Take a manifest away, with its tags."""
        status, headers, body = self._call("DELETE", name, f"manifests/{digest}", {})
        if status not in (200, 202, 404):
            raise refused(self.address.host, status, body, headers.get("retry-after"))

    def check(self) -> float | None:
        """Ask whether this is a registry that lets us in; return its time (Unix seconds, whole) where it says one."""
        status, headers, body = self._call("GET", "", "", {})
        if status != 200:
            raise refused(self.address.host, status, body, headers.get("retry-after"))
        with suppress(ValueError):
            return parsedate_to_datetime(headers.get("date", "")).timestamp()
        return None

    def _document(self, name: str, what: str, reference: str) -> Document | None:
        status, headers, body = self._call("GET", name, what, {"Accept": ACCEPTED})
        if status == 404 and _says_missing(body):
            return None
        if status != 200:
            raise refused(self.address.host, status, body, headers.get("retry-after"))
        media_type = headers.get("content-type", "").partition(";")[0].strip()
        document = Document(body, media_type)
        expected = reference if reference.startswith("sha256:") else headers.get("docker-content-digest")
        if expected and expected.startswith("sha256:") and expected != document.digest:
            raise NoAnswer(f"{self.address.host} gave a damaged answer about {name}", hint="it is asked again")
        return document

    def _call(
        self, method: str, name: str, what: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return (status, headers, body), logged in where that is wanted."""
        url = f"{self.address.url}/v2/{self.address.path(name)}/{what}" if name else f"{self.address.url}/v2/"
        scope = self._scope(name, method)
        known = self._authorizer.known(scope)
        given = {**headers, **({"Authorization": known} if known else {})}
        answer = self._send(method, url, given, body)
        if answer[0] == 401:
            challenge = Challenge.parse(answer[1].get("www-authenticate", ""))
            given = {**headers, "Authorization": self._authorizer.answer(challenge, scope)}
            answer = self._send(method, url, given, body)
        return answer

    def _scope(self, name: str, method: str) -> str:
        """Return what a token is asked for."""
        actions = {"GET": "pull", "DELETE": "delete"}.get(method, "pull,push")
        return f"repository:{self.address.path(name)}:{actions}" if name else ""

    def _fetch(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        status, answered, data = self._send(method, url, headers, body)
        if status == 429:
            raise refused(self.address.host, status, data, answered.get("retry-after"))
        return status, data

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        import urllib3  # noqa: PLC0415 -- late: it is not for those who have no registry

        if self._held is not None and time.monotonic() < self._held[0]:
            raise self._held[1]
        self._held = None
        deadline = time.monotonic() + self._answer_s
        limit = urllib3.Timeout(connect=_CONNECT_S, read=self._answer_s)
        # Blobs may be elsewhere: urllib3 takes the log-in out when a redirection leads to another host.
        redirections = urllib3.Retry(
            total=3, connect=0, read=0, status=0, other=0, redirect=3, respect_retry_after_header=False
        )
        try:
            response = self._pool(url).request(
                method,
                url,
                headers=dict(headers),
                body=body,
                timeout=limit,
                retries=redirections,
                preload_content=False,
            )
            try:
                data = self._read(response, deadline)
            except BaseException:
                response.close()
                raise
            response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            silent = unreachable(self.address.host, error)
            if not silent.answered:
                self._held = time.monotonic() + _LEFT_ALONE_S, silent
            raise silent from error
        named = {key.lower(): value for key, value in response.headers.items()}
        if response.status == HTTPStatus.TOO_MANY_REQUESTS:
            asked_too_often = refused(self.address.host, response.status, data, named.get("retry-after"))
            self._held = time.monotonic() + (asked_too_often.retry_after_s or _LEFT_ALONE_S), asked_too_often
        return response.status, named, data

    def _read(self, response: "urllib3.BaseHTTPResponse", deadline: float) -> bytes:
        """Return the body: neither a drip nor a flood holds a thread or fills the memory."""
        pieces: list[bytes] = []
        length = 0
        while piece := response.read1(_PIECE):
            pieces.append(piece)
            length += len(piece)
            if time.monotonic() > deadline:
                raise TimeoutError
            if length > _MOST_BYTES:
                raise NoAnswer(f"{self.address.host} gave an answer of more than {_MOST_BYTES} bytes")
        return b"".join(pieces)

    def _pool(self, url: str) -> "urllib3.PoolManager":
        import urllib3  # noqa: PLC0415

        if self._opened is None:
            scheme, _, rest = url.partition("://")
            host = rest.partition("/")[0]
            proxy = None if is_loopback(host) or proxy_bypass(host) else getproxies().get(scheme)
            trusted = self._trusted() if scheme == "https" else None
            if proxy:
                self._opened = urllib3.ProxyManager(proxy, ssl_context=trusted, maxsize=8)
            else:
                self._opened = urllib3.PoolManager(ssl_context=trusted, maxsize=8)
        return self._opened

    def _trusted(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        with suppress(OSError):
            for file in sorted((_ENGINE_CERTIFICATES / self.address.host).glob("*.crt")):
                context.load_verify_locations(file)
        return context


def _says_missing(body: bytes) -> bool:
    """Return whether a 404 is a registry's own: a page of something else says nothing about an image."""
    try:
        errors = json.loads(body)["errors"]
        return any(error["code"] in _MISSING for error in errors)
    except (ValueError, KeyError, TypeError):
        return False
