"""What can keep a registry from answering, in words."""

import ssl
from http import HTTPStatus

from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.daemon.engine_errors import chain

_LONGEST_LEFT_ALONE_S = 600.0


class NoAnswer(EnvkilnError):  # noqa: N818 -- the field's own word
    """A registry did not say yes or no. `retry_after_s` is how long it asks to be left alone, if it does.

    `answered` says that something came from it.
    """

    turn = Turn.SURROUNDINGS

    def __init__(
        self, message: str, *, hint: str | None = None, retry_after_s: float | None = None, answered: bool = True
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s
        self.answered = answered


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
        told = retry_after is not None and retry_after.isdecimal() and len(retry_after) < 6
        seconds = min(float(retry_after or 0), _LONGEST_LEFT_ALONE_S) if told else None
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

    links = list(chain(error))
    untrusted = next((link for link in links if isinstance(link, ssl.SSLCertVerificationError)), None)
    if untrusted is not None:
        return NoAnswer(
            f"the certificate of {host} is not trusted: {untrusted.verify_message}",
            hint=f"add its authority to this machine's certificates, or to /etc/docker/certs.d/{host}/ca.crt",
        )
    # Some versions of urllib3 take a refused connection for a kind of time-out.
    if any(isinstance(link, urllib3.exceptions.NewConnectionError) for link in links):
        hint = "check the network and the setting `registries`"
        return NoAnswer(f"{host} cannot be reached", hint=hint, answered=False)
    if any(isinstance(link, urllib3.exceptions.TimeoutError | TimeoutError) for link in links):
        return NoAnswer(f"{host} did not answer in time", hint="it is asked again", answered=False)
    return NoAnswer(f"{host} broke off its answer ({type(links[-1]).__name__})", hint="it is asked again")
