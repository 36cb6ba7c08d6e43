"""What the state and the index want to stay."""

from typing import Any

from values import BROKEN, definition, name_of, sighting

from envkiln.daemon.events import (
    AliasSet,
    BuildEnded,
    Ending,
    EngineConnected,
    Event,
    ImagesListed,
    KnownImage,
    Looked,
    Now,
)
from envkiln.daemon.inventory import Inventory
from envkiln.daemon.messages import BuildView
from envkiln.daemon.needs import Remembered, given_up, left_behind, merged_uses, needed_names, protected_by
from envkiln.daemon.state import State
from envkiln.daemon.step import step

OLD, NEW = definition("old"), definition("new")
NOW = 50.0


def tell(state: State, *events: Event) -> State:
    for event in events:
        state, _ = step(state, event, Now(NOW, NOW))
    return state


def ready(*ids: str, found: Any = OLD) -> State:
    """Return a state in which these environments are ready, with their aliases."""
    name = name_of(found)
    image = KnownImage(name, "sha256:1", frozenset({f"{name}:latest"}))
    looked = Looked(tuple(sighting(id_, found) for id_ in ids))
    return tell(State(), EngineConnected("engine"), ImagesListed({name: image}, NOW), looked)


def build(environment: str, image: str) -> BuildView:
    return BuildView(build="b", environment=environment, image=image, state="built", started=1.0)


def test_what_files_ask_for_and_had_ready_last_is_needed() -> None:
    state = tell(ready("a"), Looked((sighting("a", NEW),)))
    assert needed_names(state, Remembered()) == {name_of(OLD): "a", name_of(NEW): "a"}


def test_what_was_ready_before_a_restart_is_needed_while_its_file_is_broken() -> None:
    state = tell(State(), Looked((sighting("a", BROKEN),)))
    views = {"a": {"last_good": name_of(OLD)}, "gone": {"last_good": name_of(NEW)}}
    assert needed_names(state, Remembered(views=views)) == {name_of(OLD): "a"}


def test_an_image_is_left_behind_when_another_is_ready_or_its_environment_goes() -> None:
    before = ready("a")
    saved = tell(before, Looked((sighting("a", NEW),)))
    assert list(left_behind(before, saved)) == [], "it is still the last good one"
    image = KnownImage(name_of(NEW), "sha256:2", frozenset())
    done = tell(saved, BuildEnded(image.name, Ending.BUILT, image))
    assert list(left_behind(saved, done)) == [(name_of(OLD), "a")]
    gone = tell(done, Looked((), frozenset({"a"})))
    assert list(left_behind(done, gone)) == [(name_of(NEW), "a")]
    assert list(given_up(done, gone)) == ["a:latest"]
    assert list(given_up(before, saved)) == []


def test_uses_come_from_the_index_builds_and_files() -> None:
    state = ready("a", "b", found=NEW)
    remembered = Remembered(uses={name_of(OLD): (7.0, ("c",)), name_of(NEW): (8.0, ())})
    uses = merged_uses(remembered, [build("d", name_of(OLD))], state, NOW)
    assert (uses[name_of(OLD)].at, uses[name_of(OLD)].environments) == (7.0, frozenset("cd"))
    assert (uses[name_of(NEW)].at, uses[name_of(NEW)].environments) == (NOW, frozenset("ab"))


def test_tags_that_were_ever_set_are_ours_and_those_of_environments_stay() -> None:
    state = tell(ready("a"), AliasSet("a:latest", name_of(OLD)))
    remembered = Remembered(aliases=frozenset({"b:latest"}), views={"c": {"aliases": ["c:latest"]}})
    inventory = Inventory((), frozenset({"layer"}), frozenset({"sha256:9"}))
    found = protected_by(state, remembered, inventory, registered=frozenset(), pinned=("x",), blind=None)
    assert found.ours == {"a:latest", "b:latest", "c:latest"}
    assert found.claimed == {"a:latest"}
    assert found.shared == {"layer"}
    assert found.containers == {"sha256:9"}
    assert found.pinned == ("x",)
    assert found.blind is None
    assert found.registered == frozenset()


def test_what_waits_for_a_build_or_a_tag_stays() -> None:
    name = name_of(OLD)
    queued = tell(State(), EngineConnected("engine"), ImagesListed({}, NOW), Looked((sighting("a", OLD),)))
    inventory = Inventory((), frozenset(), frozenset())
    for state in (queued, ready("a")):
        found = protected_by(state, Remembered(), inventory, registered=None, pinned=(), blind="why")
        assert found.busy == {name}
        assert (found.registered, found.blind) == (None, "why")
