"""The images of registered versions carry their tags: when they are there, whoever made them, and for ever."""

from values import PASSING, PROBLEM, Story, definition, image, name_of

from envkiln.daemon.events import AliasSet, Registered, SetAlias, Tick
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
