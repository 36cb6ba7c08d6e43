"""The next state while it is being made: facts are put in, phases and effects come out."""

from collections.abc import Iterable
from dataclasses import replace

from envkiln.cache.identity import Identity, identify
from envkiln.daemon.aliases import aliases_of
from envkiln.daemon.events import (
    Answer,
    CancelBuild,
    Effect,
    KnownImage,
    Now,
    Problem,
    ResolveBase,
    SetAlias,
    Sighting,
    StartBuild,
)
from envkiln.daemon.judge import Facts, judge
from envkiln.daemon.registry_facts import asks_registries
from envkiln.daemon.registry_step import consider_push, consult
from envkiln.daemon.schedule import next_builds
from envkiln.daemon.state import Base, Build, Environment, Phase, State, movable_base

_NOBODY: frozenset[str] = frozenset()


class Draft:
    """The next state while it is being made: every mapping is a copy, `touched` are the environments to derive."""

    def __init__(self, state: State, now: Now) -> None:
        self.policy = state.policy
        self.now = now
        self.engine = state.engine
        self.environments = dict(state.environments)
        self.wanted = dict(state.wanted)
        self.images = dict(state.images)
        self.seen = dict(state.seen)
        self.queue = dict(state.queue)
        self.builds = dict(state.builds)
        self.failures = dict(state.failures)
        self.bases = dict(state.bases)
        self.setting = dict(state.setting)
        self.refusals = dict(state.refusals)
        self.claims = dict(state.claims)
        self.registered = state.registered
        self.progress = dict(state.progress)
        self.remote = dict(state.remote)
        self.silent = set(state.silent)
        self.recalled = state.recalled
        self.pushes = dict(state.pushes)
        self.needed = set(state.needed)
        self.forced = set(state.forced)
        self.paused = set(state.paused)
        self.touched: set[str] = set()
        self.edited: set[str] = set()
        self.retag: set[str] = set()
        """The images whose registered tags are to be looked at."""
        self.why: dict[str, str] = {}
        self.effects: list[Effect] = []

    # Facts

    def place(self, sighting: Sighting, before: Environment | None) -> None:
        identity = self._identify(sighting)
        wanted = identity.image if identity else None
        if wanted is not None:
            self.wanted[wanted] = self.wanted.get(wanted, _NOBODY) | {sighting.id}
        aliases = aliases_of(sighting)
        if before is not None and isinstance(sighting.found, Problem):
            aliases = before.aliases  # while the file is broken, they stay with the last good image
        self.claim(sighting.id, aliases, before.aliases if before else ())
        if before is None:
            environment = Environment(sighting, identity, Phase.QUEUED, self.now.wall, "", None, aliases)
        else:
            if before.wanted not in (None, wanted):
                self.let_go(sighting.id, before)
            since = before.since if before.wanted == wanted else self.now.wall
            environment = replace(before, sighting=sighting, identity=identity, since=since, aliases=aliases)
        if before is None or before.wanted != wanted:
            self.edited.add(sighting.id)
        self.environments[sighting.id] = environment
        self.touched.add(sighting.id)
        if wanted is not None:
            self.judge_question(wanted)

    def _identify(self, sighting: Sighting) -> Identity | None:
        if isinstance(sighting.found, Problem):
            return None
        base, digest = movable_base(sighting), None
        if base is not None:
            record = self.bases.get(str(base))
            if record is None or not (record.answered or record.asking):
                record = self.ask(str(base), record or Base())
            digest = record.digest
        settings = sighting.settings
        return identify(sighting.found, settings.base_image, digest, platform=settings.platform)

    def judge_question(self, name: str) -> None:
        """What no registry has answered yet is forgotten when nobody asks for it any more."""
        remote = self.remote.get(name)
        if remote is None or remote.answer in (Answer.YES, Answer.NO):
            return
        asking = (self.environments.get(id_) for id_ in self.wanted.get(name, _NOBODY))
        if not any(it is not None and asks_registries(it.sighting) for it in asking):
            self.forget_remote(name)

    def let_go(self, id_: str, environment: Environment) -> None:
        """The environment no longer asks for its image: stop a build that nobody waits for."""
        name = environment.wanted
        if name is None:
            return
        left = self.wanted.get(name, _NOBODY) - {id_}
        if left:
            self.wanted[name] = left
            self.touched.update(left)
            self.judge_question(name)
            return
        self.wanted.pop(name, None)
        self.queue.pop(name, None)
        self.failures.pop(name, None)
        self.forced.discard(name)
        self.needed.discard(name)
        self.forget_remote(name)
        # One that runs ends by itself, and its end is heard.
        if name in self.pushes and not self.pushes[name].pushing:
            del self.pushes[name]
        build = self.builds.get(name)
        if build is not None and not build.cancelling:
            self.builds[name] = replace(build, cancelling=True)
            self.effects.append(CancelBuild(name))

    def claim(self, id_: str, aliases: tuple[str, ...], before: tuple[str, ...]) -> None:
        """The environment claims `aliases` from now on, and `before` no more."""
        for alias in aliases:
            if alias not in before:
                self.claims[alias] = self.claims.get(alias, _NOBODY) | {id_}
                self.touched.update(self.claims[alias])
        for alias in before:
            if alias in aliases:
                continue
            left = self.claims[alias] - {id_}
            if left:
                self.claims[alias] = left
                self.touched.update(left)
            else:
                del self.claims[alias]
                self.refusals.pop(alias, None)

    def have(self, image: KnownImage, seen: float) -> None:
        failed = self.failures.pop(image.name, None) is not None
        if failed or self.images.get(image.name) != image:
            self.touched.update(self.wanted.get(image.name, ()))
        self.images[image.name] = image
        self.retag.add(image.name)
        self.seen[image.name] = seen
        self.needed.discard(image.name)
        remote = self.remote.get(image.name)
        if remote is not None and remote.answer is not Answer.YES:
            self.forget_remote(image.name)

    def ask(self, reference: str, base: Base) -> Base:
        self.effects.append(ResolveBase(reference))
        self.bases[reference] = replace(base, asking=True)
        return self.bases[reference]

    def rename(self, reference: str) -> None:
        for environment in list(self.environments.values()):
            if str(movable_base(environment.sighting)) == reference:
                self.place(environment.sighting, environment)

    def forget_remote(self, name: str) -> None:
        """What the registries said of `name` counts no more."""
        self.remote.pop(name, None)
        self.silent.discard(name)

    # Conclusions

    def finish(self) -> tuple[State, tuple[Effect, ...]]:
        self._derive(self.touched)
        self._set_registered_tags()
        state = self._state()
        started = next_builds(state)
        if not started:
            return state, tuple(self.effects)
        for name in started:
            id_ = min(id_ for id_ in self.wanted[name] if self.environments[id_].phase is Phase.QUEUED)
            forced = name in self.forced
            self.builds[name] = Build(name, id_, self.now, forced)
            remote = self.remote.get(name)
            if remote is not None and remote.image is not None and not forced:
                self.why[name] = f"pulls from {remote.image.repository}"
            self.effects.append(StartBuild(name, id_, forced))
        building = {id_ for name in started for id_ in self.wanted[name]}
        self.touched |= building
        self._derive(building)
        return self._state(), tuple(self.effects)

    def _derive(self, ids: Iterable[str]) -> None:
        names: set[str | None] = set()
        facts = Facts(
            self.images,
            self.builds,
            self.failures,
            self.forced,
            self.remote,
            self.needed,
            self.why,
            self.edited,
            self.engine.listed,
            self.now,
        )
        for id_ in sorted(self.environments.keys() & set(ids)):
            environment = self.environments[id_]
            phase, reason = judge(environment, facts)
            since = environment.since if phase is environment.phase else self.now.wall
            here = phase is Phase.READY and environment.wanted in self.images
            last_good = environment.wanted if here else environment.last_good
            # Not `replace`, which takes three times as long: this is done for every environment at the start.
            derived = Environment(
                environment.sighting, environment.identity, phase, since, reason, last_good, environment.aliases
            )
            self.environments[id_] = derived
            names.add(environment.wanted)
            if here and self.engine.listed and environment.wanted is not None:
                self._set_aliases(derived, environment.wanted)
                consider_push(self, derived, environment.wanted)
        for name in names:
            if name is None:
                continue
            if any(self.environments[id_].phase is Phase.QUEUED for id_ in self.wanted[name]):
                self.queue.setdefault(name, self.now.wall)
                consult(self, name)
            else:
                self.queue.pop(name, None)

    def _set_aliases(self, environment: Environment, name: str) -> None:
        for alias in environment.aliases:
            refusal = self.refusals.get(alias)
            if (
                alias in self.images[name].references
                or self.setting.get(alias) == name
                or min(self.claims[alias]) != environment.sighting.id
                or (refusal is not None and refusal.name == name)
            ):
                continue
            self.setting[alias] = name
            self.effects.append(SetAlias(alias, name))

    def _set_registered_tags(self) -> None:
        """Tag the images of registered versions; what an environment claims is the environment's."""
        if not self.engine.listed:
            return
        for name in sorted(self.retag & self.registered.keys() & self.images.keys()):
            for tag in self.registered[name]:
                there = tag in self.images[name].references or self.setting.get(tag) == name
                if not there and tag not in self.claims and tag not in self.refusals:
                    self.setting[tag] = name
                    self.effects.append(SetAlias(tag, name))

    def _state(self) -> State:
        return State(
            policy=self.policy,
            engine=self.engine,
            environments=self.environments,
            wanted=self.wanted,
            images=self.images,
            seen=self.seen,
            queue=self.queue,
            builds=self.builds,
            failures=self.failures,
            bases=self.bases,
            setting=self.setting,
            refusals=self.refusals,
            claims=self.claims,
            registered=self.registered,
            progress=self.progress,
            remote=self.remote,
            silent=frozenset(self.silent),
            recalled=self.recalled,
            pushes=self.pushes,
            needed=frozenset(self.needed),
            forced=frozenset(self.forced),
            paused=frozenset(self.paused),
            changed=frozenset(self.touched),
        )
