"""What a running service answers: `answers.Answers`, made from its parts."""

import asyncio
import os
import time
from collections.abc import Callable, Collection, Sequence
from itertools import islice

import msgspec

from envkiln.cache.definition import EnvironmentDefinition
from envkiln.cache.errors import Turn
from envkiln.cache.explain import changes
from envkiln.cache.shown import definition_text
from envkiln.daemon.answers import USUAL_PAGE
from envkiln.daemon.disk_use import DiskUse, image_sizes
from envkiln.daemon.events import BuildRequested, CancelRequested, ImageNeeded, Paused, PushRequested, Resumed
from envkiln.daemon.housekeeper import Housekeeper
from envkiln.daemon.journal import Journal
from envkiln.daemon.messages import (
    API_VERSION,
    BuildPage,
    BuildView,
    CleanUpView,
    EnvironmentDetail,
    EnvironmentPage,
    EnvironmentView,
    ImagePage,
    RootView,
    ServiceView,
    StatsView,
    VersionDetail,
    VersionPage,
)
from envkiln.daemon.parts import Parts
from envkiln.daemon.registry import NotPushed
from envkiln.daemon.state import EVERYTHING, Environment, Phase
from envkiln.daemon.tally import Tally
from envkiln.daemon.version import VERSION
from envkiln.daemon.version_views import version_by, version_page
from envkiln.daemon.view_cache import ViewCache
from envkiln.daemon.views import engine_view, image_view
from envkiln.daemon.web_door import WebDoor
from envkiln.daemon.workspace_watch import WorkspaceWatch

_SETTLED = frozenset({Phase.READY, Phase.FAILED, Phase.INVALID, Phase.NAMED})


