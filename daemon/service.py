"""The service: startup, run, shutdown, in that order."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress

import msgspec
import uvicorn
from starlette.types import ASGIApp

from envkiln.cache.index import Index
from envkiln.daemon.api import make_api
from envkiln.daemon.clean_up import CleanUp
from envkiln.daemon.config import Config
from envkiln.daemon.disk_use import DiskUse
from envkiln.daemon.engine_disk import free_bytes
from envkiln.daemon.events import EngineConnected, Event, Reconfigured
from envkiln.daemon.fault_point import reach
from envkiln.daemon.housekeeper import Housekeeper
from envkiln.daemon.instance import single_instance, usable
from envkiln.daemon.journal import Journal, encoded
from envkiln.daemon.managed import Managed
from envkiln.daemon.messages import BuildView, CleanUpView, Saved
from envkiln.daemon.metrics import Metrics
from envkiln.daemon.narrate import Level, Line, narrate, narrate_clean_up, narrate_look
from envkiln.daemon.notify import Notifier
from envkiln.daemon.parts import Parts, make_parts
from envkiln.daemon.paths import Paths
from envkiln.daemon.quiet_server import QuietServer
from envkiln.daemon.reloading import Reloader
from envkiln.daemon.service_answers import ServiceAnswers
from envkiln.daemon.state import State
from envkiln.daemon.systemd import Manager
from envkiln.daemon.tally import Tally
from envkiln.daemon.telling import Telling
from envkiln.daemon.tuning import provide_threads, tune_collector
from envkiln.daemon.version import VERSION, WRITTEN_BY
from envkiln.daemon.view_cache import ViewCache
from envkiln.daemon.watched_root import LookReport
from envkiln.daemon.web_door import WebDoor
from envkiln.daemon.workspace_watch import WorkspaceWatch

Say = Callable[[list[Line]], None]

PAUSED = "paused"
"""The document of the index that says what is paused: it holds over restarts."""


class Service:
    """One running service. `say` is told, on the event loop, what happens, in lines for a person."""

    def __init__(
        self,
        config: Config,
        paths: Paths,
        say: Say,
        *,
        load: Callable[[], Config] | None = None,
        manager: Manager = Manager(),  # noqa: B008 -- a frozen value
        listener: socket.socket | None = None,
    ) -> None:
        """`load` reads the configuration anew (`reload`); `listener` is a socket that the `manager` made."""
        self._config = config
        self._paths = paths
        self.say = say
        self._load = load or (lambda: config)
        self._manager = manager
        self._listener = listener
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._looked = False
        self._parts: Parts
        self.answers: ServiceAnswers
        """There from the moment that `run` calls `ready`."""

    def stop(self) -> None:
        """Begin the shutdown; `run` returns when it is done."""
        self._stop.set()

    def reload(self) -> None:
        """Read the configuration again, soon."""
        self._reload.set()

    @property
    def state(self) -> State:
        return self._parts.loop.state

    async def run(self, ready: Callable[["Service"], None] = lambda _: None) -> None:
        """Serve until `stop`; `ready` is called when queries are answered.

        Raises AlreadyRunning, StateUnusable, and whatever a part of the service dies of: a dead part is never lived
        with.
        """
        tune_collector()
        provide_threads()
        self._paths.ensure(runtime=self._listener is None)
        async with AsyncExitStack() as stack:
            with usable(self._paths.state):
                listener = stack.enter_context(single_instance(self._paths, self._listener))
                index = Index(self._paths.index)
                stack.callback(index.close)
            reach("index-open")
            self._put_together(index)
            parts, answers = self._parts, self.answers
            # Left in the opposite order: first nothing new is seen, then what runs is stopped, then all is written.
            stack.push_async_callback(parts.records.flush)
            stack.push_async_callback(self._disk_use.close)
            stack.push_async_callback(self._notifier.close)
            stack.push_async_callback(parts.hands.close)
            stack.push_async_callback(parts.roots.close)
            stack.push_async_callback(self._door.close)
            app = make_api(answers, metrics=self._metrics)
            server = QuietServer(uvicorn.Config(app, log_config=None, lifespan="off", access_log=False))
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(server.serve(sockets=[listener]))
                tasks = [
                    group.create_task(parts.loop.run()),
                    group.create_task(parts.records.run()),
                    group.create_task(parts.engine_watch.run()),
                    group.create_task(self._watch_roots()),
                    group.create_task(self._managed.run()),
                    group.create_task(self._workspace.run()),
                    group.create_task(self._housekeeper.run()),
                ]
                if self._config.web_port:
                    await self._door.open()
                await server.answering()
                self._managed.ready()
                ready(self)
                await self._stop.wait()
                await self._finish_builds()
                await server.end(serving)
                for task in tasks:
                    task.cancel()

    def _put_together(self, index: Index) -> None:
        paused = index.document(PAUSED)
        self._parts = parts = make_parts(
            self._config,
            self._paths,
            index,
            self._report,
            announce=self._announce,
            paused=frozenset(map(str, paused)) if isinstance(paused, list) else frozenset(),
        )
        parts.records.note_document(WRITTEN_BY, lambda: VERSION)
        self._metrics = Metrics(watches=self._watches)
        self._journal = Journal()
        views = ViewCache(self._build_of)
        self._tally = Tally(index.document(Tally.DOCUMENT), parts.history.seconds_of)
        self._disk_use = DiskUse(index.document(DiskUse.DOCUMENT), parts.logs.bytes_in_all, parts.records.note_document)
        self._workspace = WorkspaceWatch(
            self._config.workspace, parts.loop.post, self._service_changed, self._config.poll_interval_s
        )
        self._door = WebDoor(self._web, self._paths.state / "token", self._config.web_port)
        self._notifier = Notifier(lambda problem: self.say([Line(problem, level=Level.WARNING)]))
        clean_up = CleanUp(self._config, parts, self._paths, index, parts.records.flush)
        self._housekeeper = Housekeeper(
            clean_up,
            document=index.document(Housekeeper.DOCUMENT),
            store=parts.records.note_document,
            known=lambda: parts.roots.started and self.state.engine.connected and self.state.engine.listed,
            free_bytes=lambda: free_bytes(parts.engine, parts.engine_watch.info),
            told=self._cleaned,
        )
        self.answers = ServiceAnswers(
            parts,
            views=views,
            journal=self._journal,
            tally=self._tally,
            disk_use=self._disk_use,
            door=self._door,
            workspace=self._workspace,
            housekeeper=self._housekeeper,
            problems=self._problems,
        )
        self._managed = Managed(self._manager, self.answers)
        self._reloader = Reloader(self._config, self._load, parts, self.say, clean_up)
        self._telling = Telling(self._journal, views, self.answers.service, self.answers.build_of_image)
        parts.loop.observe(self._telling.observe)
        parts.loop.observe(self._observe)
        parts.loop.observe(self._notifier.observe)
        parts.loop.observe(self._disk_use.observe)
        parts.loop.observe(lambda *_: self._housekeeper.check())

    def _cleaned(self, view: CleanUpView) -> None:
        self.say(narrate_clean_up(view))
        self._metrics.cleaned(len(view.removed), view.freed_bytes)
        self._tally.cleaned(len(view.removed), view.freed_bytes)
        self._journal.add("cleaned", encoded(msgspec.structs.replace(view, kept=())))

    def _watches(self) -> int:
        return sum(watched.watcher.watches for watched in self._parts.roots.all if watched.watcher)

    def _problems(self) -> tuple[str, ...]:
        records, file = self._parts.records, self._paths.config_file
        unwatched = () if self._parts.roots.all else (f"no directory is watched: set `roots` in {file}, then reload",)
        return (
            *((records.problem,) if records.problem else ()),
            *unwatched,
            *self._workspace.problems,
            *self._reloader.problems,
            *self._housekeeper.problems,
            *self._notifier.problems,
        )

    def _web(self) -> ASGIApp:
        from envkiln.daemon.web import web_routes  # noqa: PLC0415 -- templates are for those who ask for the page

        return make_api(self.answers, metrics=self._metrics, extra=web_routes(self.answers))

    async def _watch_roots(self) -> None:
        await self._parts.roots.start()
        reach("first-look-done")
        await self._parts.loop.drained()
        self._looked = True
        self._housekeeper.check()
        self._service_changed()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._parts.roots.run())
            group.create_task(self._reload_when_asked())

    async def _reload_when_asked(self) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            self._managed.reloading()
            await self._reloader.reload()
            self._managed.ready()
            self._service_changed()

    def _service_changed(self) -> None:
        self._telling.service_changed()
        self.answers.tell_changed()
        self._managed.changed()

    async def _finish_builds(self) -> None:
        """Let builds that run come to their end, for as long as the setting allows; none starts."""
        config = self._reloader.config
        self._managed.stopping(config.stop_wait_s)
        if not (config.stop_wait_s and self.state.builds):
            return
        self.say([Line(f"stopping; what is being built ({len(self.state.builds)}) may take {config.stop_wait_s:g} s")])
        self._parts.loop.post(Reconfigured(0, config.digest_refresh_s))
        with suppress(TimeoutError):
            async with asyncio.timeout(config.stop_wait_s):
                await self._parts.loop.drained()
                while self.state.builds or self.state.setting:
                    await self.answers.changed()

    def _report(self, report: LookReport) -> None:
        self.say(narrate_look(report))
        self._tally.unchanged(len(report.same) if self._looked else 0)
        self._metrics.event_lag(report.seconds)
        for id_ in report.same:
            self._journal.add("saved", encoded(Saved(id_)))

    def _announce(self, build: BuildView) -> None:
        self._telling.build_changed(build)
        if build.seconds is not None and build.state != "running":
            self._metrics.build_ended(build.state, build.seconds)

    def _build_of(self, image: str) -> str | None:
        build = self._parts.history.running(image)
        return build.build if build else None

    def _observe(self, event: Event, before: State, after: State) -> None:
        self.say(narrate(event, before, after))
        if isinstance(event, EngineConnected):
            # Whatever took the engine away (a suspended laptop, a full disk) may have taken events with it.
            self._parts.roots.look_soon()
        self._metrics.note(event)
        hits = self._tally.count(event, before, after, counting=self._looked)
        for _ in range(hits):
            self._metrics.skipped()
        if self._tally.changed:
            counted = self._tally.document()
            self._parts.records.note_document(Tally.DOCUMENT, lambda: counted)
        if before.paused != after.paused:
            self._parts.records.note_document(PAUSED, lambda: sorted(after.paused))
        self.answers.tell_changed()
        self._managed.changed()
