from hypothesis import given
from hypothesis import strategies as st

from envkiln.daemon.coalesce import EVERYTHING, Coalescer

PATHS = st.sampled_from(["a", "b/c", "b/d", "b/e", "b/f/g", "b/f/h", "i/j", "", "k/l/m"])
STEPS = st.lists(st.tuples(st.floats(0, 2), st.one_of(st.none(), st.frozensets(PATHS, max_size=4))), max_size=40)


def test_nothing_waits_at_first() -> None:
    idle = Coalescer(0.05, 1.0)
    assert idle.due(100.0) is None
    assert idle.next_wake(100.0) is None
    assert idle.add([], 100.0) == idle


def test_a_change_is_due_when_it_rests() -> None:
    waiting = Coalescer(0.5, 10.0).add(["a"], 100.0).add(["b/c"], 100.25)
    assert waiting.due(100.5) is None
    assert waiting.next_wake(100.5) == 100.75
    assert waiting.due(100.75) == frozenset({"a", "b/c"})
    assert waiting.released().next_wake(100.75) is None


def test_a_steady_stream_is_due_at_the_bound() -> None:
    waiting = Coalescer(1.0, 3.0)
    for tick in range(7):
        waiting = waiting.add(["a"], tick / 2)
    assert waiting.next_wake(2.5) == 3.0
    assert waiting.due(2.9) is None
    assert waiting.due(3.0) == frozenset({"a"})


def test_the_first_change_after_a_release_starts_anew() -> None:
    waiting = Coalescer(1.0, 3.0).add(["a"], 0.0).released().add(["b"], 50.0)
    assert waiting.due(50.5) is None
    assert waiting.due(51.0) == frozenset({"b"})


def test_many_paths_of_one_directory_become_the_directory() -> None:
    waiting = Coalescer(0, 0, directory_limit=3).add(["x", *(f"d/{n}" for n in range(4))], 0.0)
    assert waiting.due(0.0) == frozenset({"x", "d"})


def test_a_directory_stands_for_what_is_below() -> None:
    assert Coalescer(0, 0).add(["d/e/f", "d", "dx/y"], 0.0).due(0.0) == frozenset({"d", "dx/y"})


def test_too_many_paths_become_everything() -> None:
    waiting = Coalescer(0, 0, directory_limit=3, limit=10).add([f"{n}/x" for n in range(11)], 0.0)
    assert waiting.due(0.0) == EVERYTHING
    assert waiting.add(["more"], 0.0).due(0.0) == EVERYTHING


def test_an_overflow_is_everything() -> None:
    assert Coalescer(0, 0).add(["a"], 0.0).add(None, 0.0).due(0.0) == EVERYTHING


def covers(released: frozenset[str], path: str) -> bool:
    return any(path == place or not place or path.startswith(f"{place}/") for place in released)


@given(STEPS, st.floats(0, 1), st.floats(1, 3), st.integers(1, 4), st.integers(4, 6))
def test_no_path_is_lost_and_time_is_kept(
    steps: list[tuple[float, frozenset[str] | None]], settle: float, settle_max: float, directory_limit: int, limit: int
) -> None:
    state = Coalescer(settle, settle_max, directory_limit, limit)
    now = 0.0
    waiting: set[str] = set()
    first = last = 0.0

    def wake() -> None:
        nonlocal state, waiting
        released = state.due(now)
        if released is None:
            assert not waiting or now < min(last + settle, first + settle_max)
            return
        assert all(covers(released, path) for path in waiting)
        assert now >= min(last + settle, first + settle_max)
        state, waiting = state.released(), set()

    for pause, paths in steps:
        # Whoever uses it sleeps until `next_wake`, never past it.
        due = state.next_wake(now)
        if due is not None and due <= now + pause:
            now, pause = due, now + pause - due  # noqa: PLW2901
            wake()
            assert not state.pending
        now += pause
        new = {""} if paths is None else paths
        if new:
            first, last = (first if waiting else now), now
            waiting |= new
        state = state.add(paths, now)
    end = state.next_wake(now)
    if end is not None:
        assert end <= max(now, first + settle_max)
        now = end
        wake()
    assert not waiting
