"""Lists of environments: filters, pages, counts, and views that are never stale."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from values import BROKEN, Story, definition, image, name_of

from envkiln.cache.credentials import Carrier, Credential
from envkiln.daemon.events import EngineConnected, Event, ImagesListed, KnownImage, Looked, Paused, Resumed
from envkiln.daemon.messages import EnvironmentPage
from envkiln.daemon.view_cache import ViewCache
from envkiln.daemon.views import environment_view

FOUND = definition()
NAME = name_of(FOUND)


class Followed:
    """A story whose every step a cache follows."""

    def __init__(self) -> None:
        self.story = Story()
        self.cache = ViewCache(lambda _: None)

    def tell(self, event: Event) -> None:
        self.story.tell(event)
        self.cache.note(self.story.state)

    def see(self, id_: str, found: object = FOUND) -> None:
        self.story.see(id_, found)  # type: ignore[arg-type]
        self.cache.note(self.story.state)

    def connect(self, *images: KnownImage) -> None:
        for event in self._connecting(*images):
            self.tell(event)

    def _connecting(self, *images: KnownImage) -> list[Event]:
        return [EngineConnected("engine"), ImagesListed({it.name: it for it in images}, self.story.monotonic)]

    def page(
        self,
        states: tuple[str, ...] = (),
        *,
        name: str | None = None,
        text: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> EnvironmentPage:
        return self.cache.page(states=states, name=name, text=text, after=after, limit=limit)


def ids(page: EnvironmentPage) -> list[str]:
    return [view.environment for view in page.items]


def several() -> Followed:
    followed = Followed()
    followed.connect(image(NAME, "a:latest"))
    for id_ in ("team/b", "a", "team/a", "Zoo"):
        followed.see(id_)
    followed.see("broken", BROKEN)
    return followed


def test_environments_are_listed_by_id() -> None:
    assert ids(several().page()) == ["Zoo", "a", "broken", "team/a", "team/b"]


def test_pages_follow_one_another_and_miss_nothing() -> None:
    followed, seen, after = several(), [], None
    while True:
        page = followed.page(limit=2, after=after)
        seen += ids(page)
        assert page.total == 5
        after = page.next
        if after is None:
            break
    assert seen == ["Zoo", "a", "broken", "team/a", "team/b"]


def test_a_page_goes_on_after_an_environment_that_is_gone() -> None:
    followed = several()
    followed.tell(Looked((), frozenset({"broken"})))
    assert ids(followed.page(after="broken")) == ["team/a", "team/b"]


def test_filters() -> None:
    followed = several()
    assert ids(followed.page(("invalid",))) == ["broken"]
    assert ids(followed.page(("invalid", "ready"), name="b*")) == ["broken"]
    assert ids(followed.page(name="team/*")) == ["team/a", "team/b"]
    assert ids(followed.page(text="zOO")) == ["Zoo"]
    assert ids(followed.page(text="unknown key")) == ["broken"]
    assert ids(followed.page(text=NAME[-10:])) == ["Zoo", "a", "team/a", "team/b"]
    assert followed.page(("failed",)).total == 0


def test_every_state_is_counted_whatever_the_filter() -> None:
    followed = several()
    expected = {"invalid": 1, "queued": 0, "building": 0, "ready": 4, "failed": 0, "named": 0}
    assert followed.page(("failed",)).counts == expected
    followed.tell(Looked((), frozenset({"broken"})))
    assert followed.cache.counts == expected | {"invalid": 0}


def test_a_pause_shows_at_once_everywhere() -> None:
    followed = several()
    followed.page()
    followed.tell(Paused(None))
    assert all(view.paused for view in followed.page().items)
    followed.tell(Resumed(None))
    assert not any(view.paused for view in followed.page().items)


def test_the_build_that_runs_is_shown() -> None:
    story = Story()
    cache = ViewCache(lambda image: f"build of {image}")
    story.connect()
    story.see("a", FOUND)
    cache.note(replace(story.state, changed=frozenset({"a"})))
    assert cache.view("a").build == f"build of {NAME}"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=15))
def test_what_is_kept_is_what_would_be_made_anew(steps: list[tuple[str, int]]) -> None:
    followed = Followed()
    followed.connect(image(NAME))
    for id_, what in steps:
        match what:
            case 0:
                followed.see(id_, BROKEN)
            case 1:
                followed.tell(Looked((), frozenset({id_})))
            case _:
                followed.see(id_, definition(f"p{what}") if what == 3 else FOUND)
        expected = [environment_view(followed.story.state, it) for it in sorted(followed.story.state.environments)]
        assert list(followed.page().items) == expected
        assert sum(followed.cache.counts.values()) == len(expected)


def test_what_builds_decides_about_the_warnings_of_all() -> None:
    found = Credential("canary", "the token of a channel", "env.yml", 1, Carrier.SPECIFICATION)
    followed = several()
    followed.see("z", replace(FOUND, credentials=(found,)))
    assert "if the classic builder builds it" in followed.page().items[-1].warnings[0]
    followed.tell(EngineConnected("engine", has_secrets=True))
    assert followed.page().items[-1].warnings == ()
