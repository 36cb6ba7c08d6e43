"""The service: startup, run, shutdown, in that order."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from importlib.metadata import version

import uvicorn
from envkiln.cache.index import Index
from envkiln.daemon.api import make_api
from envkiln.daemon.config import Config
from envkiln.daemon.engine import Engine
from envkiln.daemon.engine_watch import EngineWatch
from envkiln.daemon.events import BaseResolved, BuildRequested, Event
from envkiln.daemon.hands import Hands
from envkiln.daemon.instance import single_instance
from envkiln.daemon.logs import LogFiles
from envkiln.daemon.loop import Loop, clock
from envkiln.daemon.narrate import Line, narrate, narrate_look
from envkiln.daemon.obtain import Obtainer
from envkiln.daemon.paths import Paths
from envkiln.daemon.registry import NoRegistry
from envkiln.daemon.roots import Roots
from envkiln.daemon.state import Base, Policy, State
from envkiln.daemon.view_store import ViewStore
from envkiln.daemon.views import EnvironmentView, RootView, ServiceView, counts, engine_view, environment_view

Say = Callable[[list[Line]], None]


class Service:
    """One running service. `say` is told, on the event loop, what happens, in lines for a person."""

    def __init__(self, config: Config, paths: Paths, say: Say) -> None:
        self._config = config
        self._paths = paths
        self._say = say
        self._started = time.time()
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        self.loop: Loop
        self._roots: Roots

    def stop(self) -> None:
        """Begin the shutdown; `run` returns when it is done."""
        self._stop.set()

    async def run(self, ready: Callable[["Service"], None] = lambda _: None) -> None:
        """Serve until `stop`; `ready` is called when queries are answered.

        Raises AlreadyRunning, and whatever a part of the service dies of: a dead part is never lived with.
        """
        self._paths.ensure()
        async with AsyncExitStack() as stack:
            listener = stack.enter_context(single_instance(self._paths))
            index = Index(self._paths.index)
            stack.callback(index.close)
            views = self._build_parts(index, stack)
            server = _Server(uvicorn.Config(make_api(self), log_config=None, lifespan="off", access_log=False))
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self.loop.run()),
                    group.create_task(views.run()),
                    group.create_task(self._engine_watch.run()),
                    group.create_task(server.serve(sockets=[listener])),
                    group.create_task(self._watch_roots()),
                ]
                ready(self)
                await self._stop.wait()
                server.should_exit = True
                await asyncio.wait([tasks[3]], timeout=2.0)
                for task in tasks:
                    task.cancel()
            await views.flush()

    def _build_parts(self, index: Index, stack: AsyncExitStack) -> ViewStore:
        config, now = self._config, clock()
        bases = {
            reference: Base(digest, answered=True, due=now.monotonic + max(1.0, _left(config, asked_at, now.wall)))
            for reference, (digest, asked_at) in index.digests().items()
        }
        policy = Policy(config.concurrent_builds, config.digest_refresh_s)
        engine = Engine(config.docker_host)
        self.loop = Loop(replace(State(policy), bases=bases), lambda effect: hands.perform(effect))  # noqa: PLW0108 -- made below
        self._engine_watch = EngineWatch(engine, self.loop.post)
        self._roots = Roots(config, index, self.loop.post, lambda report: self._say(narrate_look(report)))
        hands = Hands(
            engine=engine,
            obtainer=Obtainer(engine, NoRegistry(), self._paths.state / "locks"),
            config=config,
            logs=LogFiles(self._paths.logs),
            index=index,
            roots=self._roots,
            post=self.loop.post,
        )
        hands.environments = lambda: self.loop.state.environments
        hands.engine_info = lambda: self._engine_watch.info
        hands.recorded_digests = lambda: self._engine_watch.digests
        views = ViewStore(index)

        def observe(event: Event, before: State, after: State) -> None:
            views.note(after)
            if isinstance(event, BaseResolved) and event.digest is not None:
                index.record_digest(event.reference, event.digest, time.time())
            self._say(narrate(event, before, after))
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

        self.loop.observe(observe)
        # Left in the opposite order: first nothing new is seen, then what runs is stopped.
        stack.push_async_callback(hands.close)
        stack.push_async_callback(self._roots.close)
        return views

    async def _watch_roots(self) -> None:
        await self._roots.start()
        await self._roots.run()

    # api.Answers

    def service(self) -> ServiceView:
        state = self.loop.state
        return ServiceView(
            version("envkiln"),
            os.getpid(),
            self._started,
            engine_view(state),
            tuple(
                RootView(
                    str(watched.root.path),
                    watched.root.label,
                    watched.watcher.mode if watched.watcher else "",
                    watched.problems,
                )
                for watched in self._roots.all
            ),
            counts(state),
            tuple(environment_view(state, id_) for id_ in sorted(state.environments)),
        )

    def environment(self, id_: str) -> EnvironmentView | None:
        state = self.loop.state
        return environment_view(state, id_) if id_ in state.environments else None

    def request_build(self, id_: str) -> None:
        self.loop.post(BuildRequested(id_))

    async def look(self, id_: str) -> None:
        await self._roots.look(id_)
        # What the look posted is applied before anything that is posted now.
        await self.loop.drained()

    async def changed(self) -> None:
        await self._changed.wait()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the service has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run_service(config: Config, paths: Paths, say: Say, ready: Callable[[Service], None] = lambda _: None) -> None:
    """Serve until SIGINT or SIGTERM; a second signal ends the process at once."""

    async def main() -> None:
        service = Service(config, paths, say)
        running = asyncio.get_running_loop()

        def ask_to_stop() -> None:
            service.stop()
            for number in (signal.SIGINT, signal.SIGTERM):
                running.remove_signal_handler(number)

        for number in (signal.SIGINT, signal.SIGTERM):
            running.add_signal_handler(number, ask_to_stop)
        await service.run(ready)

    asyncio.run(main())


def _left(config: Config, asked_at: float, wall: float) -> float:
    """Return for how many seconds more a digest of `asked_at` counts; after a clock was set back, for none."""
    age = wall - asked_at
    return config.digest_refresh_s - age if age >= 0 else 0.0
