"""What to build next, and why the rest waits: pure."""

from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b

from envkiln.daemon.events import Answer
from envkiln.daemon.registry_facts import asks_registries
from envkiln.daemon.state import EVERYTHING, State, movable_base

_Group = tuple[str, int]
"""Where a limit of `concurrency` was set, and the limit: it counts the builds of all environments it holds for."""

_NOBODY: frozenset[str] = frozenset()


def next_builds(state: State) -> list[str]:
    """Return the names to build now, in order: as many as may start.

    A build that somebody asked for comes first, then what was saved last: that is what its author waits for. Equal
    ones go by name; with `Policy.host` by a hash of host and name: machines that share a registry and see the same
    new texts at once begin with different ones, and find the others' in the registry when they come to them.
    """
    free = state.policy.concurrent_builds - len(state.builds)
    if free <= 0 or not state.queue or not state.engine.listed:
        return []
    running = _running(state)
    chosen: list[str] = []
    host = state.policy.host
    for name in sorted(
        _answered(state), key=lambda name: (name not in state.forced, -state.queue[name], _place(host, name))
    ):
        group = _group(state, name)
        if (group is not None and running[group[0]] >= group[1]) or _hold(state, name) is not None:
            continue
        chosen.append(name)
        if group is not None:
            running[group[0]] += 1
        if len(chosen) == free:
            break
    return chosen


def _answered(state: State) -> Iterable[str]:
    """Return the queued names without those that wait for a registry's answer: of thousands, a quick look."""
    if not state.remote:
        return state.queue
    remote, forced = state.remote, state.forced
    return [
        name
        for name in state.queue
        if name not in remote or remote[name].answer in (Answer.YES, Answer.NO) or name in forced
    ]


def _place(host: str, name: str) -> str:
    return blake2b(f"{host} {name}".encode(), digest_size=8).hexdigest() if host else name


def why_waiting(state: State, name: str) -> str:
    """Return why the queued image `name` is not being built at this moment, for a person."""
    hold = _hold(state, name)
    if hold is not None:
        return hold
    group = _group(state, name)
    if group is not None and _running(state)[group[0]] >= group[1]:
        return f"waits for its turn: {group[1]} at a time ({group[0]})"
    return f"waits for one of {state.policy.concurrent_builds} running builds to end"


def _running(state: State) -> Counter[str]:
    """Return how many builds run of each group."""
    groups = (_group(state, name) for name in state.builds)
    return Counter(group[0] for group in groups if group is not None)


def _group(state: State, name: str) -> _Group | None:
    """Return the limit that holds for an image: that of the first environment by id that asks for it."""
    ids = state.wanted.get(name)
    if not ids:
        return None
    settings = state.environments[min(ids)].sighting.settings
    if settings.concurrency is None:
        return None
    return settings.sources.get("concurrency", ""), settings.concurrency


def _hold(state: State, name: str) -> str | None:
    if not state.engine.connected:
        return f"waits for the engine: {state.engine.problem or 'not asked yet'}"
    if not state.engine.listed:
        return "waits for the engine's list of images"
    if state.paused:
        paused = _pause(state, name)
        if paused is not None:
            return paused
    if name in state.builds:
        return "waits for the build before it to stop"
    for id_ in sorted(state.wanted.get(name, ())):
        base = movable_base(state.environments[id_].sighting)
        if base is not None and not state.bases[str(base)].answered:
            return f"asks for the digest of {base}"
    return _registry_hold(state, name)


def _registry_hold(state: State, name: str) -> str | None:
    if not state.policy.registries or name in state.forced:
        return None
    ids = state.wanted.get(name, _NOBODY)
    if not any(asks_registries(state.environments[id_].sighting) for id_ in ids):
        return None
    remote = state.remote.get(name)
    if remote is None or remote.answer is None:
        return "asks the registry"
    if remote.answer is Answer.PENDING:
        return "another machine builds it (asks again by itself)"
    if remote.answer is Answer.UNKNOWN:
        return f"the registry does not answer: {remote.problem} (asks again by itself)"
    return None


def _pause(state: State, name: str) -> str | None:
    if EVERYTHING in state.paused:
        return "paused: go on with `envkiln resume`"
    ids = state.wanted.get(name, _NOBODY)
    # An image that somebody else asks for too is built all the same.
    return f"paused: go on with `envkiln resume {min(ids)}`" if ids and ids <= state.paused else None
