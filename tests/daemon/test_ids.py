"""What environments are called."""

import pytest

from envkiln.daemon.ids import Ids


def test_an_id_is_the_path_for_as_long_as_it_is_there() -> None:
    ids = Ids()
    assert ids.claim("one", "team/a") == "team/a"
    assert ids.claim("one", "team/a") == "team/a"


def test_the_second_root_with_a_path_puts_its_label_before_it() -> None:
    ids = Ids()
    ids.claim("one", "a")
    assert ids.claim("two", "a") == "two:a"
    assert ids.claim("one", "a") == "a"


def test_an_id_does_not_change_when_its_neighbour_goes_and_is_free_for_the_next() -> None:
    ids = Ids()
    ids.claim("one", "a")
    ids.claim("two", "a")
    assert ids.release("one", "a") == "a"
    assert ids.claim("two", "a") == "two:a"
    assert ids.claim("three", "a") == "a"
    assert ids.claim("one", "a") == "one:a"


def test_what_was_never_claimed_cannot_be_released() -> None:
    with pytest.raises(KeyError):
        Ids().release("one", "a")
