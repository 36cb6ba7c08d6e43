"""What the service can say and do: the contract between it and the API, the web page and the metrics."""

from collections.abc import Sequence
from typing import Protocol

from envkiln.daemon.journal import Journal
from envkiln.daemon.logs import LogFiles
from envkiln.daemon.messages import (
    BuildPage,
    BuildView,
    CleanUpView,
    EnvironmentDetail,
    EnvironmentPage,
    EnvironmentView,
    ImagePage,
    ServiceView,
    StatsView,
    VersionDetail,
    VersionPage,
)

LONGEST_PAGE = 1000
USUAL_PAGE = 100


class Answers(Protocol):
    """Every method runs on the event loop and returns at once (well below 1 ms), except the coroutines."""

    journal: Journal
    """What happens, for followers."""
    logs: LogFiles

    def service(self) -> ServiceView: ...

    def environment(self, id_: str) -> EnvironmentView | None: ...

    def environments(
        self,
        *,
        states: Sequence[str] = (),
        name: str | None = None,
        text: str | None = None,
        after: str | None = None,
        limit: int = USUAL_PAGE,
    ) -> EnvironmentPage:
        """Return environments by id. `name` is a shell pattern for the id, `text` stands anywhere in id, file, image
        or reason (any case); `after` is the last id of the page before."""
        ...

    async def detail(self, id_: str) -> EnvironmentDetail | None: ...

    def images(self, *, after: str | None = None, limit: int = USUAL_PAGE) -> ImagePage:
        """Return the known images by name."""
        ...

    def builds(
        self,
        *,
        environment: str | None = None,
        states: Sequence[str] = (),
        after: str | None = None,
        limit: int = USUAL_PAGE,
    ) -> BuildPage:
        """Return builds, running ones first, then the newest first; `after` is the last build id of the page before."""
        ...

    def build(self, build: str) -> BuildView | None: ...

    async def stats(self) -> StatsView: ...

    def versions(
        self, *, name: str | None = None, archived: bool = False, after: str | None = None, limit: int = USUAL_PAGE
    ) -> VersionPage:
        """Return registered versions by name and number, archived ones only if asked for; `after` is the last
        reference of the page before."""
        ...

    def version(self, reference: str) -> VersionDetail | None:
        """Return what `NAME`, `NAME:VERSION` or `NAME@latest` stands for, None where it stands for nothing."""
        ...

    def is_settled(self, id_: str) -> bool:
        """Whether nothing more will happen to an environment by itself, its aliases included."""
        ...

    def request_build(self, id_: str) -> None: ...

    def need_image(self, id_: str) -> None:
        """Somebody is about to use its image: it is pulled if it is only in a registry."""
        ...

    def request_push(self, id_: str) -> None:
        """Push its image, whatever the settings are; raises EnvkilnError where there is none here, or no registry."""
        ...

    def cancel(self, id_: str) -> None:
        """End the build of an environment, running or queued; it stays so until it is saved or asked for again."""
        ...

    def use(self, id_: str) -> None:
        """Note that the image of an environment is used now."""
        ...

    def pause(self, id_: str | None) -> None:
        """Start no more builds of one environment, or (None) of any; what runs goes on."""
        ...

    def resume(self, id_: str | None) -> None: ...

    async def look(self, id_: str | None) -> None:
        """Look at the files of an environment (None, or an unknown id: at everything); return when that is known."""
        ...

    async def applied(self) -> None:
        """Return when everything that was asked for before has been applied to the state."""
        ...

    async def changed(self) -> None:
        """Return when the state has changed."""
        ...

    async def clean_up(self, *, dry_run: bool = False) -> CleanUpView:
        """Remove what the policy lets go, or say what would go.

        Raises EngineUnavailable and EngineRefused.
        """
        ...

    async def web_link(self) -> str:
        """Open the web page's port, if it is not open, and return the page's address with its token."""
        ...
