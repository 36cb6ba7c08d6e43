"""How far a build is, in words: pure."""

from collections.abc import Mapping
from typing import Any


def progress_text(build: Mapping[str, Any], now: float) -> str:
    """Return where a build (a `BuildView` as a dict) is at wall time `now`, or how it ended, on one line.

    Such as `step 4 of 9, solve, 12s of about 40s`.
    """
    if build["state"] != "running":
        seconds = build.get("seconds")
        return str(build["state"]) if seconds is None else f"{build['state']} in {spell(seconds)}"
    progress = build.get("progress") or {}
    where = step_text(progress.get("phase") or "", progress.get("step"), progress.get("steps"))
    took = elapsed_text(now - build["started"], build.get("estimate"))
    return f"{where}, {took}" if where else took


def step_text(phase: str, step: int | None, steps: int | None) -> str:
    """Return `step 4 of 9, solve`, or what is known of it."""
    count = ""
    if step is not None:
        count = f"step {step} of {steps}" if steps is not None else f"step {step}"
    return ", ".join(part for part in (count, phase) if part)


def spell(seconds: float) -> str:
    """Return a duration in its two largest units: `12s`, `2m05s`, `1h20m`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m"


def elapsed_text(seconds: float, estimate: float | None) -> str:
    """Return `12s of about 40s`, or what is known of it."""
    took = spell(seconds)
    if estimate is None:
        return took
    return f"{took} of about {spell(estimate)}" if seconds <= estimate else f"{took}, usually about {spell(estimate)}"
