"""Worlds that share a registry, and what stands there."""

from collections.abc import Callable
from typing import Any

from running import World, until

View = dict[str, Any]

_ALONE = '[[pattern]]\nmatch = "alone"\npull = "never"\n'


def shared(make_world: Callable[..., World], host: str, mark: str | None = None, **settings: Any) -> World:
    """A world whose user's file names the registry; with `mark` its definitions are those of another world."""
    world = make_world()
    world.mark = mark or world.mark
    world.configure(aliases=[f"{world.mark}/{{id}}"])
    # One that asks nobody, and so waits for nobody.
    world.write("envkiln.toml", (world.root / "envkiln.toml").read_text() + _ALONE)
    world.configure_user(registries=[host], **settings)
    return world


def write_tiny(world: World, id_: str) -> None:
    """Write an environment whose image is a few bytes, and like no other's."""
    world.write(f"{id_}/Dockerfile", f"FROM scratch\nENV MARK={world.mark} ID={id_}\nCOPY Dockerfile /Dockerfile\n")


def pushed(world: World, id_: str) -> View:
    """Wait until the image of an environment stands in the registry; its view."""

    def there() -> View | None:
        view = world.view(id_)
        return view if view.get("registry") and not view["pushing"] and view["state"] == "ready" else None

    return until(there, lambda: f"{world.view(id_)}\n{world.output()}")
