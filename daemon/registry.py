"""The contract of a team's registries: the question before a build, and what follows from a yes."""

from typing import Protocol

from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.daemon.events import Answer, RegistryAnswered, RegistryImage


class NotPushed(EnvkilnError):  # noqa: N818 -- what it is
    """An image that is not in the registry after a push, or that must not be pushed."""

    def __init__(self, message: str, *, hint: str | None = None, turn: Turn = Turn.SURROUNDINGS) -> None:
        super().__init__(message, hint=hint)
        self.turn = turn


class Registry(Protocol):
    """What the registries of the settings have, taken together."""

    async def ask(self, name: str, platform: str | None) -> RegistryAnswered:
        """Return whether one of them has a believed image of `name` for `platform` (None: the engine's own).

        Never raises for a registry that cannot be reached or does not let us in: that is UNKNOWN.
        """
        ...

    async def claim(self, name: str) -> RegistryAnswered | None:
        """Tell the others that `name` is built here now, until it is pushed or released.

        Returns what counts instead where another service was quicker.
        """
        ...

    def built(self, name: str) -> None:
        """The claimed build has ended well; its push may follow."""
        ...

    def abandon(self, name: str) -> None:
        """The claimed build was cancelled: nothing more is said of it."""
        ...

    async def release(self, name: str) -> None:
        """The claimed build has failed: the others need not wait for it."""
        ...

    async def pull(self, image: RegistryImage) -> None:
        """Bring the image into the engine under `name:latest`; raises EnvkilnError when it cannot."""
        ...

    async def push(self, name: str, platform: str | None) -> RegistryImage:
        """See to it that the first registry has an image of `name`, and return it as it stands there.

        An image that is there and believed is left as it is. Raises EnvkilnError when it is not there in the end.
        """
        ...


class NoRegistry:
    """The registries of somebody who has none."""

    async def ask(self, name: str, platform: str | None) -> RegistryAnswered:  # noqa: ARG002
        return RegistryAnswered(name, Answer.NO)

    async def claim(self, name: str) -> RegistryAnswered | None:  # noqa: ARG002
        return None

    def built(self, name: str) -> None:
        pass

    def abandon(self, name: str) -> None:
        pass

    async def release(self, name: str) -> None:
        pass

    async def pull(self, image: RegistryImage) -> None:
        raise NotImplementedError(f"there is no registry to pull {image.name} from")

    async def push(self, name: str, platform: str | None) -> RegistryImage:  # noqa: ARG002
        raise NotPushed(f"there is no registry for {name}", hint="set `registries`")
