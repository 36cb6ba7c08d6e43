"""Builds with the engine's classic builder: what docker-py's own `build` does, on every engine."""

import asyncio
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic
from typing import IO, TYPE_CHECKING, Any, cast

from envkiln.cache.dockerfile import Dialect
from envkiln.cache.errors import EnvkilnError
from envkiln.cache.setup_content import setup_content
from envkiln.cache.setup_names import SETUP
from envkiln.daemon.bounded_lines import BoundedLines
from envkiln.daemon.builder import BuildFailed, BuildRequest, EngineUnavailable, Log
from envkiln.daemon.causes import TAIL, explain_failure
from envkiln.daemon.context_tar import text_of, write_tar
from envkiln.daemon.engine import Engine
from envkiln.daemon.engine_stream import interrupt, streaming
from envkiln.daemon.fault_point import reach
from envkiln.daemon.label_lines import with_labels
from envkiln.daemon.log_lines import LineSplitter
from envkiln.daemon.step_containers import StepContainer

if TYPE_CHECKING:
    import docker

CA_BUNDLE = f"{SETUP}/ca.pem"
"""Where the classic Dockerfile text looks for the CA bundle."""

# The engine stops a step within a second or two of losing its client; after this it is told to.
_STOP_GRACE_S = 8.0
_CONTAINER = re.compile(r"[0-9a-f]{12,64}")


class ClassicBuilder:
    """Builds through the engine's `/build` call, one thread per build.

    Cancelling closes the connection, upon which the engine stops, and waits until the step's container is gone.
    """

    name = "classic"

    def __init__(self, engine_url: str | None = None, *, steps: Path | None = None) -> None:
        """`steps` is the directory of the notes of `step_containers.py`, which exists; None for none."""
        self._engine = Engine(engine_url)
        self._steps = steps

    async def build(self, request: BuildRequest, log: Log) -> None:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        stop = _Stop()

        lines = BoundedLines(loop, log)

        def work() -> None:
            error: BaseException | None = None
            try:
                _Build(self._engine, request, lines, stop, self._steps).run()
            except BaseException as raised:  # noqa: BLE001 -- handed over to the loop, all of it
                error = raised
            # A loop that is closed no longer waits for us.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, ended, error)

        # A thread of its own: builds would take all those of the loop's pool for minutes.
        threading.Thread(target=work, name=f"build {request.identity.image}", daemon=True).start()
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError:
            stop.now()
            while not ended.done():
                # A second cancel does not make the engine any faster.
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({ended})
            ended.exception()  # looked at: asyncio need not warn
            # It may have been too late: the image stood before the engine noticed.
            with suppress(EnvkilnError):
                await asyncio.to_thread(stop.undo)
            raise


def _settle(ended: "asyncio.Future[None]", error: BaseException | None) -> None:
    if error is not None:
        ended.set_exception(error)
    else:
        ended.set_result(None)


class _Stop:
    """The way to end a build from another thread, at whatever point it is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._close: Callable[[], None] | None = None
        self.undo: Callable[[], None] = lambda: None
        self.asked = False

    def now(self) -> None:
        with self._lock:
            self.asked = True
            close = self._close
        if close is not None:
            close()

    def closes(self, close: Callable[[], None]) -> None:
        """Say how the connection is closed; at once, if that is already wanted."""
        with self._lock:
            self._close = close
            asked = self.asked
        if asked:
            close()


class _Stopped(Exception):  # noqa: N818 -- not an error: what the caller asked for
    """Raised in the build's thread once it was told to stop."""


class _Upload:
    """The context as the body of a request: its reading ends as soon as the build is to stop."""

    def __init__(self, file: IO[bytes], stop: _Stop) -> None:
        self._length = file.seek(0, 2)
        file.seek(0)
        self._file = file
        self._stop = stop

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(65536), b"")

    def read(self, size: int = -1) -> bytes:
        if self._stop.asked:
            raise _Stopped
        return self._file.read(size)


