"""What people and programs are shown."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from values import BROKEN, MOVING, SETTINGS, Story, definition, identity_of, image, name_of, sighting

from envkiln.cache.credentials import Carrier, Credential
from envkiln.cache.definition import ImageReference
from envkiln.daemon.builder import BuilderKind
from envkiln.daemon.events import (
    AliasSet,
    BuildEnded,
    BuildRequested,
    Ending,
    EngineConnected,
    EngineLost,
    Looked,
    Problem,
)
from envkiln.daemon.messages import EnvironmentView
from envkiln.daemon.views import engine_view, environment_view

FOUND = definition(name="train")
NAME = name_of(FOUND)


def ready() -> Story:
    story = Story()
    story.connect(image(NAME, "a:latest"))
    story.see("a", FOUND)
    return story


def view(story: Story, id_: str = "a") -> EnvironmentView:
    return environment_view(story.state, id_)


def test_a_ready_environment_shows_its_names_and_its_image() -> None:
    story = ready()
    assert view(story) == EnvironmentView(
        environment="a",
        state="ready",
        since=1_000_001_000.0,
        reason="an image of this content exists",
        file="a/env.yml",
        root="root",
        format="conda",
        conda_environment=identity_of(FOUND).conda_environment,
        image=NAME,
        base_image=str(identity_of(FOUND).base_image),
        recipe="azureml/1",
        aliases=("a:latest",),
        image_id=image(NAME).id,
        image_size=10,
        image_created=1.0,
        tags=("a:latest", f"{NAME}:latest"),
        last_good=NAME,
    )


def test_a_view_is_plain_json_with_every_field() -> None:
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(view(ready())))
    assert set(plain) == set(EnvironmentView.__struct_fields__)
    assert plain["hint"] is None


def test_an_invalid_environment_shows_whose_turn_it_is_and_the_last_good_image() -> None:
    story = ready()
    story.see("a", BROKEN)
    shown = view(story)
    assert (shown.state, shown.hint, shown.turn, shown.last_good) == ("invalid", "remove it", "user", NAME)
    assert (shown.image, shown.conda_environment, shown.format, shown.aliases) == (None, None, None, ("a:latest",))


@pytest.mark.parametrize(("passing", "turn"), [(True, "surroundings"), (False, "user")])
def test_a_failed_environment_shows_whose_turn_it_is(passing: bool, turn: str) -> None:
    story = Story()
    story.connect()
    story.see("a", FOUND)
    story.failed(NAME, passing=passing)
    assert (view(story).state, view(story).turn) == ("failed", turn)


def test_a_queued_environment_shows_what_it_waits_for() -> None:
    story = Story()
    story.see("a", FOUND)
    assert view(story).reason == "the engine is not asked yet; waits for the engine: not asked yet"


def test_an_interrupted_request_can_be_shown_after_every_list() -> None:
    story = ready()
    story.tell(BuildRequested("a"))
    story.tell(BuildEnded(NAME, Ending.INTERRUPTED, problem=Problem("gone")))
    assert view(story).state == "failed"
    story.list(image(NAME, "a:latest"))
    assert view(story).state == "building"


def test_what_stands_in_the_way_is_a_warning() -> None:
    story = Story()
    story.connect(image(NAME))
    same = replace(SETTINGS, aliases=("x:latest",))
    story.tell(Looked((sighting("a", FOUND, same), sighting("b", FOUND, same))))
    story.tell(AliasSet("x:latest", NAME, Problem("the tag belongs to another", "rename it")))
    assert view(story).warnings == ("the tag belongs to another (rename it)",)
    story.tell(AliasSet("x:latest", NAME))
    assert view(story).warnings == ()
    assert view(story, "b").warnings == ("the alias x:latest is that of a, which claims it too",)


def test_a_base_image_without_a_tag_is_a_warning() -> None:
    story = Story()
    story.tell(Looked((sighting("a", FOUND, replace(SETTINGS, base_image=ImageReference("base"))),)))
    assert view(story).warnings == ("the base image base has no tag",)
    story.tell(Looked((sighting("a", FOUND, replace(SETTINGS, base_image=MOVING)),)))
    assert view(story).warnings == ()


def test_no_view_tells_a_secret() -> None:
    story = Story()
    story.connect()
    found = definition(comment="env.yml:1: https://user:secret@host is odd")
    story.see("a", found)
    story.tell(
        BuildEnded(name_of(found), Ending.FAILED, problem=Problem("no https://secret@host", "see https://secret@host"))
    )
    assert b"secret" not in msgspec.json.encode(view(story))


def test_an_unknown_environment_has_no_view() -> None:
    with pytest.raises(KeyError):
        view(ready(), "unknown")


def test_the_engine_is_shown_with_its_problem() -> None:
    story = Story()
    assert engine_view(story.state).connected is False
    story.tell(EngineConnected("Docker Engine 28"))
    assert engine_view(story.state).description == "Docker Engine 28"
    story.tell(EngineLost(Problem("refused", "start it")))
    shown = engine_view(story.state)
    assert (shown.connected, shown.problem, shown.hint) == (False, "refused", "start it")


_SECRET = replace(
    definition(name="secret"),
    credentials=(Credential("canary", "the token of a channel", "env.yml", 2, Carrier.SPECIFICATION),),
)


@pytest.mark.parametrize(
    ("builder", "auto", "warned"),
    [
        ("classic", True, "as the classic builder has no secrets"),
        ("buildx", False, None),
        ("auto", True, None),
        ("auto", False, "as the classic builder has no secrets"),
        ("auto", None, "if the classic builder builds it"),
    ],
)
def test_a_credential_that_would_end_in_the_image_is_a_warning(
    builder: BuilderKind, auto: bool | None, warned: str | None
) -> None:
    story = Story()
    story.tell(EngineConnected("engine", auto))
    story.see("a", _SECRET, builder=builder)
    (warning,) = view(story).warnings or ("",)
    assert (warned or "") in warning
    assert bool(warned) is bool(warning)


def test_what_auto_is_stays_known_while_the_engine_is_away() -> None:
    story = Story()
    story.tell(EngineConnected("engine", has_secrets=True))
    story.tell(EngineLost(Problem("gone")))
    story.see("a", _SECRET)
    assert view(story).warnings == ()
