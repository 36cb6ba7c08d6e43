"""What can keep a registry from answering, in words."""

import ssl
from http import HTTPStatus

from envkiln.cache.errors import EnvkilnError, Turn


class NoAnswer(EnvkilnError):  # noqa: N818 -- the field's own word
    """A registry did not say yes or no. `retry_after_s` is how long it asks to be left alone, if it does."""

    turn = Turn.SURROUNDINGS

    def __init__(self, message: str, *, hint: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


def forbidden(host: str, what: str) -> NoAnswer:
    """Return the error of a registry that `host` is, which wants to know who asks.

    Whether it has the image is not known then: many say so of images that they do not have.
    """
    error = NoAnswer(f"{host} {what}", hint=f"docker login {host}; it is asked again by itself")
    error.turn = Turn.USER
    return error


def refused(host: str, status: int, body: bytes, retry_after: str | None) -> NoAnswer:
    """Return the error of an answer that is neither yes nor no."""
    if status == HTTPStatus.FORBIDDEN:
        return forbidden(host, "does not let this log-in in (HTTP 403)")
    if status == HTTPStatus.UNAUTHORIZED:
        return forbidden(host, "does not take the log-in (HTTP 401)")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        seconds = float(retry_after) if retry_after and retry_after.isdecimal() and len(retry_after) < 6 else None
        return NoAnswer(f"{host} is asked too often (HTTP 429)", hint="it is asked again", retry_after_s=seconds)
    if status == HTTPStatus.NOT_FOUND:
        return NoAnswer(
            f"{host} answered as no registry does (HTTP 404)", hint="check the address in the setting `registries`"
        )
    said = " ".join(body[:120].decode(errors="replace").split())
    return NoAnswer(f"{host} answered with HTTP {status}{f': {said}' if said else ''}", hint="look at the registry")


def unreachable(host: str, error: Exception) -> NoAnswer:
    """Return the error of a call that got no whole answer."""
    import urllib3  # noqa: PLC0415 -- late, as all of HTTP

    cause: BaseException = getattr(error, "reason", None) or error
    while not isinstance(cause, ssl.SSLError) and isinstance(getattr(cause, "reason", None), BaseException):
        cause = cause.reason  # type: ignore[attr-defined]
    if isinstance(cause, ssl.SSLError) or isinstance(error, urllib3.exceptions.SSLError):
        return NoAnswer(
            f"the certificate of {host} is not trusted ({cause})",
            hint=f"add its authority to this machine's certificates, or to /etc/docker/certs.d/{host}/ca.crt",
        )
    if isinstance(cause, urllib3.exceptions.NewConnectionError):
        return NoAnswer(f"{host} cannot be reached", hint="check the network and the setting `registries`")
    if isinstance(cause, urllib3.exceptions.TimeoutError | TimeoutError):
        return NoAnswer(f"{host} did not answer in time", hint="it is asked again")
    return NoAnswer(f"{host} broke off its answer ({type(cause).__name__})", hint="it is asked again")
