"""What can go wrong with an engine, in words: the causes lie deep in the libraries' wrapping."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.daemon.builder import EngineUnavailable


class RegistryUnreachable(EnvkilnError):  # noqa: N818 -- the field's own word
    """A registry did not say whether it has an image: no connection, no permission, or an error of its own."""

    turn = Turn.SURROUNDINGS


class EngineRefused(EnvkilnError):  # noqa: N818 -- the field's own word
    """The engine answers and does not do what it was asked: `status` is 404 for no such image, 409 for one in use."""

    turn = Turn.SURROUNDINGS

    def __init__(self, message: str, *, status: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


@contextmanager
def mapped(what: str, where: str, *, registry: bool = False) -> Iterator[None]:
    """Turn whatever a call to the engine at `where` raises into EngineUnavailable, or EngineRefused where it says no.

    `what` completes "could not ..."; `registry` says that the engine was asked about a registry.
    """
    import requests  # noqa: PLC0415 -- late, as docker is
    import urllib3  # noqa: PLC0415
    from docker.errors import APIError, DockerException  # noqa: PLC0415

    try:
        yield
    except APIError as error:
        status = error.response.status_code if error.response is not None else 500
        said = str(error.explanation or error)
        # Of a registry's trouble, too, the engine tells with 500.
        if status < 500 or registry:
            raise EngineRefused(f"the Docker engine did not {what}: {said}", status=status) from error
        raise EngineUnavailable(
            f"could not {what}: the Docker engine at {where} answered {status}: {said}",
            hint="look at the engine's log (journalctl -u docker)",
        ) from error
    except (
        DockerException,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        reason, hint = _trouble(error)
        raise EngineUnavailable(f"could not {what}: the Docker engine at {where} {reason}", hint=hint) from error


def _trouble(error: BaseException) -> tuple[str, str | None]:
    """What went wrong with a connection, and what to do: the cause lies deep in the libraries' wrapping."""
    from docker.errors import TLSParameterError  # noqa: PLC0415

    links = list(chain(error))
    tls = [link for link in links if isinstance(link, (ssl.SSLError, TLSParameterError))]
    if tls:
        return (
            f"cannot be reached over TLS ({tls[-1]}): one end does not accept the other's certificate",
            "check ca.pem, cert.pem and key.pem of DOCKER_CERT_PATH, or of the docker context",
        )
    return _silence(error, links)


def _silence(error: BaseException, links: list[BaseException]) -> tuple[str, str | None]:
    """Why nobody answers, or nobody understandable."""
    import requests  # noqa: PLC0415

    if any(isinstance(link, PermissionError) for link in links):
        return (
            "may not be used by this user",
            "add yourself to the docker group (sudo usermod -aG docker $USER) and log in again",
        )
    if any(isinstance(link, FileNotFoundError) for link in links):
        return "is not there", "is Docker running? (systemctl start docker) DOCKER_HOST may name another socket"
    if any(isinstance(link, ConnectionRefusedError) for link in links):
        return "refuses connections", "is Docker running? (systemctl start docker)"
    if any(isinstance(link, (TimeoutError, requests.Timeout)) for link in links):
        return "did not answer in time", "it may be busy; it is asked again"
    if any(isinstance(link, (ConnectionError, requests.ConnectionError)) for link in links):
        return f"closed the connection ({error})", "it may be restarting; it is asked again"
    return f"gave an answer that cannot be read ({type(error).__name__}: {error})", None


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything it was made from: urllib3 puts causes into `args`, others into `__context__`."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        link = waiting.pop()
        if isinstance(link, BaseException) and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += [link.__cause__, link.__context__, *link.args, getattr(link, "reason", None)]


def unreachable(reference: str, refused: EngineRefused) -> RegistryUnreachable:
    """Return the error that says the registry of `reference` did not answer."""
    forbidden = refused.status in (401, 403) or "no basic auth" in refused.message
    registry = reference.partition("/")[0] if "/" in reference else "docker.io"
    return RegistryUnreachable(
        refused.message,
        hint=f"if the image exists: docker login {registry}"
        if forbidden
        else "check the network and the image's registry",
    )
