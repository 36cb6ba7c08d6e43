"""What is remembered of builds."""

import msgspec

from envkiln.cache.index import BUILDS_KEPT
from envkiln.daemon.history import History
from envkiln.daemon.messages import BuildView


def build(number: int, *, environment: str = "a", state: str = "built", seconds: float | None = 10.0) -> BuildView:
    return BuildView(
        build=f"{environment}-{number:03d}",
        environment=environment,
        image=f"image-{environment}-{number}",
        state=state,
        started=1000.0 + number,
        seconds=seconds,
    )


def test_builds_come_back_from_the_index_newest_first() -> None:
    first, second = build(1), build(2, environment="b")
    history = History({"a": [msgspec.to_builtins(first)], "b": [msgspec.to_builtins(second)]})
    assert list(history.all()) == [second, first]
    assert history.of("a") == [first]
    assert history.find("b-002") == second
    assert history.find("c-001") is None


def test_records_that_are_damaged_or_of_an_earlier_layout_are_left_out() -> None:
    history = History({"a": [{"image": "x", "ending": "built"}, {"build": 7}, msgspec.to_builtins(build(1))]})
    assert history.of("a") == [build(1)]


def test_running_builds_come_first() -> None:
    history = History({})
    history.end(build(5))
    running = history.begin(build(3, state="running", seconds=None))
    assert [it.build for it in history.all()] == ["a-003", "a-005"]
    assert history.find("a-003") == running
    assert history.running("image-a-3") == running


def test_a_build_is_estimated_by_the_good_ones_before_it() -> None:
    history = History({})
    assert history.begin(build(1, state="running", seconds=None)).estimate is None
    history.end(build(1, seconds=8.0))
    history.end(build(2, seconds=1.0, state="failed"))
    assert history.begin(build(3, state="running", seconds=None)).estimate == 8.0


def test_an_end_takes_the_place_of_the_beginning() -> None:
    history = History({})
    history.begin(build(1, state="running", seconds=None))
    history.end(build(1))
    assert list(history.all()) == [build(1)]
    assert history.count() == 1


def test_the_seconds_of_an_image_are_its_own_where_they_are_known() -> None:
    history = History({})
    history.end(build(1, seconds=4.0))
    history.end(build(2, seconds=100.0))
    assert history.seconds_of("image-a-1", "a") == 4.0
    assert history.seconds_of("other", "a") is not None
    assert history.seconds_of("other", "b") is None


def test_only_the_last_builds_of_an_environment_are_kept() -> None:
    history = History({})
    for number in range(BUILDS_KEPT + 5):
        history.end(build(number))
    assert history.count() == BUILDS_KEPT
    assert history.find("a-000") is None
    assert len(list(history.all())) == BUILDS_KEPT
