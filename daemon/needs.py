"""What the state, the index and the pins want to stay: pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from envkiln.daemon.inventory import Inventory, Use
from envkiln.daemon.messages import BuildView
from envkiln.daemon.retention import Protected
from envkiln.daemon.state import State


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the index remembers: uses by image name, aliases that were ever set, the last views by environment."""

    uses: Mapping[str, tuple[float, tuple[str, ...]]] = field(default_factory=dict)
    aliases: frozenset[str] = frozenset()
    views: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def needed_names(state: State, remembered: Remembered) -> dict[str, str]:
    """Return the image names that environments ask for or had ready last, each with one of the environments."""
    needed: dict[str, str] = {}
    for id_, environment in sorted(state.environments.items()):
        # What was ready before this process began is only in the index.
        last_good = environment.last_good or remembered.views.get(id_, {}).get("last_good")
        for name in (environment.wanted, last_good):
            if name is not None:
                needed.setdefault(str(name), id_)
    return needed


def busy_names(state: State) -> frozenset[str]:
    """Return the image names that are being built, waited for, tagged or pushed."""
    pushing = (name for name, push in state.pushes.items() if push.pushing)
    return frozenset({*state.builds, *state.queue, *state.setting.values(), *pushing})


def left_behind(before: State, after: State) -> Iterator[tuple[str, str]]:
    """Yield (image name, environment) of every image that a step has made an earlier one of its environment."""
    for id_ in sorted(after.changed):
        earlier, now = before.environments.get(id_), after.environments.get(id_)
        name = earlier.last_good if earlier is not None else None
        if name is not None and (now is None or now.last_good != name):
            yield name, id_


def given_up(before: State, after: State) -> Iterator[str]:
    """Yield the tags that environments had and that went with them."""
    for id_ in sorted(after.changed):
        earlier = before.environments.get(id_)
        if earlier is not None and id_ not in after.environments:
            yield from earlier.aliases


def merged_uses(remembered: Remembered, builds: Iterable[BuildView], state: State, now: float) -> dict[str, Use]:
    """Return what is known of each image's last use, and of the environments that have had it.

    What a file asks for is in use at wall time `now`.
    """
    uses: dict[str, Use] = {}

    def add(name: str, at: float | None, environments: Iterable[str]) -> None:
        known = uses.get(name, Use(None, frozenset()))
        times = [time for time in (known.at, at) if time is not None]
        uses[name] = Use(max(times, default=None), known.environments | frozenset(environments))

    for name, (at, environments) in remembered.uses.items():
        add(name, at, environments)
    for build in builds:
        add(build.image, None, (build.environment,))
    for name, ids in state.wanted.items():
        add(name, now, ids)
    return uses


def protected_by(
    state: State,
    remembered: Remembered,
    inventory: Inventory,
    *,
    registered: frozenset[str] | None,
    pinned: tuple[str, ...],
    blind: str | None,
) -> Protected:
    """Return what must stay; `blind` says why the state does not know it all, if it does not."""
    claimed = frozenset(state.claims)
    views = remembered.views.values()
    return Protected(
        needed=needed_names(state, remembered),
        busy=busy_names(state),
        registered=registered,
        pinned=pinned,
        containers=inventory.containers,
        ours=claimed | remembered.aliases | {str(alias) for view in views for alias in view.get("aliases") or ()},
        claimed=claimed,
        shared=inventory.shared,
        blind=blind,
    )
