"""The Docker Engine: what it has, what it is told, and what it says when it cannot."""

import os
import socket
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from envkiln.cache.definition import ImageReference
from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.cache.names import IMAGE_PREFIX
from envkiln.daemon.builder import EngineUnavailable

if TYPE_CHECKING:
    import docker
    import requests

DEFAULT_URL = "unix:///var/run/docker.sock"
EVENT_ACTIONS = ("tag", "untag", "delete", "pull", "load", "import")
# How long a stopped `events` may hang on: two looks a second cost nothing measurable.
_STOP_LOOK_S = 0.5


class RegistryUnreachable(EnvkilnError):  # noqa: N818 -- the field's own word
    """A registry did not say whether it has an image: no connection, no permission, or an error of its own."""

    turn = Turn.SURROUNDINGS


class EngineRefused(EnvkilnError):  # noqa: N818 -- the field's own word
    """The engine answers and does not do what it was asked: `status` is 404 for no such image, 409 for one in use."""

    turn = Turn.SURROUNDINGS

    def __init__(self, message: str, *, status: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """`platform` is `os/architecture` as image platforms are written."""

    version: str
    api_version: str
    platform: str
    storage_driver: str

    @property
    def has_buildkit(self) -> bool:
        """Whether the engine has BuildKit built in and switched on without asking (API 1.39, engine 18.09; Linux)."""
        numbers = tuple(int(part) for part in self.api_version.split(".") if part.isdecimal())
        return numbers >= (1, 39) and self.platform.startswith("linux/")


@dataclass(frozen=True, slots=True)
class EngineImage:
    """An image in the engine. `platform`, `environment` and `repo_digests` are known only from `Engine.inspect`."""

    id: str
    references: tuple[str, ...]
    labels: Mapping[str, str]
    created: float
    size: int
    platform: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    repo_digests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """Something happened to an image. `time` is the engine's clock (Unix seconds)."""

    action: str
    reference_or_id: str
    time: float


class Engine:
    """Blocking calls to one engine, from any thread (each call has a connection for itself).

    Every method raises EngineUnavailable when the engine does not answer in `timeout_s` or answers with an error of
    its own, and EngineRefused where it says no.
    """

    def __init__(self, url: str | None = None, *, timeout_s: float = 10) -> None:
        self.url = url
        self._timeout_s = timeout_s
        self._address = ""
        self._idle: deque[docker.APIClient] = deque()
        weakref.finalize(self, _close_all, self._idle)

    def ping(self) -> EngineInfo:
        with self._calling("ask for the version") as client:
            version = client.version()
            info = client.info()
            return EngineInfo(
                version=str(version["Version"]),
                api_version=str(version["ApiVersion"]),
                platform=f"{version.get('Os', 'linux')}/{version.get('Arch', 'unknown')}",
                storage_driver=str(info.get("Driver", "")),
            )

    def images(self) -> list[EngineImage]:
        """Return every image that has a name of ours (or Azure ML's), each with all of its references."""
        # Not the engine's own filter by reference: it leaves out the aliases of the images it finds.
        with self._calling("list images") as client:
            listed = (
                EngineImage(
                    id=str(image["Id"]),
                    references=_references(image.get("RepoTags")),
                    labels=dict(image.get("Labels") or {}),
                    created=float(image.get("Created") or 0),
                    size=int(image.get("Size") or 0),
                    repo_digests=_references(image.get("RepoDigests")),
                )
                for image in client.images()
            )
            return [image for image in listed if any(name.startswith(IMAGE_PREFIX) for name in image.references)]

    def inspect(self, reference: str) -> EngineImage | None:
        """Return the image of that reference or id, None when the engine has none."""
        try:
            with self._calling(f"inspect {reference}") as client:
                found: Mapping[str, Any] = client.inspect_image(reference)  # type: ignore[no-untyped-call]
                config = found.get("Config") or {}
                parts = (found.get("Os"), found.get("Architecture"), found.get("Variant"))
                return EngineImage(
                    id=str(found["Id"]),
                    references=_references(found.get("RepoTags")),
                    labels=dict(config.get("Labels") or {}),
                    created=_unix_time(found.get("Created")),
                    size=int(found.get("Size") or 0),
                    platform="/".join(part for part in parts if part),
                    environment=dict(pair.partition("=")[::2] for pair in config.get("Env") or ()),
                    repo_digests=_references(found.get("RepoDigests")),
                )
        except EngineRefused as refused:
            if refused.status == 404:
                return None
            raise

    def tag(self, image_reference: str, target_reference: str) -> None:
        """Give the image another reference, taking it from the image that had it."""
        target = ImageReference.parse(target_reference)
        with self._calling(f"tag {image_reference} as {target_reference}") as client:
            client.tag(image_reference, target.repository, target.tag or "latest")

    def remove(self, reference: str) -> bool:
        """Remove a reference, and the image with its last one; False when there was none. Never by force.

        What may be removed is the caller's duty. Raises EngineRefused (409) while a container uses the image.
        """
        try:
            with self._calling(f"remove {reference}") as client:
                client.remove_image(reference, force=False)
        except EngineRefused as refused:
            if refused.status == 404:
                return False
            raise
        return True

    def restore(self, reference: str, image_id: str | None) -> None:
        """Undo a tag that came too late: `image_id` is what had the reference before, None for nothing."""
        now = self.inspect(reference)
        if now is None or now.id == image_id:
            return
        if image_id is not None:
            self.tag(image_id, reference)
        else:
            self.remove(reference)

    def resolve_digest(self, reference: str) -> str | None:
        """Return the digest that the registry has for `reference` (asked through the engine), None when it has none.

        Raises RegistryUnreachable when that is not known: also where the registry wants credentials, since many say
        so of images they do not have.
        """
        try:
            with self._calling(f"ask the registry for {reference}", registry=True) as client:
                found: Mapping[str, Any] = client.inspect_distribution(reference)  # type: ignore[no-untyped-call]
                return str(found["Descriptor"]["digest"])
        except EngineRefused as refused:
            # An engine without this call (Podman) has no such page, which says nothing about the image.
            if refused.status == 404 and "page not found" not in refused.message:
                return None
            raise _unreachable(reference, refused) from refused

    def local_digest(self, reference: str) -> str | None:
        """Return the registry digest of the local image `reference`, as pulled from or pushed to that repository."""
        image = self.inspect(reference)
        repository = _familiar(ImageReference.parse(reference).repository)
        for known in image.repo_digests if image else ():
            name, _, digest = known.rpartition("@")
            if _familiar(name) == repository:
                return digest
        return None

    def events(self, since: float | None, stop: threading.Event) -> Iterator[EngineEvent]:
        """Yield what happens to images, from `since` (inclusive, as far as the engine remembers) until `stop` is set.

        Ends within a second of `stop`; raises EngineUnavailable when the engine goes away.
        """
        ended = threading.Event()
        client = self.new_client()  # of its own: its connection is interrupted to end

        def end_on_stop(response: "requests.Response") -> None:
            while not ended.is_set():
                if stop.wait(_STOP_LOOK_S):
                    interrupt(response)
                    return

        def watch(response: "requests.Response") -> None:
            threading.Thread(target=end_on_stop, args=(response,), name="engine-events-stop", daemon=True).start()

        try:
            with self._mapped("listen to events"), streaming(client, watch):
                # The engine takes fractions of a second; docker-py's annotation does not know.
                start: Any = since
                filters = {"type": "image", "event": list(EVENT_ACTIONS)}
                for event in client.events(since=start, filters=filters, decode=True):
                    if stop.is_set():
                        return
                    yield _event(event)
        except EngineUnavailable:
            if not stop.is_set():
                raise
        finally:
            ended.set()
        if not stop.is_set():
            raise EngineUnavailable(
                f"the Docker engine at {self._where()} ended its event stream",
                hint="it may be restarting; it is asked again",
            )

    def new_client(self, *, timeout_s: float | None = None) -> "docker.APIClient":
        """Return a docker-py client of its own for a caller that streams; the caller closes it."""
        # Late: importing docker takes longer than the whole of `envkiln status` may.
        import docker  # noqa: PLC0415
        from docker.utils import kwargs_from_env  # noqa: PLC0415

        settings: dict[str, Any] = {"timeout": timeout_s or self._timeout_s, "version": "auto"}
        url = self.url or os.environ.get("DOCKER_HOST")
        if url:
            settings |= kwargs_from_env(environment={**os.environ, "DOCKER_HOST": url})
        else:
            settings |= _context_settings()
        settings["use_ssh_client"] = str(settings.get("base_url", "")).startswith("ssh://")
        with self._mapped("connect"):
            self._address = str(settings.get("base_url") or "")
            _knock(self._address)
            return docker.APIClient(**settings)

    @contextmanager
    def _calling(self, what: str, *, registry: bool = False) -> Iterator["docker.APIClient"]:
        # docker-py's clients are not meant for two threads at once, and dear to make: they are handed around.
        try:
            client = self._idle.pop()
        except IndexError:
            client = self.new_client()
        try:
            with self._mapped(what, registry=registry):
                _knock(self._address)
                yield client
        except EngineUnavailable:
            # After a restart it may be another version: the next call asks again.
            client.close()
            _close_all(self._idle)
            raise
        except EngineRefused:
            self._idle.append(client)
            raise
        self._idle.append(client)

    @contextmanager
    def _mapped(self, what: str, *, registry: bool = False) -> Iterator[None]:
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
                f"could not {what}: the Docker engine at {self._where()} answered {status}: {said}",
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
            raise EngineUnavailable(
                f"could not {what}: the Docker engine at {self._where()} {reason}", hint=hint
            ) from error

    def _where(self) -> str:
        return self.url or os.environ.get("DOCKER_HOST") or DEFAULT_URL


def _close_all(clients: "deque[docker.APIClient]") -> None:
    with suppress(IndexError):
        while True:
            clients.pop().close()


def _knock(url: str) -> None:
    """Raise OSError where nothing listens: docker-py leaves a socket open that it cannot connect. Takes 0.05 ms."""
    scheme, _, path = url.partition("://")
    if scheme == "unix":
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(5)
            probe.connect(f"/{path.lstrip('/')}")


@contextmanager
def streaming(client: "docker.APIClient", receive: Callable[["requests.Response"], None]) -> Iterator[None]:
    """Hand each response that `client` gets to `receive`, and close them and the client at the end.

    docker-py keeps the responses it streams for itself, and leaves a connection open that was not read to its end:
    the engine would go on.
    """
    responses: list[requests.Response] = []

    def received(response: "requests.Response", *_: Any, **__: Any) -> None:
        responses.append(response)
        receive(response)

    client.hooks["response"].append(received)
    try:
        yield
    finally:
        for response in responses:
            response.close()
        client.close()


def interrupt(response: "requests.Response") -> None:
    """End a response that another thread is reading: its read returns, and it closes the connection.

    Not docker-py's way, which closes the socket under the reader: the number may be another file's by then.
    """
    # A connection that just ended by itself; or one through ssh, which has no half to shut down.
    with suppress(Exception):
        response.raw.shutdown()


def _context_settings() -> dict[str, Any]:
    """The address that `docker context use` chose; none of it when that cannot be read."""
    from docker.context import ContextAPI  # noqa: PLC0415

    try:
        name = os.environ.get("DOCKER_CONTEXT")
        context = ContextAPI.get_context(name) if name else ContextAPI.get_current_context()
        host = context.Host if context else None
        tls = context.TLSConfig if context else None
    except Exception:  # noqa: BLE001 -- a damaged context file: docker-py raises whatever its parsing met
        return {"base_url": DEFAULT_URL}
    return {"base_url": host or DEFAULT_URL} | ({"tls": tls} if tls else {})


def _trouble(error: BaseException) -> tuple[str, str | None]:
    """What went wrong with a connection, and what to do: the cause lies deep in the libraries' wrapping."""
    import requests  # noqa: PLC0415

    chain = list(_chain(error))
    if any(isinstance(link, PermissionError) for link in chain):
        return (
            "may not be used by this user",
            "add yourself to the docker group (sudo usermod -aG docker $USER) and log in again",
        )
    if any(isinstance(link, FileNotFoundError) for link in chain):
        return "is not there", "is Docker running? (systemctl start docker) DOCKER_HOST may name another socket"
    if any(isinstance(link, ConnectionRefusedError) for link in chain):
        return "refuses connections", "is Docker running? (systemctl start docker)"
    if any(isinstance(link, (TimeoutError, requests.Timeout)) for link in chain):
        return "did not answer in time", "it may be busy; it is asked again"
    if any(isinstance(link, (ConnectionError, requests.ConnectionError)) for link in chain):
        return f"closed the connection ({error})", "it may be restarting; it is asked again"
    return f"gave an answer that cannot be read ({type(error).__name__}: {error})", None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything it was made from: urllib3 puts causes into `args`, others into `__context__`."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        link = waiting.pop()
        if isinstance(link, BaseException) and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += [link.__cause__, link.__context__, *link.args, getattr(link, "reason", None)]


def _unreachable(reference: str, refused: EngineRefused) -> RegistryUnreachable:
    forbidden = refused.status in (401, 403) or "no basic auth" in refused.message
    registry = reference.partition("/")[0] if "/" in reference else "docker.io"
    return RegistryUnreachable(
        refused.message,
        hint=f"if the image exists: docker login {registry}"
        if forbidden
        else "check the network and the image's registry",
    )


def _references(names: list[str] | None) -> tuple[str, ...]:
    return tuple(sorted(name for name in names or () if not name.startswith("<none>")))


def _familiar(repository: str) -> str:
    """Docker's short form: `docker.io/library/python` is `python`."""
    for host in ("docker.io/", "index.docker.io/"):
        repository = repository.removeprefix(host)
    return repository.removeprefix("library/")


def _unix_time(text: str | None) -> float:
    """Unix seconds of an RFC 3339 time; 0 for none, and for Go's year 1, which means the same."""
    if not text or text.startswith("0001-"):
        return 0.0
    return datetime.fromisoformat(text).timestamp()


def _event(event: Mapping[str, Any]) -> EngineEvent:
    actor = event.get("Actor") or {}
    name = (actor.get("Attributes") or {}).get("name") or actor.get("ID") or event.get("id") or ""
    moment = event["timeNano"] / 1e9 if event.get("timeNano") else float(event.get("time") or 0)
    return EngineEvent(str(event.get("Action") or event.get("status") or ""), str(name), moment)