class ServiceAnswers:
    """Everything runs on the event loop."""

    def __init__(  # noqa: PLR0913 -- it joins the parts
        self,
        parts: Parts,
        *,
        views: ViewCache,
        journal: Journal,
        tally: Tally,
        disk_use: DiskUse,
        door: WebDoor,
        workspace: WorkspaceWatch,
        housekeeper: Housekeeper,
        problems: Callable[[], tuple[str, ...]],
    ) -> None:
        """`problems` says what is wrong with the service itself now."""
        self.journal = journal
        self.logs = parts.logs
        self._problems = problems
        self._parts = parts
        self._views = views
        self._tally = tally
        self._disk_use = disk_use
        self._door = door
        self._workspace = workspace
        self._housekeeper = housekeeper
        self._started = time.time()
        self._changed = asyncio.Event()

    def tell_changed(self) -> None:
        """Wake everybody who waits for `changed`."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def service(self) -> ServiceView:
        state = self._parts.loop.state
        return ServiceView(
            version=VERSION,
            api=API_VERSION,
            process=os.getpid(),
            started=self._started,
            starting=not self._parts.roots.started,
            paused=EVERYTHING in state.paused,
            engine=engine_view(state),
            roots=tuple(
                RootView(
                    str(watched.root.path),
                    watched.root.label,
                    watched.watcher.mode if watched.watcher else "",
                    watched.problems,
                )
                for watched in self._parts.roots.all
            ),
            problems=self._problems(),
            counts=self._views.counts,
            queue=len(state.queue),
        )

    def environment(self, id_: str) -> EnvironmentView | None:
        return self._views.view(id_) if id_ in self._parts.loop.state.environments else None

    def environments(
        self,
        *,
        states: Sequence[str] = (),
        name: str | None = None,
        text: str | None = None,
        after: str | None = None,
        limit: int = USUAL_PAGE,
    ) -> EnvironmentPage:
        return self._views.page(states=states, name=name, text=text, after=after, limit=limit)

    async def detail(self, id_: str) -> EnvironmentDetail | None:
        environment = self._parts.loop.state.environments.get(id_)
        if environment is None:
            return None
        view = self._views.view(id_)
        history = self._parts.history
        running = history.running(environment.wanted or "")
        # One build serves all that share the image, and is recorded with one of them.
        shared = [running] if running is not None and running.environment != id_ else []
        builds = tuple(map(self._with_progress, [*shared, *history.of(id_)]))
        definition = _definition(environment)
        return EnvironmentDetail(
            **{name: getattr(view, name) for name in view.__struct_fields__},
            definition=definition,
            changes=_changes(environment, definition, builds),
            builds=builds,
        )

    def images(self, *, after: str | None = None, limit: int = USUAL_PAGE) -> ImagePage:
        state = self._parts.loop.state
        names = sorted(name for name in state.images if after is None or name > after)
        chosen = names[:limit]
        return ImagePage(
            items=tuple(image_view(state, name) for name in chosen),
            total=len(state.images),
            next=chosen[-1] if len(names) > limit else None,
        )

    def builds(
        self,
        *,
        environment: str | None = None,
        states: Sequence[str] = (),
        after: str | None = None,
        limit: int = USUAL_PAGE,
    ) -> BuildPage:
        history = self._parts.history
        fitting = history.all() if environment is None else iter(history.of(environment))
        if states:
            fitting = (build for build in fitting if build.state in states)
        builds = list(fitting)
        start = 0
        if after is not None:
            start = next((number + 1 for number, build in enumerate(builds) if build.build == after), len(builds))
        chosen = list(islice(builds, start, start + limit))
        return BuildPage(
            items=tuple(map(self._with_progress, chosen)),
            total=len(builds),
            next=chosen[-1].build if start + limit < len(builds) else None,
        )

    def build(self, build: str) -> BuildView | None:
        found = self._parts.history.find(build)
        return self._with_progress(found) if found else None

    async def stats(self) -> StatsView:
        log_bytes = await asyncio.to_thread(self.logs.bytes_in_all)
        sizes = image_sizes(self._parts.loop.state)
        return self._tally.view(
            images=len(sizes),
            image_bytes=sum(sizes.values()),
            log_bytes=log_bytes,
            disk=self._disk_use.samples,
        )

    def versions(
        self, *, name: str | None = None, archived: bool = False, after: str | None = None, limit: int = USUAL_PAGE
    ) -> VersionPage:
        page = version_page(
            self._workspace.versions,
            images=self._known_images,
            name=name,
            archived=archived,
            after=after,
            limit=limit,
        )
        return msgspec.structs.replace(page, problems=self._workspace.problems)

    def version(self, reference: str) -> VersionDetail | None:
        return version_by(reference, self._workspace.versions, images=self._known_images)

    @property
    def _known_images(self) -> Collection[str] | None:
        state = self._parts.loop.state
        return state.images.keys() if state.engine.listed else None

    def is_settled(self, id_: str) -> bool:
        state = self._parts.loop.state
        environment = state.environments.get(id_)
        if environment is None:
            return True
        # Whoever was told that an image is ready runs its alias next: that has to have moved.
        tagging = any(alias in state.setting for alias in environment.aliases)
        return environment.phase in _SETTLED and not tagging

    def request_build(self, id_: str) -> None:
        self._parts.loop.post(BuildRequested(id_))

    def need_image(self, id_: str) -> None:
        environment = self._parts.loop.state.environments.get(id_)
        if environment is not None and environment.sighting.settings.pull == "when-needed":
            self._parts.loop.post(ImageNeeded(id_))

    def request_push(self, id_: str) -> None:
        state = self._parts.loop.state
        if not state.policy.registries:
            raise NotPushed(
                "no registry is configured", hint="set `registries`, as in docs/registry.md", turn=Turn.USER
            )
        environment = state.environments.get(id_)
        if environment is not None and environment.wanted not in state.images:
            message = f"{id_} has no image here to push: it is {environment.phase.value}"
            raise NotPushed(message, hint="wait until it is ready: envkiln wait", turn=Turn.USER)
        self._parts.loop.post(PushRequested(id_))

    def cancel(self, id_: str) -> None:
        self._parts.loop.post(CancelRequested(id_))

    def use(self, id_: str) -> None:
        environment = self._parts.loop.state.environments.get(id_)
        if environment is not None:
            for name in {environment.last_good, environment.wanted} - {None}:
                self._parts.records.note_use(str(name), time.time(), id_)

    def pause(self, id_: str | None) -> None:
        self._parts.loop.post(Paused(id_))

    def resume(self, id_: str | None) -> None:
        self._parts.loop.post(Resumed(id_))

    async def look(self, id_: str | None) -> None:
        # An id that is not known may be that of a directory made a moment ago.
        await self._parts.roots.look(id_ if id_ in self._parts.loop.state.environments else None)
        # What the look posted is applied before anything that is posted now.
        await self._parts.loop.drained()

    async def applied(self) -> None:
        """Return when everything that was asked for before has been applied to the state."""
        await self._parts.loop.drained()

    async def changed(self) -> None:
        await self._changed.wait()

    async def clean_up(self, *, dry_run: bool = False) -> CleanUpView:
        return await self._housekeeper.clean(dry_run=dry_run)

    async def web_link(self) -> str:
        return await self._door.open()

    def build_of_image(self, image: str) -> BuildView | None:
        """Return the running build of an image, with its progress but without its text."""
        found = self._parts.history.running(image)
        return self._with_progress(msgspec.structs.replace(found, definition=None)) if found else None

    def _with_progress(self, build: BuildView) -> BuildView:
        progress = self._parts.loop.state.progress.get(build.image) if build.state == "running" else None
        return msgspec.structs.replace(build, progress=progress) if progress else build


def _definition(environment: Environment) -> str | None:
    found, identity = environment.sighting.found, environment.identity
    if not isinstance(found, EnvironmentDefinition) or identity is None:
        return None
    return definition_text(found, identity)


def _changes(environment: Environment, definition: str | None, builds: Sequence[BuildView]) -> tuple[str, ...]:
    """Return what the text differs in from that of the image before: the last good one, or the one before that."""
    if definition is None:
        return ()
    wanted, last_good = environment.wanted, environment.last_good
    built = [build for build in builds if build.state == "built" and build.definition and build.image != wanted]
    before = next((build for build in built if build.image == last_good), built[0] if built else None)
    return changes(before.definition, definition) if before and before.definition else ()
