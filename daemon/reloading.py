"""The configuration is read again, and holds without a restart and without the loss of a build."""

import asyncio
from collections.abc import Callable

from envkiln.daemon.clean_up import CleanUp
from envkiln.daemon.config import Config, ConfigError
from envkiln.daemon.events import Reconfigured
from envkiln.daemon.narrate import Level, Line
from envkiln.daemon.parts import Parts
from envkiln.daemon.settings import SETTINGS, Scope
from envkiln.daemon.settings_clean_up import CLEAN_UP

RELOADED = frozenset(
    {
        *("roots", "concurrent_builds", "polling", "poll_interval_s", "look_interval_s", "digest_refresh_s"),
        "stop_wait_s",
        *(setting.name for setting in CLEAN_UP),
    }
)
"""The settings of the whole service that hold at once; those of roots and environments all do."""


def needs_restart(started: Config, now: Config) -> tuple[str, ...]:
    """Return the settings that say something else than at the start, and hold only after the next one."""
    names = (setting.name for setting in SETTINGS if setting.scope is Scope.SERVICE and setting.name not in RELOADED)
    return tuple(name for name in names if getattr(started, name) != getattr(now, name))


class Reloader:
    """Lives on the event loop. `config` is what holds; one that is wrong never does, and is told of."""

    def __init__(
        self,
        config: Config,
        load: Callable[[], Config],
        parts: Parts,
        say: Callable[[list[Line]], None],
        clean_up: CleanUp,
    ) -> None:
        """`load` reads the configuration anew, in another thread; it raises ConfigError."""
        self.config = config
        self.problems: tuple[str, ...] = ()
        self._started = config
        self._load = load
        self._parts = parts
        self._say = say
        self._clean_up = clean_up

    async def reload(self) -> None:
        """Read the configuration and go on by it; when it is wrong, go on as before."""
        try:
            config = await asyncio.to_thread(self._load)
        except ConfigError as error:
            hint = f" ({error.hint})" if error.hint else ""
            self.problems = (f"the configuration is not taken, the one before holds: {error}{hint}",)
            self._say([Line(self.problems[0], level=Level.ERROR)])
            return
        self.config = config
        self._clean_up.config = config
        self._parts.hands.reconfigure(config)
        self._parts.loop.post(Reconfigured(config.concurrent_builds, config.digest_refresh_s))
        await self._parts.roots.reconfigure(config, self._parts.loop.drained)
        self._parts.records.note_roots(
            {watched.root.label: str(watched.root.path) for watched in self._parts.roots.all}
        )
        await self._parts.loop.drained()
        left = needs_restart(self._started, config)
        self.problems = (f"{', '.join(left)}: holds after the next start of the service",) if left else ()
        watched = ", ".join(str(root.path) for root in config.roots) or "no directory"
        self._say([Line(f"configuration read again; watching {watched}")])
        self._say([Line(problem, level=Level.WARNING) for problem in self.problems])
