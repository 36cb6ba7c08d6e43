"""How far a build is, in words."""

from typing import Any

import pytest

from envkiln.daemon.progress_text import progress_text, spell, step_text


def _build(**changes: Any) -> dict[str, Any]:
    return {"state": "running", "started": 100.0, "estimate": None, "progress": None, "seconds": None} | changes


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"progress": {"phase": "solve", "step": 4, "steps": 9}, "estimate": 40.0},
            "step 4 of 9, solve, 12s of about 40s",
        ),
        ({"progress": {"phase": "pip", "step": None, "steps": None}}, "pip, 12s"),
        ({"progress": {"phase": "link", "step": 2, "steps": None}}, "step 2, link, 12s"),
        ({"estimate": 10.0}, "12s, usually about 10s"),
        ({}, "12s"),
        ({"state": "built", "seconds": 75.4}, "built in 1m15s"),
        ({"state": "interrupted"}, "interrupted"),
    ],
)
def test_where_a_build_is(changes: dict[str, Any], text: str) -> None:
    assert progress_text(_build(**changes), 112.0) == text


def test_a_clock_that_was_set_back_gives_no_negative_time() -> None:
    assert progress_text(_build(), 50.0) == "0s"


def test_a_build_of_which_nothing_is_known_has_no_step() -> None:
    assert step_text("", None, None) == ""


@pytest.mark.parametrize(("seconds", "text"), [(59.4, "59s"), (59.6, "1m00s"), (3599.0, "59m59s"), (4830.0, "1h20m")])
def test_durations(seconds: float, text: str) -> None:
    assert spell(seconds) == text
