"""What to build next, and why the rest waits: pure."""

from heapq import nsmallest

from envkiln.daemon.state import State, movable_base


def next_builds(state: State) -> list[str]:
    """Return the names to build now, in order: as many as may start.

    A build that somebody asked for comes first, then what was saved last: that is what its author waits for. Equal
    ones go by name, so that the order is the same everywhere.
    """
    free = state.policy.concurrent_builds - len(state.builds)
    if free <= 0 or not state.queue or not state.engine.listed:
        return []
    return nsmallest(
        free,
        (name for name in state.queue if _hold(state, name) is None),
        key=lambda name: (name not in state.forced, -state.queue[name], name),
    )


def why_waiting(state: State, name: str) -> str:
    """Return why the queued image `name` is not being built at this moment, for a person."""
    return _hold(state, name) or f"waits for one of {state.policy.concurrent_builds} running builds to end"


def _hold(state: State, name: str) -> str | None:
    if not state.engine.connected:
        return f"waits for the engine: {state.engine.problem or 'not asked yet'}"
    if not state.engine.listed:
        return "waits for the engine's list of images"
    if name in state.builds:
        return "waits for the build before it to stop"
    for id_ in sorted(state.wanted.get(name, ())):
        base = movable_base(state.environments[id_].sighting)
        if base is not None and not state.bases[str(base)].answered:
            return f"asks for the digest of {base}"
    return None
