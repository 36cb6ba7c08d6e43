"""The parts of a running envkiln, put together: the service and the one-shot build have the same ones."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from envkiln.cache.index import Index
from envkiln.daemon import step_containers
from envkiln.daemon.config import Config
from envkiln.daemon.engine import Engine
from envkiln.daemon.engine_watch import EngineWatch
from envkiln.daemon.events import AliasSet, BaseResolved, Event
from envkiln.daemon.hands import Hands
from envkiln.daemon.history import History
from envkiln.daemon.logs import LogFiles
from envkiln.daemon.loop import Loop, clock
from envkiln.daemon.messages import BuildView
from envkiln.daemon.needs import given_up, left_behind
from envkiln.daemon.obtain import Obtainer
from envkiln.daemon.paths import Paths
from envkiln.daemon.records import Records
from envkiln.daemon.registries import registry_of
from envkiln.daemon.roots import Roots
from envkiln.daemon.state import Base, Policy, State
from envkiln.daemon.watched_root import LookReport


@dataclass(frozen=True, slots=True)
class Parts:
    engine: Engine
    loop: Loop
    hands: Hands
    roots: Roots
    engine_watch: EngineWatch
    records: Records
    history: History
    logs: LogFiles


def make_parts(
    config: Config,
    paths: Paths,
    index: Index,
    report: Callable[[LookReport], None],
    *,
    announce: Callable[[BuildView], None] = lambda _: None,
    paused: frozenset[str] = frozenset(),
) -> Parts:
    """Return the parts, connected and at rest; needs a running event loop.

    `report` is told of every look, `announce` of every build that begins or ends, on the event loop.
    """
    now = clock()
    bases = {
        reference: Base(digest, answered=True, due=now.monotonic + max(1.0, _left(config, asked_at, now.wall)))
        for reference, (digest, asked_at) in index.digests().items()
    }
    engine = Engine(config.docker_host)
    policy = Policy(
        config.concurrent_builds,
        config.digest_refresh_s,
        registries=bool(config.registries),
        # Unlike that of any other service, on this machine or another.
        host=secrets.token_hex(8) if config.registries else "",
    )
    loop = Loop(State(policy, bases=bases, paused=paused))
    steps = paths.state / step_containers.DIRECTORY
    engine_watch = EngineWatch(engine, loop.post, steps, config.docker_config)
    registry = registry_of(
        config,
        engine,
        lambda: engine_watch.info.platform if engine_watch.info else engine.ping().platform,
        # Read again with the configuration.
        docker_config=lambda: hands.config.docker_config,
    )
    records = Records(index, {root.label: str(root.path) for root in config.roots})
    history = History(index.all_builds())
    logs = LogFiles(paths.logs)
    roots = Roots(config, index, records, loop.post, report)
    hands = Hands(
        engine=engine,
        obtainer=Obtainer(engine, registry, paths.locks),
        registry=registry,
        config=config,
        logs=logs,
        records=records,
        roots=roots,
        loop=loop,
        engine_watch=engine_watch,
        history=history,
        steps=steps,
        announce=announce,
    )

    def record(event: Event, before: State, after: State) -> None:
        records.note(after)
        if isinstance(event, BaseResolved) and event.digest is not None:
            records.note_digest(event.reference, event.digest, time.time())
        if isinstance(event, AliasSet) and event.problem is None:
            records.note_alias(event.alias, time.time())
        for alias in given_up(before, after):
            records.note_alias(alias, time.time())
        for name, id_ in left_behind(before, after):
            records.note_use(name, time.time(), id_)

    loop.perform = hands.perform
    loop.observe(record)
    return Parts(engine, loop, hands, roots, engine_watch, records, history, logs)


def _left(config: Config, asked_at: float, wall: float) -> float:
    """Return for how many seconds more a digest of `asked_at` counts; after a clock was set back, for none."""
    age = wall - asked_at
    return config.digest_refresh_s - age if age >= 0 else 0.0
