"""The images of registered versions carry their tags: when they are there, whoever made them, and for ever."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from values import PASSING, PROBLEM, Story, definition, image, name_of

from envkiln.daemon.events import AliasSet, Effect, EngineConnected, EngineLost, Registered, SetAlias, Tick
from envkiln.daemon.state import next_wake
from envkiln.daemon.step import ASK_AGAIN_S

FOUND = definition("python=3.11")
NAME = name_of(FOUND)
TAG = "pytorch:1"
SET = (SetAlias(TAG, NAME),)
THERE = image(NAME)


def listed() -> Story:
    story = Story()
    story.connect(THERE)
    return story


def test_an_image_that_is_there_is_tagged_once() -> None:
    story = listed()
    assert story.tell(Registered({TAG: NAME})) == SET
    assert story.tell(Registered({TAG: NAME})) == ()
    assert story.tell(AliasSet(TAG, NAME)) == ()
    assert story.list(image(NAME, TAG)) == ()
    assert story.tell(Registered({TAG: NAME})) == ()


def test_an_image_that_comes_later_is_tagged_when_it_is_built() -> None:
    story = Story()
    story.connect()
    assert story.tell(Registered({TAG: NAME})) == ()
    story.see("a", FOUND, aliases=())
    assert story.built(NAME) == SET


def test_nothing_is_tagged_before_the_engine_has_listed_its_images() -> None:
    story = Story()
    assert story.tell(Registered({TAG: NAME})) == ()
    assert story.connect(THERE) == SET


def test_a_tag_that_somebody_took_away_or_moved_is_set_again() -> None:
    story = listed()
    story.tell(Registered({TAG: NAME}))
    story.tell(AliasSet(TAG, NAME))
    assert story.list(THERE) == SET
    story.tell(AliasSet(TAG, NAME))
    other = name_of(definition("python=3.12"))
    story.list(image(NAME, TAG), image(other))
    assert story.tell(AliasSet(TAG, other)) == SET


def test_every_version_of_one_image_has_its_tag() -> None:
    story = listed()
    effects = story.tell(Registered({"pytorch:1": NAME, "pytorch:3": NAME}))
    assert effects == (SetAlias("pytorch:1", NAME), SetAlias("pytorch:3", NAME))


def test_a_tag_that_was_refused_is_tried_again_and_not_before() -> None:
    story = listed()
    story.tell(Registered({TAG: NAME}))
    assert story.tell(AliasSet(TAG, NAME, PROBLEM)) == ()
    assert story.list(THERE) == ()
    wake = next_wake(story.state)
    assert wake == story.monotonic + ASK_AGAIN_S
    assert story.tell(Tick(), after=ASK_AGAIN_S) == SET


def test_a_tag_that_could_not_be_set_for_want_of_the_engine_is_set_when_it_is_back() -> None:
    story = listed()
    story.tell(Registered({TAG: NAME}))
    story.tell(AliasSet(TAG, NAME, PASSING))
    assert story.connect(THERE) == SET


def test_what_an_environment_claims_is_the_environment_s() -> None:
    story = Story()
    story.see("a", definition("python=3.12"), aliases=(TAG,))
    story.connect(THERE)
    assert story.tell(Registered({TAG: NAME})) == ()


def test_what_is_registered_no_more_is_left_alone() -> None:
    story = listed()
    story.tell(Registered({TAG: NAME}))
    story.tell(AliasSet(TAG, NAME))
    assert story.tell(Registered({})) == ()
    assert story.list(THERE) == ()


NAMES = [name_of(definition(f"p{number}")) for number in range(3)]
TAGS = st.dictionaries(st.sampled_from(["a:1", "a:2", "b:1"]), st.sampled_from(NAMES))


class Engine:
    """An engine whose tags are what the effects asked for, while it answers."""

    def __init__(self) -> None:
        self.story = Story()
        self.tags: dict[str, str] = {}
        self.images: set[str] = set()
        self.asked: list[SetAlias] = []

    def hear(self, effects: tuple[Effect, ...]) -> None:
        self.asked += [effect for effect in effects if isinstance(effect, SetAlias)]

    def list(self) -> None:
        there = [image(name, *(tag for tag, to in self.tags.items() if to == name)) for name in sorted(self.images)]
        self.hear(self.story.list(*there))

    def connect(self) -> None:
        self.hear(self.story.tell(EngineConnected("engine")))
        self.list()

    def lose(self) -> None:
        self.hear(self.story.tell(EngineLost(PASSING)))

    def obey(self, *, well: bool) -> None:
        """Do what was asked for first, or fail."""
        if not self.asked:
            return
        effect = self.asked.pop(0)
        well = well and effect.name in self.images
        if well:
            self.tags[effect.alias] = effect.name
        self.hear(self.story.tell(AliasSet(effect.alias, effect.name, None if well else PASSING)))


STEPS = st.lists(
    st.one_of(
        TAGS.map(lambda tags: lambda engine: engine.hear(engine.story.tell(Registered(tags)))),
        st.sampled_from(NAMES).map(lambda name: lambda engine: engine.images.symmetric_difference_update({name})),
        st.just(Engine.list),
        st.just(Engine.connect),
        st.just(Engine.lose),
        st.booleans().map(lambda well: lambda engine: engine.obey(well=well)),
        st.just(lambda engine: engine.hear(engine.story.tell(Tick(), after=30.0))),
        st.sampled_from(["a:1", "b:1"]).map(lambda tag: lambda engine: engine.tags.pop(tag, None)),
    ),
    max_size=25,
)


@given(STEPS, TAGS, st.sets(st.sampled_from(NAMES)))
def test_whatever_happened_every_tag_comes_to_its_image_when_things_are_quiet(
    steps: list[Callable[[Engine], object]], tags: dict[str, str], images: set[str]
) -> None:
    engine = Engine()
    for step in steps:
        step(engine)
    engine.images = set(images)
    engine.hear(engine.story.tell(Registered(tags)))
    engine.connect()
    for _ in range(4):
        while engine.asked:
            engine.obey(well=True)
        engine.story.monotonic += 1.0
        engine.hear(engine.story.tell(Tick(), after=ASK_AGAIN_S))
        engine.list()
    assert engine.asked == []
    expected = {tag: name for tag, name in tags.items() if name in images}
    assert {tag: name for tag, name in engine.tags.items() if tag in expected} == expected
