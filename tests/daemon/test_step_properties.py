"""Whatever happens, and in whatever order: what always holds of `step`, and what holds when things are quiet."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from values import BROKEN, DIGEST, MOVING, OTHER_DIGEST, SETTINGS, definition, registry_image, sighting
from world import GONE, World

from envkiln.daemon.events import (
    Answer,
    BuildRequested,
    CancelRequested,
    Ending,
    EngineConnected,
    EngineLost,
    Event,
    ImageNeeded,
    ImagesListed,
    Now,
    Paused,
    Progressed,
    PushRequested,
    Registered,
    Resumed,
    StartBuild,
    Tick,
)
from envkiln.daemon.judge import Facts, judge
from envkiln.daemon.messages import ProgressView
from envkiln.daemon.schedule import next_builds
from envkiln.daemon.state import EVERYTHING, Environment, Phase, Policy, State, is_idle, next_wake
from envkiln.daemon.step import step

IDS = st.sampled_from("abcd")
CONTENTS = st.sampled_from([definition("p0"), definition("p1"), definition("p2"), BROKEN])
HOWS = st.sampled_from(
    [
        SETTINGS,
        replace(SETTINGS, aliases=("shared:latest", "{id}:latest")),
        replace(SETTINGS, base_image=MOVING),
        replace(SETTINGS, build=False),
        replace(SETTINGS, pull="when-needed", push="ready"),
        replace(SETTINGS, pull="never", push="registered"),
    ]
)


def copied(state: State) -> dict[str, Any]:
    values = {each.name: getattr(state, each.name) for each in fields(State)}
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.state = State()
        self.monotonic = 1000.0
        self.lists: list[ImagesListed] = []
        self.sure: set[str] = set()
        """Images that a build's end told of and that have been there since, whatever older lists say."""

    @initialize(limit=st.integers(1, 2), up=st.sampled_from([True, True, True, False]), registries=st.booleans())
    def start(self, limit: int, up: bool, registries: bool) -> None:
        self.state = State(Policy(limit, digest_refresh_s=500.0, registries=registries))
        self.world.up = up
        if up:
            self.tell(EngineConnected("engine"))
            self.tell(self.world.list(self.monotonic))

    # What happens

    @rule(id_=IDS, content=CONTENTS, how=HOWS, seen=st.sampled_from([True, True, False]))
    def save(self, id_: str, content: Any, how: Any, seen: bool) -> None:
        self.world.files[id_] = sighting(id_, content, how)
        if seen:
            self.tell(self.world.look())

    @rule(id_=IDS)
    def delete(self, id_: str) -> None:
        self.world.files.pop(id_, None)

    @rule(twice=st.booleans())
    def look(self, twice: bool) -> None:
        event = self.world.look()
        for _ in range(2 if twice else 1):
            self.tell(event)

    @precondition(lambda self: self.world.up)
    @rule(told=st.booleans())
    def lose_the_engine(self, told: bool) -> None:
        self.world.up = False
        if told:
            self.tell(EngineLost(GONE))

    @rule(listed=st.booleans())
    def connect_the_engine(self, listed: bool) -> None:
        self.world.up = True
        self.tell(EngineConnected("engine"))
        if listed:
            self.tell(self.world.list(self.monotonic))

    @precondition(lambda self: self.world.up)
    @rule()
    def ask_for_images(self) -> None:
        self.lists.append(self.world.list(self.monotonic))

    @precondition(lambda self: self.lists)
    @rule(data=st.data(), again=st.booleans())
    def hear_images(self, data: st.DataObject, again: bool) -> None:
        index = data.draw(st.integers(0, len(self.lists) - 1))
        self.tell(self.lists[index] if again else self.lists.pop(index))

    @precondition(lambda self: self.world.running)
    @rule(data=st.data(), ending=st.sampled_from(Ending), passing=st.booleans())
    def end_build(self, data: st.DataObject, ending: Ending, passing: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.world.running)))
        event = self.world.end(name, ending, passing=passing)
        self.sure |= {name} if event.image else set()
        self.tell(event)

    @precondition(lambda self: self.world.to_tag)
    @rule(twice=st.booleans())
    def tag(self, twice: bool) -> None:
        event = self.world.tag()
        for _ in range(2 if twice else 1):
            self.tell(event)

    @precondition(lambda self: self.world.to_resolve)
    @rule(reachable=st.booleans())
    def resolve(self, reachable: bool) -> None:
        self.tell(self.world.resolve(reachable=reachable))

    @precondition(lambda self: self.world.asked)
    @rule(reachable=st.booleans(), elsewhere=st.booleans(), twice=st.booleans())
    def hear_the_registry(self, reachable: bool, elsewhere: bool, twice: bool) -> None:
        event = self.world.answer(reachable=reachable, elsewhere=elsewhere)
        for _ in range(2 if twice else 1):
            self.tell(event)

    @precondition(lambda self: self.world.to_push)
    @rule(reachable=st.booleans())
    def push(self, reachable: bool) -> None:
        self.tell(self.world.push(reachable=reachable))

    @precondition(lambda self: self.state.policy.registries and self.state.wanted)
    @rule(data=st.data(), there=st.booleans())
    def change_the_registry(self, data: st.DataObject, there: bool) -> None:
        """Another machine pushes an image, or somebody removes it."""
        name = data.draw(st.sampled_from(sorted(self.state.wanted)))
        self.world.remote.pop(name, None)
        if there:
            self.world.remote[name] = registry_image(name)

    @rule(id_=IDS, push=st.booleans())
    def need(self, id_: str, push: bool) -> None:
        self.tell(PushRequested(id_) if push else ImageNeeded(id_))

    @rule(data=st.data())
    def register(self, data: st.DataObject) -> None:
        names = sorted(self.state.wanted)
        chosen = data.draw(st.sets(st.sampled_from(names))) if names else set()
        self.tell(Registered({f"version:{number}": name for number, name in enumerate(sorted(chosen))}))

    @rule(digest=st.sampled_from([DIGEST, OTHER_DIGEST, None]))
    def move_base(self, digest: str | None) -> None:
        self.world.digest = digest

    @precondition(lambda self: self.world.images())
    @rule(data=st.data())
    def remove_image(self, data: st.DataObject) -> None:
        self.world.remove(data.draw(st.sampled_from(sorted(self.world.images()))))
        self.sure &= self.world.images().keys()

    @rule(id_=IDS)
    def request(self, id_: str) -> None:
        self.tell(BuildRequested(id_))

    @rule(id_=IDS)
    def cancel(self, id_: str) -> None:
        self.tell(CancelRequested(id_))

    @rule(id_=st.one_of(st.none(), IDS))
    def pause(self, id_: str | None) -> None:
        self.tell(Paused(id_))

    @rule(id_=st.one_of(st.none(), IDS))
    def resume(self, id_: str | None) -> None:
        self.tell(Resumed(id_))

    @precondition(lambda self: self.world.running)
    @rule(data=st.data())
    def progress(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.world.running)))
        self.tell(Progressed(name, ProgressView(phase="solve")))

    @rule(seconds=st.sampled_from([0.0, 1.0, 5.0, 60.0, 700.0]))
    def tick(self, seconds: float) -> None:
        self.monotonic += seconds
        self.tell(Tick())

    # What always holds

    def tell(self, event: Event) -> bool:
        """Apply `event`; returns whether it asked for anything."""
        self.monotonic += 0.01
        now, before = Now(self.monotonic, self.monotonic), copied(self.state)
        after, effects = step(self.state, event, now)
        assert copied(self.state) == before, "the state that was handed in has changed"
        assert step(self.state, event, now) == (after, effects), "the same question has two answers"
        old, self.state = self.state, after
        for effect in effects:
            if isinstance(effect, StartBuild):
                assert self.state.engine.listed
                assert effect.forced or effect.name not in {*self.state.images, *self.sure}
                assert effect.name in self.state.wanted
                assert EVERYTHING not in self.state.paused
                assert not self.state.wanted[effect.name] <= self.state.paused
                asks = {environment.sighting.settings.pull for environment in self._wanting(effect.name)} != {"never"}
                if self.state.policy.registries and asks and not effect.forced:
                    assert self.state.remote[effect.name].answer in (Answer.YES, Answer.NO), "unknown is not no"
            self.world.perform(effect)
        assert len(self.world.running) <= self.state.policy.concurrent_builds
        assert self._shown(old) == self._shown(after), "a change that `changed` does not tell"
        return bool(effects)

    def _wanting(self, name: str) -> list[Environment]:
        return [self.state.environments[id_] for id_ in self.state.wanted[name]]

    def _shown(self, state: State) -> dict[str, Any]:
        unchanged = state.environments.keys() - self.state.changed
        return {id_: state.environments[id_] for id_ in unchanged}

    @invariant()
    def what_is_derived_is_as_if_derived_from_scratch(self) -> None:
        state = self.state
        wanted: dict[str, set[str]] = {}
        claims: dict[str, set[str]] = {}
        for id_, environment in state.environments.items():
            if environment.wanted is not None:
                wanted.setdefault(environment.wanted, set()).add(id_)
            for alias in environment.aliases:
                claims.setdefault(alias, set()).add(id_)
        assert state.wanted == wanted
        assert state.claims == claims
        assert state.queue.keys() == {e.wanted for e in state.environments.values() if e.phase is Phase.QUEUED}
        assert state.forced <= wanted.keys()
        assert state.failures.keys() <= wanted.keys()
        assert state.remote.keys() <= wanted.keys()
        assert state.needed <= wanted.keys()
        assert state.silent <= {
            name for name, remote in state.remote.items() if remote.answer in (Answer.UNKNOWN, Answer.PENDING)
        }
        for name, remote in state.remote.items():
            if remote.answer not in (Answer.YES, Answer.NO):
                assert any(it.sighting.settings.pull != "never" for it in self._wanting(name)), "nobody asks"
        assert {name for name, push in state.pushes.items() if not push.pushing} <= wanted.keys()
        assert state.progress.keys() <= state.builds.keys()
        assert state.paused <= {EVERYTHING, *state.environments}

    @invariant()
    def every_phase_is_what_the_facts_give(self) -> None:
        state, now = self.state, Now(self.monotonic, self.monotonic)
        facts = Facts(
            images=state.images,
            builds=state.builds,
            failures=state.failures,
            forced=state.forced,
            remote=state.remote,
            needed=state.needed,
            why={},
            edited=set(),
            listed=state.engine.listed,
            now=now,
        )
        for environment in state.environments.values():
            phase, _ = judge(environment, facts)
            failure = state.failures.get(environment.wanted or "")
            due = failure is not None and failure.retry_at is not None and failure.retry_at <= self.monotonic
            assert phase is environment.phase or (due and environment.phase is Phase.FAILED)

    @invariant()
    def the_builds_that_run_are_known_and_only_wanted_ones_go_on(self) -> None:
        state = self.state
        assert state.builds.keys() == self.world.running.keys()
        assert {name for name, build in state.builds.items() if build.cancelling} == self.world.cancelled
        assert {name for name, build in state.builds.items() if not build.cancelling} <= state.wanted.keys()

    @invariant()
    def nothing_that_could_run_waits_and_whatever_waits_for_a_time_is_woken(self) -> None:
        assert next_builds(self.state) == []
        for environment in self.state.environments.values():
            if environment.phase is Phase.FAILED and environment.wanted is not None:
                retry_at, wake = self.state.failures[environment.wanted].retry_at, next_wake(self.state)
                assert retry_at is None or (wake is not None and wake <= retry_at)
        for name in self.state.silent:
            wake = next_wake(self.state)
            assert wake is not None
            assert wake <= self.state.remote[name].due

    # What holds when everything was answered

    @rule()
    def settle(self) -> None:
        self.world.up = True
        self.tell(Resumed(None))
        self.tell(EngineConnected("engine"))
        self.lists.clear()
        for _ in range(100):
            if not self._round():
                break
        else:
            raise AssertionError("it never comes to rest")
        assert is_idle(self.state)
        for environment in self.state.environments.values():
            self._assert_true(environment.sighting.id)

    def _round(self) -> bool:
        """Answer everything once, well; returns whether anything was asked for."""
        asked = self.tell(self.world.look())
        for id_ in [id_ for id_, e in self.state.environments.items() if e.phase is Phase.FAILED]:
            asked |= self.tell(BuildRequested(id_))
        while self.world.to_resolve:
            asked |= self.tell(self.world.resolve())
        for name in list(self.world.running):
            cancelled = name in self.world.cancelled
            asked |= self.tell(self.world.end(name, Ending.CANCELLED if cancelled else Ending.BUILT))
        while self.world.to_tag:
            asked |= self.tell(self.world.tag())
        while self.world.asked:
            asked |= self.tell(self.world.answer())
        while self.world.to_push:
            asked |= self.tell(self.world.push())
        self.monotonic += 100
        asked |= self.tell(Tick())
        return self.tell(self.world.list(self.monotonic)) or asked

    def _assert_true(self, id_: str) -> None:
        environment, tags = self.state.environments[id_], self.world.tags
        assert environment.sighting == self.world.files[id_]
        if environment.wanted is None:
            assert environment.phase is Phase.INVALID
            return
        there, settings = tags.get(f"{environment.wanted}:latest"), environment.sighting.settings
        remote = self.state.policy.registries and settings.pull == "when-needed" and settings.build
        assert environment.phase is (Phase.READY if there or remote else Phase.NAMED)
        assert there or remote or not settings.build, "a lost edit"
        if there and settings.push == "ready" and self.state.policy.registries:
            assert environment.wanted in self.world.pushed, "a lost push"
        for alias in environment.aliases:
            if there and min(self.state.claims[alias]) == id_:
                assert tags[alias] == there

    def teardown(self) -> None:
        self.settle()


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=300,
    stateful_step_count=40,
    suppress_health_check=list(HealthCheck),
)
