"""Numbers rise by name, and what has not changed keeps its number."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from versions import version

from envkiln.cache.registered_version import LARGEST_VERSION, RegisteredVersion, VersionError, checked_name
from envkiln.cache.registration import Change, latest, register_as

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
STEPS = st.lists(st.tuples(st.sampled_from([A, B, "sha256:" + "c" * 64]), st.booleans()), max_size=30)


@given(STEPS)
def test_whatever_is_registered_and_archived_numbers_rise_and_the_unchanged_keep_theirs(
    steps: list[tuple[str, bool]],
) -> None:
    known: list[RegisteredVersion] = []
    for content, archives in steps:
        before = latest(known)
        done = register_as(version(content=content), known)
        unchanged = before is not None and before.content == content
        assert (done.change is Change.UNCHANGED) == unchanged
        if unchanged:
            assert done.version == before
        else:
            assert done.version.version == len(known) + 1
            known.append(done.version)
        if archives:
            known[done.version.version - 1] = replace(done.version, archived=True)
    assert [each.version for each in known] == list(range(1, len(known) + 1))


def test_going_back_to_an_earlier_definition_is_a_version_more() -> None:
    known = [version(number=1, content=A), version(number=2, content=B)]
    assert register_as(version(content=A), known).version.version == 3


def test_an_archived_version_is_not_latest_and_its_number_is_not_given_again() -> None:
    known = [version(number=1, content=A), version(number=2, content=B, archived=True)]
    assert latest(known) == known[0]
    assert register_as(version(content=B), known).version.version == 3


def test_a_number_that_is_asked_for_is_given_where_it_rises() -> None:
    assert register_as(version(content=A), [version(number=3, content=A)], number=7).version.version == 7
    assert register_as(version(content=A), [], number=7).version.version == 7


def test_a_number_that_has_this_very_definition_is_no_change() -> None:
    known = [version(number=1, content=A), version(number=2, content=B)]
    done = register_as(version(content=A), known, number=1)
    assert (done.version, done.change) == (known[0], Change.UNCHANGED)


@pytest.mark.parametrize(
    ("known", "number", "says"),
    [
        ([version(number=2, content=B)], 2, "pytorch:2 has another definition"),
        ([version(number=2, content=A, archived=True)], 2, "pytorch:2 is archived"),
        ([version(number=2, content=B)], 1, "1 is lower than 2"),
        ([], 0, "0 is not a version"),
        ([version(number=LARGEST_VERSION, content=B)], None, "is not a version"),
    ],
)
def test_a_number_that_cannot_be_is_refused(known: list[RegisteredVersion], number: int | None, says: str) -> None:
    with pytest.raises(VersionError, match=says) as caught:
        register_as(version(content=A), known, number=number)
    assert caught.value.hint


def test_a_digest_that_was_not_known_is_added_to_the_version() -> None:
    digest = "@sha256:" + "1" * 64
    unknown, known = (
        version(base_image="base:1"),
        version(base_image="base:1" + digest, image="azureml/azureml_" + "f" * 32),
    )
    done = register_as(known, [unknown])
    assert (done.version, done.change) == (known, Change.COMPLETED)
    assert register_as(unknown, [known]).version == known
    moved = replace(known, base_image="base:1@sha256:" + "2" * 64)
    assert register_as(moved, [known]).version == known


@pytest.mark.parametrize("name", ["", "a b", "a/b", "..", ".a", "-a", "ä", "a" * 256, "a\n"])
def test_a_name_that_is_no_file_name_everywhere_is_refused(name: str) -> None:
    with pytest.raises(VersionError) as caught:
        checked_name(name)
    assert caught.value.hint
