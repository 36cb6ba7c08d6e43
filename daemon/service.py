"""The service: startup, run, shutdown, in that order."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from importlib.metadata import version

import uvicorn

from envkiln.cache.index import Index
from envkiln.daemon.api import make_api
from envkiln.daemon.config import Config
from envkiln.daemon.events import BuildRequested, EngineConnected, Event
from envkiln.daemon.instance import single_instance
from envkiln.daemon.narrate import Line, narrate, narrate_look
from envkiln.daemon.parts import Parts, make_parts
from envkiln.daemon.paths import Paths
from envkiln.daemon.state import Phase, State
from envkiln.daemon.tuning import tune_collector
from envkiln.daemon.views import EnvironmentView, RootView, ServiceView, counts, engine_view, environment_view
from envkiln.daemon.watched_root import LookReport

_SETTLED = frozenset({Phase.READY, Phase.FAILED, Phase.INVALID, Phase.NAMED})

Say = Callable[[list[Line]], None]


class Service:
    """One running service. `say` is told, on the event loop, what happens, in lines for a person."""

    def __init__(self, config: Config, paths: Paths, say: Say) -> None:
        self._config = config
        self._paths = paths
        self.say = say
        self._started = time.time()
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        self._parts: Parts

    def stop(self) -> None:
        """Begin the shutdown; `run` returns when it is done."""
        self._stop.set()

    async def run(self, ready: Callable[["Service"], None] = lambda _: None) -> None:
        """Serve until `stop`; `ready` is called when queries are answered.

        Raises AlreadyRunning, and whatever a part of the service dies of: a dead part is never lived with.
        """
        tune_collector()
        self._paths.ensure()
        async with AsyncExitStack() as stack:
            listener = stack.enter_context(single_instance(self._paths))
            index = Index(self._paths.index)
            stack.callback(index.close)
            self._parts = parts = make_parts(self._config, self._paths, index, self._report)
            parts.loop.observe(self._observe)
            # Left in the opposite order: first nothing new is seen, then what runs is stopped, then all is written.
            stack.push_async_callback(parts.records.flush)
            stack.push_async_callback(parts.hands.close)
            stack.push_async_callback(parts.roots.close)
            server = _Server(uvicorn.Config(make_api(self), log_config=None, lifespan="off", access_log=False))
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(parts.loop.run()),
                    group.create_task(parts.records.run()),
                    group.create_task(parts.engine_watch.run()),
                    group.create_task(server.serve(sockets=[listener])),
                    group.create_task(self._watch_roots()),
                ]
                ready(self)
                await self._stop.wait()
                server.should_exit = True
                await asyncio.wait([tasks[3]], timeout=2.0)
                for task in tasks:
                    task.cancel()

    async def _watch_roots(self) -> None:
        await self._parts.roots.start()
        await self._parts.roots.run()

    def _report(self, report: LookReport) -> None:
        self.say(narrate_look(report))

    def _observe(self, event: Event, before: State, after: State) -> None:
        self.say(narrate(event, before, after))
        if isinstance(event, EngineConnected):
            # Whatever took the engine away (a suspended laptop, a full disk) may have taken events with it.
            self._parts.roots.look_soon()
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    @property
    def state(self) -> State:
        return self._parts.loop.state

    # api.Answers

    def service(self) -> ServiceView:
        state = self.state
        return ServiceView(
            version("envkiln"),
            os.getpid(),
            self._started,
            not self._parts.roots.started,
            engine_view(state),
            tuple(
                RootView(
                    str(watched.root.path),
                    watched.root.label,
                    watched.watcher.mode if watched.watcher else "",
                    watched.problems,
                )
                for watched in self._parts.roots.all
            ),
            (self._parts.records.problem,) if self._parts.records.problem else (),
            counts(state),
            tuple(environment_view(state, id_) for id_ in sorted(state.environments)),
        )

    def environment(self, id_: str) -> EnvironmentView | None:
        state = self.state
        return environment_view(state, id_) if id_ in state.environments else None

    def is_settled(self, id_: str) -> bool:
        state = self.state
        environment = state.environments.get(id_)
        if environment is None:
            return True
        # Whoever was told that an image is ready runs its alias next: that has to have moved.
        tagging = any(alias in state.setting for alias in environment.aliases)
        return environment.phase in _SETTLED and not tagging

    def request_build(self, id_: str) -> None:
        self._parts.loop.post(BuildRequested(id_))

    async def look(self, id_: str) -> None:
        # An id that is not known may be that of a directory made a moment ago.
        await self._parts.roots.look(id_ if id_ in self.state.environments else None)
        # What the look posted is applied before anything that is posted now.
        await self._parts.loop.drained()

    async def changed(self) -> None:
        await self._changed.wait()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the service has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
