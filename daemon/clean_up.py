"""Takes away what nobody needs: asks everybody who may need an image, plans, and sweeps."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from envkiln.cache.errors import EnvkilnError
from envkiln.cache.index import Index
from envkiln.daemon.config import Config
from envkiln.daemon.inventory import Inventory, take_inventory
from envkiln.daemon.messages import CleanUpView, ImageVerdict
from envkiln.daemon.needs import Remembered, busy_names, merged_uses, protected_by
from envkiln.daemon.parts import Parts
from envkiln.daemon.paths import Paths
from envkiln.daemon.pins import PinsUnreadable, read_pins
from envkiln.daemon.retention import HeldImage, Plan, Protected, Retention, Verdict, freed_bytes, plan
from envkiln.daemon.state import State, movable_base
from envkiln.daemon.sweep import Sweep
from envkiln.daemon.upkeep import StillThere, tidy_crash_reports, tidy_index, tidy_locks, tidy_logs
from envkiln.daemon.workspace import registered_images

GB = 1_000_000_000
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class _Facts:
    inventory: Inventory
    protected: Protected


@dataclass(frozen=True, slots=True)
class _Swept:
    """What is gone, what stayed after all and why, and what went wrong."""

    gone: tuple[Verdict, ...]
    stayed: tuple[Verdict, ...] = ()
    problems: tuple[str, ...] = ()


class CleanUp:
    """Cleans one engine up. Lives on the event loop; one clean-up runs at a time."""

    def __init__(
        self, config: Config, parts: Parts, paths: Paths, index: Index, flush: Callable[[], Awaitable[None]] | None
    ) -> None:
        """`flush` writes what is noted for the index and not written yet."""
        self.config = config
        """What holds; a reload sets it."""
        self._flush = flush
        self._parts = parts
        self._paths = paths
        self._index = index
        self._running = asyncio.Lock()

    async def clean(self, *, dry_run: bool = False, need: int = 0) -> CleanUpView:
        """Remove what the configured policy lets go, and more where the disk needs `need` bytes.

        Raises EngineUnavailable and EngineRefused before anything is removed; what goes wrong later is in `problems`.
        """
        policy = retention(self.config, need)
        async with self._running:
            return await self._clean(policy, dry_run=dry_run, tidy=True)

    async def remove_untagged(self) -> CleanUpView:
        """Remove only the images that have lost their tag to a newer one."""
        async with self._running:
            return await self._clean(Retention(0, float("inf")), dry_run=False, tidy=False)

    async def _clean(self, policy: Retention, *, dry_run: bool, tidy: bool) -> CleanUpView:
        started = time.time()
        begun = time.monotonic()
        facts = await self._facts()
        planned = plan(facts.inventory.images, facts.protected, policy, started)
        swept = _Swept(planned.going) if dry_run else await asyncio.to_thread(self._sweep, planned)
        cache, logs, log_bytes, more = (0, 0, 0, ()) if dry_run or not tidy else await self._tidy(facts)
        gone = frozenset(verdict.image.id for verdict in swept.gone)
        freed = freed_bytes(facts.inventory.images, gone, facts.protected.shared)
        return CleanUpView(
            dry_run=dry_run,
            at=started,
            seconds=round(time.monotonic() - begun, 3),
            removed=tuple(map(_view, swept.gone)),
            kept=tuple(map(_view, [*swept.stayed, *planned.staying])),
            freed_bytes=freed,
            image_bytes=planned.used - freed,
            cache_bytes=cache,
            logs=logs,
            log_bytes=log_bytes,
            problems=(*_obstacle(facts.protected), *swept.problems, *more),
        )

    async def _tidy(self, facts: _Facts) -> tuple[int, int, int, tuple[str, ...]]:
        """Return (bytes of the build cache, logs, their bytes) that are gone, and what went wrong."""
        cache = logs = log_bytes = 0
        problems = []
        config = self.config
        try:
            logs, log_bytes = await asyncio.to_thread(
                tidy_logs,
                self._parts.logs,
                keep_s=config.log_keep_days * DAY_S,
                budget=round(config.log_budget_gb * GB),
            )
            await asyncio.to_thread(tidy_crash_reports, self._paths.crashes, keep_s=config.log_keep_days * DAY_S)
            await asyncio.to_thread(tidy_locks, self._paths.locks)
            if facts.protected.blind is None:
                await asyncio.to_thread(tidy_index, self._index, self._still_there(facts))
        except (OSError, sqlite3.Error) as error:
            problems.append(f"the state directory could not be tidied: {error}")
        if config.build_cache_gb is not None:
            try:
                cache = await asyncio.to_thread(self._parts.engine.prune_build_cache, round(config.build_cache_gb * GB))
            except EnvkilnError as error:
                problems.append(str(error))
        return cache, logs, log_bytes, tuple(problems)

    def _still_there(self, facts: _Facts) -> StillThere:
        state = self._parts.loop.state
        images = facts.inventory.images
        tags = {reference for image in images for reference in image.references}
        return StillThere(
            frozenset(state.environments),
            frozenset(image.name for image in images),
            frozenset(tags | state.claims.keys()),
            frozenset(str(watched.root.path) for watched in self._parts.roots.all),
        )

    async def _facts(self) -> _Facts:
        if self._flush is not None:
            await self._flush()
        blind = self._blind()
        remembered = Remembered()
        try:
            remembered = await asyncio.to_thread(self._remember)
        except (OSError, sqlite3.Error) as error:
            blind = f"the index cannot be read: {error}"
        uses = merged_uses(remembered, self._parts.history.all(), self._parts.loop.state, time.time())
        inventory = await asyncio.to_thread(take_inventory, self._parts.engine, uses)
        registered = await asyncio.to_thread(registered_images, self.config)
        try:
            pinned = (*self.config.keep_images, *await asyncio.to_thread(read_pins, self._paths.pins))
        except PinsUnreadable as error:
            pinned, blind = (), error.message
        protected = protected_by(
            self._parts.loop.state, remembered, inventory, registered=registered, pinned=pinned, blind=blind
        )
        return _Facts(inventory, protected)

    def _remember(self) -> Remembered:
        return Remembered(self._index.uses(), self._index.aliases(), self._index.views())

    def _blind(self) -> str | None:
        """Return why it is not known what is needed now, None where it is."""
        roots = self._parts.roots
        if not roots.started:
            return "the first look at the roots is not done"
        if not roots.all:
            return "no directory is watched, so nothing is known of what is needed"
        unseen = next((why for watched in roots.all if (why := watched.unseen) is not None), None)
        return unseen or unanswered(self._parts.loop.state)

    def _sweep(self, planned: Plan) -> _Swept:
        sweep = Sweep(self._parts.engine, self._paths.locks, self._objection)
        gone: list[Verdict] = []
        stayed: list[Verdict] = []
        for number, verdict in enumerate(planned.going):
            try:
                why = sweep.remove(verdict.image)
            except (EnvkilnError, OSError) as error:
                rest = [Verdict(it.image, "the clean-up ended before it") for it in planned.going[number:]]
                return _Swept(tuple(gone), (*stayed, *rest), (str(error),))
            if why is None:
                gone.append(verdict)
            else:
                stayed.append(Verdict(verdict.image, why))
        return _Swept(tuple(gone), tuple(stayed))

    def _objection(self, image: HeldImage) -> str | None:
        # In the sweep's thread: the state is one frozen value, and this is the newest.
        state = self._parts.loop.state
        if image.name in busy_names(state):
            return "is being built, tagged or pushed"
        if image.name in state.registered:
            return "is a registered version"
        ids = state.wanted.get(image.name)
        if ids and image.address in image.references:
            return f"{min(ids)} needs it"
        claimed = sorted(image.references & state.claims.keys())
        return f"has the tag {claimed[0]} of an environment" if claimed else None


def retention(config: Config, need: int = 0) -> Retention:
    """Return the configured policy."""
    budget = None if config.disk_budget_gb is None else round(config.disk_budget_gb * GB)
    return Retention(config.keep_last, config.keep_days * DAY_S, budget, need)


def unanswered(state: State) -> str | None:
    """Return which base image's digest is still being asked for: until then a name may be another one."""
    for environment in state.environments.values():
        base = movable_base(environment.sighting)
        if base is not None and not state.bases[str(base)].answered:
            return f"the digest of {base} is still being asked for"
    return None


def _obstacle(protected: Protected) -> tuple[str, ...]:
    """Return why nothing can be removed at all, if so."""
    if protected.blind is not None:
        return (f"nothing is removed: {protected.blind}",)
    return ("nothing is removed: the registered versions cannot be read",) if protected.registered is None else ()


def _view(verdict: Verdict) -> ImageVerdict:
    image = verdict.image
    tags = tuple(sorted(image.references))
    return ImageVerdict(
        image=image.name, id=image.id, tags=tags, size=image.size, frees=verdict.frees, reason=verdict.reason
    )
