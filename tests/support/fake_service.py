"""A service that builds nothing: `answers.Answers` from values that a test changes while clients look on.

On `pythonpath` (pyproject.toml): test files import it as `fake_service`.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import uvicorn
from starlette.types import ASGIApp
from versions import version

from envkiln.cache.names import IMAGE_PREFIX
from envkiln.cache.registered_version import RegisteredVersion
from envkiln.daemon.answers import USUAL_PAGE
from envkiln.daemon.journal import Journal, encoded
from envkiln.daemon.logs import LogFiles, build_id
from envkiln.daemon.messages import (
    API_VERSION,
    BuildPage,
    BuildView,
    CleanUpView,
    DayView,
    DiskSample,
    EngineView,
    EnvironmentDetail,
    EnvironmentPage,
    EnvironmentView,
    Gone,
    ImagePage,
    ImageVerdict,
    ImageView,
    ProgressView,
    RootView,
    Saved,
    ServiceView,
    StatsView,
    VersionDetail,
    VersionPage,
)
from envkiln.daemon.version_views import version_by, version_page

NOW = 1_795_000_000.0
"""November 2026: the clock of the fake, which moves a second with every event."""
DAY = 86_400.0
DEFINITION = "dependencies:\n- python=3.11\n- numpy\n- pip:\n  - idna\n"
LOG = """\
# {image}:latest
# recipe azureml/1, builder buildx, started 2026-11-18T01:33:20Z
#1 [internal] load build definition from Dockerfile
#5 [1/5] FROM docker.io/library/base:1
#6 [2/5] COPY azureml-environment-setup/mutated_conda_dependencies.yml .
#7 [3/5] RUN conda env create -p /azureml-envs/env -f mutated_conda_dependencies.yml
#7 12.1 Collecting package metadata: done
#7 20.4 Solving environment: done
#7 21.0 Downloading and Extracting Packages
"""
SETTLED = frozenset({"ready", "failed", "invalid", "named"})

T = TypeVar("T")


def image_of(id_: str, edition: int = 0) -> str:
    """Return the image name of the text number `edition` of an environment."""
    text = f"{id_}\0{edition}".encode(errors="surrogateescape")
    return IMAGE_PREFIX + blake2b(text, digest_size=16).hexdigest()


class FakeService:
    """Has environments in all states, and `more` that are ready: `training`, `team/nlp` and `web-client` are ready,
    `vision` has failed, `speech` is being built, `gpu/cuda` waits, `broken` is invalid and `scratch` is only named.

    What changes something may be called from any thread.
    """

    def __init__(self, directory: Path, *, more: Sequence[str] = ()) -> None:
        """Logs are written below `directory`."""
        self.journal = Journal()
        self.logs = LogFiles(directory / "logs")
        self.loop: asyncio.AbstractEventLoop | None = None
        self.asked: list[tuple[str, str | None]] = []
        """(what, id) of every request to do something, looks too."""
        self.needed: list[str] = []
        """The environments whose images somebody was about to use."""
        self.all: dict[str, EnvironmentView] = {}
        self.all_builds: dict[str, BuildView] = {}
        self.registered: tuple[RegisteredVersion, ...] = (
            version("speech", 1, archived=True),
            version("speech", 2),
            version("training", 1, description="the first one"),
        )
        self.engine = EngineView(connected=True, description="Docker Engine 20.10.24 (linux/amd64)")
        self.starting = False
        self.paused = False
        self.clock = NOW
        self.link = "http://127.0.0.1:1/?token=secret"
        self._editions: dict[str, int] = {}
        self._changed = asyncio.Event()
        for id_ in ("training", "team/nlp", "web-client", *more):
            self._add(id_, "ready", "built in 13.1 s")
            self._earlier_builds(id_)
        self._add("scratch", "named", "`build` is false")
        self._add("gpu/cuda", "queued", "no image of this name")
        self._add("broken", "invalid", "broken/env.yml:10:8: could not find expected ':'", hint="correct the YAML")
        self._add("vision", "queued", "no image of this name")
        self._begin("vision")
        self._end("vision", "failed", "torch 99.1 is in none of the channels", "ask for a version that exists")
        self._add("speech", "queued", "no image of this name")
        self._earlier_builds("speech")
        self._begin("speech")
        self._progress("speech", 3, "solve", "[3/5] RUN conda env create")

    # What a test changes

    def save(self, id_: str) -> None:
        """The file has other text now: a build of another image begins."""

        def change() -> None:
            self._editions[id_] = self._editions.get(id_, 0) + 1
            if id_ not in self.all:
                self._add(id_, "queued", "no image of this name")
            else:
                self._replace(id_, state="queued", image=image_of(id_, self._editions[id_]), reason="saved")
            self._begin(id_)

        self.on_loop(change)

    def save_same(self, id_: str) -> None:
        """The file was written and says the same."""
        self.on_loop(lambda: self._tell("saved", Saved(id_)))

    def break_(self, id_: str) -> None:
        """The file cannot be read any more."""
        reason = f"{id_}/env.yml:3:1: unknown key"
        self.on_loop(lambda: self._replace(id_, state="invalid", reason=reason, hint="remove it"))

    def remove(self, id_: str) -> None:
        def change() -> None:
            del self.all[id_]
            self._tell("gone", Gone(id_))

        self.on_loop(change)

    def progress(self, id_: str, step: int, phase: str, text: str) -> None:
        """The running build has come to step `step` of 5."""
        self.on_loop(lambda: self._progress(id_, step, phase, text))

    def finish(self, id_: str) -> None:
        """The running build ends well."""
        self.on_loop(lambda: self._end(id_, "built"))

    def fail(self, id_: str, problem: str = "torch 99.1 is in none of the channels", hint: str = "correct it") -> None:
        """The running build ends with a problem."""
        self.on_loop(lambda: self._end(id_, "failed", problem, hint))

    def append_log_line(self, id_: str, line: str) -> None:
        """The running build, or else the last one, says something."""
        with self.log_of(id_).open("a", encoding="utf-8", errors="surrogateescape") as log:
            log.write(f"{line}\n")

    def disconnect_engine(self) -> None:
        def change() -> None:
            self.engine = EngineView(connected=False, problem="the engine does not answer", hint="start Docker")
            self._tell("service", self.service())

        self.on_loop(change)

    def log_of(self, id_: str) -> Path:
        """Return the log of the running or last build of an environment."""
        log = self.logs.of_build(self.builds(environment=id_).items[0].build)
        assert log is not None
        return log

    def on_loop(self, change: Callable[[], T]) -> T:
        """Run `change` where the service runs, and return what it returns."""
        if self.loop is None or self.loop.is_closed() or _running_loop() is self.loop:
            return change()

        async def changing() -> T:
            return change()

        return asyncio.run_coroutine_threadsafe(changing(), self.loop).result(10)

    # Answers

    def service(self) -> ServiceView:
        return ServiceView(
            version="1",
            api=API_VERSION,
            process=2,
            started=NOW - DAY,
            starting=self.starting,
            paused=self.paused,
            engine=self.engine,
            roots=(RootView("/home/ada/envs", "envs", "inotify", {}),),
            problems=(),
            counts=self._counts(),
            queue=self._counts().get("queued", 0),
        )

    def environment(self, id_: str) -> EnvironmentView | None:
        return self.all.get(id_)

    def environments(
        self,
        *,
        states: Sequence[str] = (),
        name: str | None = None,
        text: str | None = None,
        after: str | None = None,
        limit: int = USUAL_PAGE,
    ) -> EnvironmentPage:
        def fits(view: EnvironmentView) -> bool:
            words = f"{view.environment} {view.file} {view.image} {view.reason}".casefold()
            return (
                (not states or view.state in states)
                and (name is None or fnmatchcase(view.environment, name))
                and (text is None or text.casefold() in words)
            )

        found = [self.all[id_] for id_ in sorted(self.all) if fits(self.all[id_])]
        rest = [view for view in found if after is None or view.environment > after]
        following = rest[limit - 1].environment if len(rest) > limit else None
        return EnvironmentPage(items=tuple(rest[:limit]), total=len(found), counts=self._counts(), next=following)

    async def detail(self, id_: str) -> EnvironmentDetail | None:
        view = self.all.get(id_)
        if view is None:
            return None
        return EnvironmentDetail(
            **_fields(view),
            definition=DEFINITION,
            changes=("numpy is new", "python 3.10 -> 3.11"),
            builds=self.builds(environment=id_).items,
        )

    def images(self, *, after: str | None = None, limit: int = USUAL_PAGE) -> ImagePage:
        by_name: dict[str, list[str]] = {}
        for view in self.all.values():
            if view.image_id and view.image:
                by_name.setdefault(view.image, []).append(view.environment)
        rest = [name for name in sorted(by_name) if after is None or name > after]
        items = tuple(_image(name, by_name[name]) for name in rest[:limit])
        return ImagePage(items=items, total=len(by_name), next=items[-1].image if len(rest) > limit else None)

    def builds(
        self,
        *,
        environment: str | None = None,
        states: Sequence[str] = (),
        after: str | None = None,
        limit: int = USUAL_PAGE,
    ) -> BuildPage:
        found = [
            build
            for build in sorted(self.all_builds.values(), key=lambda it: (it.state != "running", -it.started, it.build))
            if environment in (None, build.environment) and (not states or build.state in states)
        ]
        start = next((number + 1 for number, it in enumerate(found) if it.build == after), 0)
        items = tuple(found[start : start + limit])
        return BuildPage(
            items=items, total=len(found), next=items[-1].build if items and start + limit < len(found) else None
        )

    def build(self, build: str) -> BuildView | None:
        return self.all_builds.get(build)

    async def stats(self) -> StatsView:
        days = tuple(
            DayView(day=f"2026-11-{day}", hits=day, misses=day % 3, build_seconds=40.0 * (day % 3))
            for day in range(10, 19)
        )
        return StatsView(
            since=NOW - 9 * DAY,
            hits=sum(day.hits for day in days),
            misses=sum(day.misses for day in days),
            failed=1,
            cancelled=0,
            unchanged=40,
            builds_saved=sum(day.hits for day in days),
            seconds_saved=1234.5,
            build_seconds=360.0,
            images=3,
            image_bytes=3_000_000_000,
            log_bytes=12_345,
            days=days,
            disk=tuple(
                DiskSample(at=NOW - age * DAY, image_bytes=3_000_000_000 - age * 190_000_000, log_bytes=12_345)
                for age in range(12, -1, -1)
            ),
        )

    def versions(
        self, *, name: str | None = None, archived: bool = False, after: str | None = None, limit: int = USUAL_PAGE
    ) -> VersionPage:
        return version_page(self.registered, name=name, archived=archived, after=after, limit=limit)

    def version(self, reference: str) -> VersionDetail | None:
        return version_by(reference, self.registered)

    def is_settled(self, id_: str) -> bool:
        view = self.all.get(id_)
        return view is None or view.state in SETTLED

    def request_build(self, id_: str) -> None:
        self.asked.append(("build", id_))
        view = self.all.get(id_)
        if view is not None and view.state not in {"building", "invalid"}:
            self._begin(id_, forced=True)

    def need_image(self, id_: str) -> None:
        self.needed.append(id_)

    def request_push(self, id_: str) -> None:
        self.asked.append(("push", id_))
        if id_ in self.all:
            self._replace(id_, registry=f"registry.example/{self.all[id_].image}", digest="sha256:" + "d" * 64)

    def cancel(self, id_: str) -> None:
        self.asked.append(("cancel", id_))
        view = self.all.get(id_)
        if view is not None and view.state == "building":
            self._end(id_, "cancelled", "cancelled", "ask for it again with: envkiln build --force")

    def use(self, id_: str) -> None:
        self.asked.append(("use", id_))

    def pause(self, id_: str | None) -> None:
        self._pause("pause", id_, paused=True)

    def resume(self, id_: str | None) -> None:
        self._pause("resume", id_, paused=False)

    async def look(self, id_: str | None) -> None:
        self.asked.append(("look", id_))

    async def applied(self) -> None:
        pass

    async def changed(self) -> None:
        await self._changed.wait()

    async def clean_up(self, *, dry_run: bool = False) -> CleanUpView:
        self.asked.append(("clean-up", str(dry_run)))
        images = [_image(image_of(id_), []) for id_ in ("old", "training")]
        gone, kept = (
            ImageVerdict(image=it.image, id=it.id, tags=it.tags, size=it.size, frees=2_000_000, reason=reason)
            for it, reason in zip(images, ("not used for 40d", "training needs it"), strict=True)
        )
        return CleanUpView(
            dry_run=dry_run, at=NOW, removed=(gone,), kept=(kept,), freed_bytes=2_000_000, image_bytes=998_000_000
        )

    async def web_link(self) -> str:
        return self.link

    # On the loop

    def _add(self, id_: str, state: str, reason: str, *, hint: str | None = None) -> None:
        image = image_of(id_, self._editions.get(id_, 0))
        there = state == "ready"
        view = EnvironmentView(
            environment=id_,
            state=state,
            since=self.clock,
            reason=reason,
            hint=hint,
            file=f"{id_}/env.yml",
            root="envs",
            format="conda",
            conda_environment=f"azureml_{image[-32:]}",
            image=image if state != "invalid" else None,
            base_image="mcr.microsoft.com/azureml/base:1",
            recipe="azureml/1",
            aliases=(f"{id_}:latest",),
            image_id=f"sha256:{image[-32:]}{image[-32:]}" if there else None,
            image_size=1_000_000_000 if there else None,
            image_created=self.clock if there else None,
            tags=(f"{image}:latest", f"{id_}:latest") if there else (),
            last_good=image if there else None,
        )
        self._put(view)

    def _earlier_builds(self, id_: str) -> None:
        """Three builds that ended well, on the days before."""
        for day in (3, 2, 1):
            build = self._new_build(id_, started=NOW - day * DAY)
            self.all_builds[build.build] = msgspec.structs.replace(
                build,
                state="built",
                progress=None,
                seconds=10.0 + day,
                size=1_000_000_000,
                phases={"solve": 4.0, "download": 3.0, "pip": 2.0, "export": 1.0 + day},
                definition=DEFINITION,
            )

    def _new_build(self, id_: str, *, started: float, forced: bool = False) -> BuildView:
        image = self.all[id_].image or image_of(id_)
        log = self.logs.new(image, started)
        log.write_text(LOG.format(image=image), encoding="utf-8")
        return BuildView(
            build=build_id(image, started),
            environment=id_,
            image=image,
            state="running",
            started=started,
            forced=forced,
            estimate=12.0,
            progress=ProgressView(phase="context", steps=5),
            log=str(log),
        )

    def _begin(self, id_: str, *, forced: bool = False) -> None:
        self.clock += 1
        build = self._new_build(id_, started=self.clock, forced=forced)
        self._tell_build("build", build)
        self._replace(id_, state="building", reason="no image of this name", build=build.build, hint=None)

    def _progress(self, id_: str, step: int, phase: str, text: str) -> None:
        progress = ProgressView(phase=phase, step=step, steps=5, text=text)
        self._tell_build("progress", msgspec.structs.replace(self._running(id_), progress=progress))

    def _end(self, id_: str, state: str, problem: str | None = None, hint: str | None = None) -> None:
        self.clock += 12.3
        build, view = self._running(id_), self.all[id_]
        self._tell_build(
            "build",
            msgspec.structs.replace(
                build,
                state=state,
                seconds=self.clock - build.started,
                progress=None,
                problem=problem,
                hint=hint,
                phases={"solve": 6.0, "download": 4.0, "export": 2.3},
                definition=DEFINITION,
            ),
        )
        if state == "built":
            self._replace(
                id_,
                state="ready",
                reason="built in 12.3 s",
                build=None,
                image_id=f"sha256:{build.image[-32:]}{build.image[-32:]}",
                image_size=1_000_000_000,
                image_created=self.clock,
                tags=(f"{build.image}:latest", *view.aliases),
                last_good=build.image,
            )
        else:
            self._replace(id_, state="failed", reason=problem, hint=hint, build=None, turn="user")

    def _running(self, id_: str) -> BuildView:
        return next(it for it in self.all_builds.values() if it.environment == id_ and it.state == "running")

    def _pause(self, what: str, id_: str | None, *, paused: bool) -> None:
        self.asked.append((what, id_))
        if id_ is None:
            self.paused = paused
            self._tell("service", self.service())
        elif id_ in self.all:
            self._replace(id_, paused=paused, since=self.all[id_].since)

    def _replace(self, id_: str, **changes: Any) -> None:
        self._put(msgspec.structs.replace(self.all[id_], **{"since": self.clock, **changes}))

    def _put(self, view: EnvironmentView) -> None:
        self.clock += 1
        self.all[view.environment] = view
        self._tell("environment", view)

    def _tell_build(self, kind: str, build: BuildView) -> None:
        self.all_builds[build.build] = build
        self._tell(kind, build)

    def _tell(self, kind: str, message: msgspec.Struct) -> None:
        self.journal.add(kind, encoded(message))
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _counts(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for view in self.all.values():
            counts[view.state] = counts.get(view.state, 0) + 1
        return counts


def _fields(view: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(view, name) for name in view.__struct_fields__}


def _image(name: str, environments: list[str]) -> ImageView:
    id_ = f"sha256:{name[-32:]}{name[-32:]}"
    tags = (f"{name}:latest", *(f"{it}:latest" for it in environments))
    return ImageView(image=name, id=id_, tags=tags, size=1_000_000_000, created=NOW, environments=tuple(environments))


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class _Server(uvicorn.Server):
    """Tells when it answers, and the fake where it runs."""

    def __init__(self, config: uvicorn.Config, fake: FakeService) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._fake = fake

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._fake.loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.ready.set()


@contextmanager
def serving(fake: FakeService, app: ASGIApp, listener: socket.socket) -> Iterator[None]:
    """Serve `app`, made of `fake`, on a socket that listens, in a thread; followers are cut off at the end."""
    config = uvicorn.Config(app, log_config=None, lifespan="off", access_log=False, timeout_graceful_shutdown=1)
    server = _Server(config, fake)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        assert server.ready.wait(10)
        yield
    finally:
        server.should_exit = True
        thread.join(10)
    assert not thread.is_alive()


@contextmanager
def unix_listener(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(256)
        yield listener


@contextmanager
def tcp_listener() -> Iterator[tuple[socket.socket, int]]:
    """Yield a listening socket of 127.0.0.1 and its port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(256)
        yield listener, listener.getsockname()[1]
