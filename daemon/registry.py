"""What a team's registry has: the question that comes before a build. No registry is configured yet."""

from enum import Enum
from typing import Protocol


class Answer(Enum):
    """A registry that does not answer has not said no: missing and forbidden look alike, and a network can be down."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Registry(Protocol):
    """Asked before each build. `has` never raises for a registry that cannot be reached: that is UNKNOWN."""

    async def has(self, name: str) -> Answer: ...

    async def pull(self, name: str) -> None:
        """Bring the image into the engine under `name:latest`; raises EnvkilnError when it cannot."""
        ...


class NoRegistry:
    """The registry of somebody who has none."""

    async def has(self, name: str) -> Answer:  # noqa: ARG002
        return Answer.NO

    async def pull(self, name: str) -> None:
        raise NotImplementedError(f"there is no registry to pull {name} from")
