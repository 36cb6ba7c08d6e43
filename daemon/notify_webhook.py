"""The webhook: each notice as a signed POST of JSON, tried again while the receiver is not well."""

import asyncio
import hmac
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import urllib3

from envkiln.daemon.journal import encoded
from envkiln.daemon.notices import Notice
from envkiln.daemon.notify import NotifyError

TRIES = 5
_CONNECT_S = 5.0
_READ_S = 10.0
_TRY_S = 20.0
"""The time for one try in all: a receiver that sends a byte now and then is never silent for `_READ_S`."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Webhook:
    """A URL that is posted to. `source` says where it was configured; the URL itself is never shown.

    `first_wait_s` is the time before the second try; it doubles with each.
    """

    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    secret_file: Path | None = None
    source: str = field(default="", compare=False)
    first_wait_s: float = field(default=1.0, compare=False)

    @property
    def name(self) -> str:
        return f"the webhook of {self.source}" if self.source else "the webhook"

    async def send(self, notice: Notice) -> None:
        body = encoded(notice.message)
        for number in range(TRIES):
            problem = await self._try(body, notice)
            if problem is None:
                return
            if number < TRIES - 1:
                await asyncio.sleep(self.first_wait_s * 2**number)
        raise NotifyError(f"{problem}; given up after {TRIES} tries", hint="the next notice is tried again")

    async def close(self) -> None:
        pass

    async def _try(self, body: bytes, notice: Notice) -> str | None:
        """Return why it may work later, None when it has been delivered; raises NotifyError when it never will."""

        def post() -> int:
            headers = {
                "Content-Type": "application/json",
                "User-Agent": "envkiln",
                "Envkiln-Event": notice.kind,
                "Envkiln-Delivery": notice.id,
            }
            secret = self._secret()
            if secret is not None:
                # Of this very try: receivers refuse a time that is long past.
                headers["Envkiln-Signature"] = signature(secret, body, time.time())
            return _post(self.url, body, headers)

        try:
            async with asyncio.timeout(_TRY_S):
                status = await _apart(post)
        except urllib3.exceptions.NewConnectionError:  # is a TimeoutError to urllib3
            return "it cannot be reached"
        except (TimeoutError, urllib3.exceptions.TimeoutError):
            return "no answer in time"
        except (urllib3.exceptions.HTTPError, OSError) as error:
            # Not its text, which may have the URL.
            return f"it cannot be talked to ({type(error).__name__})"
        if 200 <= status < 300:
            return None
        if status == 429 or status >= 500:
            return f"it answers {status}"
        hint = "a redirect is not followed: give the right URL" if status < 400 else "check notify_webhook"
        raise NotifyError(f"it answers {status}", hint=hint)

    def _secret(self) -> str | None:
        if self.secret is not None or self.secret_file is None:
            return self.secret
        try:
            secret = self.secret_file.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            secret = ""
        if not re.fullmatch("[!-~]{16,}", secret):
            hint = "it has to be one line of 16 or more characters without spaces"
            raise NotifyError(
                f"notify_webhook_secret_file {self.secret_file} has no secret; nothing is sent", hint=hint
            )
        return secret


def signature(secret: str, body: bytes, now: float) -> str:
    """Return the header that proves who sent `body`, and when."""
    stamp = str(int(now))
    return f"t={stamp},v1={hmac.digest(secret.encode(), stamp.encode() + b'.' + body, 'sha256').hex()}"


def _post(url: str, body: bytes, headers: dict[str, str]) -> int:
    parts = urlsplit(url)
    if parts.username is not None:
        user, password = unquote(parts.username), unquote(parts.password or "")
        headers |= urllib3.make_headers(basic_auth=f"{user}:{password}")
        url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    timeout = urllib3.Timeout(connect=_CONNECT_S, read=_READ_S)
    with urllib3.PoolManager(num_pools=1, retries=False, timeout=timeout) as pool:
        # The answer's body is of no interest, however long it is.
        response = pool.request("POST", url, body=body, headers=headers, redirect=False, preload_content=False)
        response.close()
        return response.status


async def _apart(work: Callable[[], T]) -> T:
    """Run `work` in a thread that nobody waits for when this is cancelled, at the end of the process least of all."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, caught = None, None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 -- raised where it is waited for
            caught = error
        try:
            loop.call_soon_threadsafe(settle, result, caught)
        except RuntimeError:  # the loop is closed
            return

    threading.Thread(target=run, name="webhook", daemon=True).start()
    return await future
