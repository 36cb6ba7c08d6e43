"""The Docker Engine: what it has, what it is told, and what it says when it cannot."""

import os
import socket
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from envkiln.cache.definition import ImageReference
from envkiln.cache.names import IMAGE_PREFIX
from envkiln.daemon.builder import EngineUnavailable
from envkiln.daemon.engine_errors import EngineRefused, mapped, unreachable
from envkiln.daemon.engine_stream import interrupt, streaming
from envkiln.daemon.engine_values import (
    DEFAULT_URL,
    EngineEvent,
    EngineImage,
    EngineInfo,
    ImageHistory,
    engine_event,
    engine_info,
    image_history,
    inspected_image,
    listed_image,
)

if TYPE_CHECKING:
    import docker
    import requests

EVENT_ACTIONS = ("tag", "untag", "delete", "pull", "load", "import")
# How long a stopped `events` may hang on: two looks a second cost nothing measurable.
_STOP_LOOK_S = 0.5
_HISTORIES_KEPT = 20_000
_TRANSFER_SILENCE_S = 300.0
"""A registry may take its time over a large layer, about which the engine has nothing to say."""


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
        self._histories: dict[str, ImageHistory] = {}
        weakref.finalize(self, _close_all, self._idle)

    def ping(self) -> EngineInfo:
        with self._calling("ask for the version") as client:
            return engine_info(client.version(), client.info())

    def images(self) -> list[EngineImage]:
        """Return every image that has a name of ours (or Azure ML's), each with all of its references."""
        # Not the engine's own filter by reference: it leaves out the aliases of the images it finds.
        with self._calling("list images") as client:
            listed = map(listed_image, client.images())
            return [image for image in listed if any(name.startswith(IMAGE_PREFIX) for name in image.references)]

    def all_images(self) -> list[EngineImage]:
        """Return every image, with or without a reference, but not the steps on the way to one."""
        with self._calling("list all images") as client:
            return list(map(listed_image, client.images()))

    def used_images(self) -> frozenset[str]:
        """Return the ids of the images that containers use, running or not."""
        with self._calling("list containers") as client:
            listed: list[Mapping[str, Any]] = client.containers(all=True)
            return frozenset(str(container["ImageID"]) for container in listed)

    def labelled(self, key: str, value: str) -> list[EngineImage]:
        """Return the images with this label, with or without a reference."""
        with self._calling(f"list images labelled {key}") as client:
            return list(map(listed_image, client.images(filters={"label": f"{key}={value}"})))

    def inspect(self, reference: str) -> EngineImage | None:
        """Return the image of that reference or id, None when the engine has none."""
        try:
            with self._calling(f"inspect {reference}") as client:
                return inspected_image(client.inspect_image(reference))  # type: ignore[no-untyped-call]
        except EngineRefused as refused:
            if refused.status == 404:
                return None
            raise

    def history(self, image_id: str) -> ImageHistory:
        """Return how the image of that id came about; it is asked for once, for an id never stands for another image.

        Raises EngineRefused (404) where there is none.
        """
        known = self._histories.get(image_id)
        if known is None:
            with self._calling(f"ask for the history of {image_id}") as client:
                known = image_history(client.history(image_id))  # type: ignore[no-untyped-call]
            if len(self._histories) >= _HISTORIES_KEPT:
                self._histories.clear()
            self._histories[image_id] = known
        return known

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

    def prune_build_cache(self, keep_bytes: int) -> int:
        """Cut the build cache down to `keep_bytes`, what was used longest ago first; return the bytes that are free.

        What a running build uses stays. Raises EngineRefused where the engine has no such call.
        """
        with self._calling("prune the build cache") as client:
            pruned: Mapping[str, Any] = client.prune_builds(keep_storage=keep_bytes, all=True)
            return int(pruned.get("SpaceReclaimed") or 0)

    def remove_container(self, container: str) -> None:
        """Remove a container, whether it runs or not; one that is not there is fine."""
        try:
            with self._calling(f"remove the container {container}") as client:
                client.remove_container(container, force=True)
        except EngineRefused as refused:
            # 409: somebody else is removing it.
            if refused.status not in (404, 409):
                raise

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
            raise unreachable(reference, refused) from refused

    def local_digest(self, reference: str) -> str | None:
        """Return the registry digest of the local image `reference`, as pulled from or pushed to that repository."""
        image = self.inspect(reference)
        repository = _familiar(ImageReference.parse(reference).repository)
        for known in image.repo_digests if image else ():
            name, _, digest = known.rpartition("@")
            if _familiar(name) == repository:
                return digest
        return None

    def transfer(
        self,
        what: str,
        start: "Callable[[docker.APIClient], Iterable[Mapping[str, Any]]]",
        receive: "Callable[[requests.Response], None]",
    ) -> None:
        """Let the engine pull or push as `start` asks it to, and return when that ended well.

        `receive` gets the response, to interrupt it. Raises EngineRefused with what the engine says of the registry.
        """
        client = self.new_client(timeout_s=_TRANSFER_SILENCE_S)
        with mapped(what, self._where(), registry=True), streaming(client, receive):
            for message in start(client):
                if "error" in message:
                    raise EngineRefused(f"could not {what}: {message['error']}", status=500)

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
            with mapped("listen to events", self._where()), streaming(client, watch):
                # The engine takes fractions of a second; docker-py's annotation does not know.
                start: Any = since
                filters = {"type": "image", "event": list(EVENT_ACTIONS)}
                for event in client.events(since=start, filters=filters, decode=True):
                    if stop.is_set():
                        return
                    yield engine_event(event)
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
        from envkiln.daemon.engine_client import address_settings, connect  # noqa: PLC0415

        with mapped("connect", self._where()):
            settings = address_settings(self.url)
            self._address = str(settings.get("base_url") or "")
            _knock(self._address)
            return connect(settings, timeout_s or self._timeout_s)

    def is_local(self) -> bool:
        """Return whether the engine is reached by a socket of this machine."""
        return self._where().startswith("unix://")

    @contextmanager
    def _calling(self, what: str, *, registry: bool = False) -> Iterator["docker.APIClient"]:
        # docker-py's clients are not meant for two threads at once, and dear to make: they are handed around.
        try:
            client = self._idle.pop()
        except IndexError:
            client = self.new_client()
        try:
            with mapped(what, self._where(), registry=registry):
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

    def _where(self) -> str:
        return self.url or os.environ.get("DOCKER_HOST") or self._address or DEFAULT_URL


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


def _familiar(repository: str) -> str:
    """Docker's short form: `docker.io/library/python` is `python`."""
    for host in ("docker.io/", "index.docker.io/"):
        repository = repository.removeprefix(host)
    return repository.removeprefix("library/")
