"""What followers are told of each step."""

import json

import msgspec
from values import BROKEN, Story, definition, image, name_of

from envkiln.daemon.events import (
    EngineConnected,
    EngineLost,
    Event,
    ImagesListed,
    Looked,
    Paused,
    Problem,
    Progressed,
    Tick,
)
from envkiln.daemon.journal import Journal
from envkiln.daemon.messages import API_VERSION, BuildView, EngineView, ProgressView, ServiceView
from envkiln.daemon.telling import MOST_ENTRIES, Telling
from envkiln.daemon.view_cache import ViewCache

FOUND = definition()
NAME = name_of(FOUND)
SERVICE = ServiceView(
    version="1",
    api=API_VERSION,
    process=1,
    started=0.0,
    starting=False,
    paused=False,
    engine=EngineView(connected=True),
    roots=(),
    problems=(),
    counts={},
    queue=0,
)
BUILD = BuildView(build="b", environment="a", image=NAME, state="running", started=0.0)


class Told:
    def __init__(self) -> None:
        self.journal = Journal()
        self.story = Story()
        self.build: str | None = None
        self.telling = Telling(self.journal, ViewCache(lambda _: self.build), lambda: SERVICE, lambda _: BUILD)
        self.position: int = 0

    def tell(self, event: Event) -> None:
        before = self.story.state
        self.story.tell(event)
        self.telling.observe(event, before, self.story.state)

    def see(self, *ids: str, broken: bool = False) -> None:
        found = BROKEN if broken else FOUND
        other = Story()
        for id_ in ids:
            other.see(id_, found)
        self.tell(Looked(tuple(it.sighting for it in other.state.environments.values())))

    def news(self) -> list[tuple[str, dict[str, object]]] | None:
        """Return what was told since the last time, None for a new beginning."""
        entries = self.journal.since(self.position)
        self.position = self.journal.position
        return None if entries is None else [(it.kind, json.loads(it.data)) for it in entries]


def kinds(news: list[tuple[str, dict[str, object]]] | None) -> list[str]:
    assert news is not None
    return [kind for kind, _ in news]


def test_an_environment_that_changes_is_told() -> None:
    told = Told()
    told.see("a")
    assert kinds(told.news()) == ["environment"]
    told.see("a", broken=True)
    [(kind, view)] = told.news() or []
    assert (kind, view["state"]) == ("environment", "invalid")


def test_an_environment_that_is_gone_is_told() -> None:
    told = Told()
    told.see("a")
    told.news()
    told.tell(Looked((), frozenset({"a"})))
    assert told.news() == [("gone", {"environment": "a"})]


def test_a_step_that_changes_nothing_tells_nothing() -> None:
    told = Told()
    told.see("a", broken=True)
    told.news()
    told.tell(Tick())
    told.see("a", broken=True)
    assert told.news() == []


def test_the_engine_and_a_pause_are_told_as_the_service() -> None:
    told = Told()
    told.tell(EngineLost(Problem("gone")))
    assert kinds(told.news()) == ["service"]
    told.tell(Paused(None))
    assert "service" in kinds(told.news())


def test_progress_is_told_with_its_build() -> None:
    told = Told()
    told.tell(Progressed(NAME, ProgressView(phase="solve")))
    assert kinds(told.news()) == ["progress"]


def test_a_build_that_begins_later_than_its_state_is_named_by_every_environment_that_waits_for_it() -> None:
    told = Told()
    for event in (EngineConnected("engine"), ImagesListed({}, 1001.0)):
        told.tell(event)
    told.see("a", "b", "c", broken=True)
    told.see("a", "b")
    told.news()
    told.build = BUILD.build
    told.telling.build_changed(BUILD)
    news = told.news() or []
    assert [kind for kind, _ in news] == ["build", "environment", "environment"]
    assert [(view["environment"], view["state"], view["build"]) for _, view in news[1:]] == [
        ("a", "building", "b"),
        ("b", "building", "b"),
    ]


def test_the_end_of_a_build_is_told_of_the_build_alone() -> None:
    told = Told()
    told.telling.build_changed(msgspec.structs.replace(BUILD, state="built"))
    assert kinds(told.news()) == ["build"]


def test_a_step_that_changes_very_many_is_a_new_beginning() -> None:
    told = Told()
    told.see(*(f"e{number}" for number in range(MOST_ENTRIES + 1)), broken=True)
    assert told.news() is None
    told.tell(Looked((), frozenset({"e1"})))
    assert kinds(told.news()) == ["gone"]


def test_an_image_that_appears_is_told() -> None:
    told = Told()
    told.see("a")
    told.news()
    for event in _connecting():
        told.tell(event)
    assert "ready" in [view.get("state") for _, view in told.news() or []]


def _connecting() -> list[Event]:
    return [EngineConnected("engine"), ImagesListed({NAME: image(NAME, "a:latest")}, 1001.0)]