class _Build:
    """One build, in its thread from start to end."""

    def __init__(
        self, engine: Engine, request: BuildRequest, lines: BoundedLines, stop: _Stop, steps: Path | None
    ) -> None:
        self._engine = engine
        self._request = request
        self._lines = lines
        self._stop = stop
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._splitter = LineSplitter()
        self._container: str | None = None
        self._steps = steps
        self._step: StepContainer | None = None
        self._progress: dict[str, str] = {}

    def run(self) -> None:
        request = self._request
        before = self._engine.inspect(request.tag)
        self._stop.undo = lambda: self._engine.restore(request.tag, before.id if before else None)
        with TemporaryFile() as context:
            self._pack(cast("IO[bytes]", context))
            client = self._engine.new_client()
            try:
                with streaming(client, lambda response: self._stop.closes(lambda: interrupt(response))):
                    self._stream(client, cast("IO[bytes]", context))
            except Exception as error:
                if self._stop.asked:
                    self._await_stop()
                    self._leave()
                    raise _Stopped from error
                if isinstance(error, BuildFailed):
                    self._leave()
                elif self._step is not None:
                    self._step.left()
                raise
        self._leave()
        image = self._engine.inspect(request.tag)
        if image is None or not request.labels.items() <= image.labels.items():
            raise BuildFailed(
                f"the build ended well, but the engine has no image {request.tag} of it",
                hint="something removed it or gave its name away at once; it is tried again",
                passing=True,
            )

    def _pack(self, context: IO[bytes]) -> None:
        # Whole and checked before anything is sent: a changed file must not reach the engine at all.
        request, bundle = self._request, self._request.options.ca_bundle
        content = setup_content(request.definition, request.identity, Dialect.CLASSIC, ca_bundle=bundle is not None)
        extra: dict[str, bytes] = {}
        # Only where our own text asks for it: a `COPY . .` of the user's would take the bundle along.
        if bundle is not None and request.definition.context is None and request.identity.conda_environment:
            extra[CA_BUNDLE] = bundle.read_bytes()
        text = text_of(content, request.tree)
        self._labels = dict(request.labels)
        if text is not None:
            extra[content.dockerfile], self._labels = with_labels(text, request.labels)
        write_tar(content, request.tree, cast("Any", context), extra)
        reach("context-packed")
        self._dockerfile = content.dockerfile

    def _stream(self, client: "docker.APIClient", context: IO[bytes]) -> None:
        import requests  # noqa: PLC0415 -- late, as docker is
        import urllib3  # noqa: PLC0415
        from docker.errors import APIError, DockerException  # noqa: PLC0415

        request, options = self._request, self._request.options
        finished = False
        try:
            messages = client.build(
                fileobj=cast("IO[bytes]", _Upload(context, self._stop)),
                custom_context=True,
                dockerfile=self._dockerfile,
                tag=request.tag,
                labels=self._labels,
                nocache=options.no_cache,
                buildargs=dict(options.proxies),
                network_mode=options.network,
                platform=options.platform,
                rm=True,
                forcerm=True,
                decode=True,
                timeout=None,
            )
            for message in messages:
                if self._stop.asked:
                    raise _Stopped
                finished |= self._take(message)
        except APIError as error:
            self._fail(str(error.explanation or error))
        except (DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise EngineUnavailable(
                f"the connection to the Docker engine broke during the build: {error}",
                hint="the build starts anew when the engine answers",
            ) from error
        self._say(self._splitter.rest())
        if not finished:
            raise EngineUnavailable(
                "the Docker engine ended the build's output in the middle",
                hint="the build starts anew when the engine answers",
            )

    def _take(self, message: Mapping[str, Any]) -> bool:
        """Log one message of the engine; True when it says that the image is tagged."""
        if "error" in message:
            detail = message.get("errorDetail") or {}
            self._fail(str(detail.get("message") or message["error"]))
        text = _brief(str(message.get("stream") or ""))
        self._say(self._splitter.feed(text))
        if text.startswith(" ---> Running in "):
            self._enter(text.rsplit(maxsplit=1)[-1])
        if status := message.get("status"):
            self._take_progress(str(message.get("id") or ""), str(status))
        return text.startswith(("Successfully tagged ", "Successfully built "))

    def _take_progress(self, layer: str, status: str) -> None:
        """A pull says where it stands many times a second: only changes of its state are logged."""
        if self._progress.get(layer) != status or not layer:
            self._progress[layer] = status
            self._say([f"{layer}: {status}" if layer else status])

    def _say(self, lines: list[str]) -> None:
        self._tail.extend(lines)
        self._lines.put(lines)

    def _fail(self, message: str) -> None:
        self._say([*self._splitter.rest(), *message.splitlines()])
        cause = explain_failure(list(self._tail))
        raise BuildFailed(cause.message, hint=cause.hint, passing=cause.passing)

    def _enter(self, container: str) -> None:
        """A step runs in this container; that of the step before is gone."""
        self._leave()
        self._container = container
        if self._steps is not None and _CONTAINER.fullmatch(container):
            self._step = StepContainer(self._steps, container)

    def _leave(self) -> None:
        if self._step is not None:
            self._step.gone()
            self._step = None

    def _await_stop(self) -> None:
        """Return when the container of the step is gone: the engine removes it after its client has left."""
        from docker.errors import DockerException  # noqa: PLC0415

        if self._container is None:
            return
        deadline = monotonic() + _STOP_GRACE_S
        pause = threading.Event()
        # No such container, or an engine that is gone: both mean that nothing is built any more.
        with suppress(EnvkilnError, DockerException, OSError, ValueError), closing(self._engine.new_client()) as client:
            while monotonic() < deadline:
                client.inspect_container(self._container)
                pause.wait(0.02)
            client.remove_container(self._container, force=True)


def _brief(text: str) -> str:
    """Our labels hold whole definitions, and the engine says each as a step: only their names are worth a line."""
    if text.startswith("Step ") and " : LABEL " in text and len(text) > 120:
        return text.partition("=")[0] + "=...\n"
    return text
