"""Events for followers: in order, none twice, none lost, or a clear sign to begin anew."""

import asyncio
import json

from hypothesis import given
from hypothesis import strategies as st

from envkiln.daemon.journal import Journal, encoded
from envkiln.daemon.messages import Gone


def journal(entries: int, kept: int = 10) -> Journal:
    made = Journal(kept=kept)
    for number in range(entries):
        made.add("gone", encoded(Gone(str(number))))
    return made


@given(st.integers(0, 30), st.integers(-2, 35))
def test_what_is_kept_is_told_whole_and_what_is_not_is_refused(entries: int, position: int) -> None:
    made = journal(entries)
    found = made.since(position)
    if entries - 10 <= position <= entries and position >= 0:
        assert found is not None
        assert [it.number for it in found] == list(range(position + 1, entries + 1))
    else:
        assert found is None


def test_a_reset_makes_every_follower_begin_anew() -> None:
    made = journal(3)
    made.reset()
    assert made.since(3) is None
    assert made.since(made.position) == []
    made.add("gone", b"{}")
    assert [it.number for it in made.since(4) or ()] == [5]


def test_an_id_is_understood_by_its_own_process_only() -> None:
    made, other = journal(3), journal(3)
    assert made.position_of(made.id_of(2)) == 2
    for foreign in (other.id_of(2), "", "-", "2", f"{made.id_of(2)}x", made.id_of(2).replace("-", "-²")):
        assert made.position_of(foreign) is None


def test_a_follower_is_woken_by_the_next_entry() -> None:
    async def follow() -> int:
        made = journal(1)
        waiting = asyncio.create_task(made.more(made.position))
        await asyncio.sleep(0)
        assert not waiting.done()
        made.add("gone", b"{}")
        await asyncio.wait_for(waiting, 10)
        await made.more(0)  # which is there already
        return made.position

    assert asyncio.run(follow()) == 2


def test_a_path_that_is_not_utf_8_is_written_with_escapes() -> None:
    assert json.loads(encoded(Gone("b\udcff"))) == {"environment": "b\udcff"}
