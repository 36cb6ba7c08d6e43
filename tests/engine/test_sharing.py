"""Twenty environments that share contents: one build for each content, an alias for each environment."""

from collections.abc import Callable

from running import World, until

from envkiln.daemon.engine import Engine


def test_one_build_for_each_content(make_world: Callable[..., World], engine: Engine) -> None:
    world = make_world()
    contents = {f"env-{number:02}": f"shared-{max(0, number - 14)}" for number in range(20)}
    assert len(set(contents.values())) == 6
    for id_, content in contents.items():
        world.write(f"{id_}/Dockerfile", world.dockerfile(f"ENV CONTENT={content}"))
    world.up("--concurrent-builds", "2")

    views = {id_: world.until_state(id_, "ready") for id_ in contents}
    assert len(world.logs()) == 6
    assert len({view["image"] for view in views.values()}) == 6
    _until_aliases(world, engine, {id_: view["image_id"] for id_, view in views.items()})

    world.write("env-03/Dockerfile", world.dockerfile("ENV CONTENT=its-own"))
    edited = world.until_state("env-03", "ready", image_is_not=views["env-03"]["image"])
    assert len(world.logs()) == 7
    _until_aliases(world, engine, {id_: view["image_id"] for id_, view in {**views, "env-03": edited}.items()})

    world.write("env-03/Dockerfile", world.dockerfile("ENV CONTENT=shared-5"))
    joined = world.until_state("env-03", "ready", image_is_not=edited["image"])
    assert joined["image_id"] == views["env-19"]["image_id"]
    assert len(world.logs()) == 7


def _until_aliases(world: World, engine: Engine, image_ids: dict[str, str]) -> None:
    wanted = {world.alias(id_): image_id for id_, image_id in image_ids.items()}

    def there() -> dict[str, str]:
        listed = {name: image.id for image in engine.images() for name in image.references}
        return {alias: listed[alias] for alias in wanted if alias in listed}

    until(lambda: there() == wanted, lambda: f"aliases {wanted}, there are {there()}")
