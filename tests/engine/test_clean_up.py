"""Cleaning up on the real engine: what goes, what stays, and what the disk has of it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest
from running import World, image_id, until

from envkiln.daemon.engine import Engine

MakeWorld = Callable[..., World]
View = dict[str, Any]


class Author:
    """Writes one environment again and again; `images` are the views of all that were ready, the oldest first."""

    def __init__(self, world: World, engine: Engine, id_: str = "a") -> None:
        self.world = world
        self.engine = engine
        self.id = id_
        self.images: list[View] = []

    def save(self, number: int) -> View:
        """Save text `number`, which has a layer of its own of a megabyte, and wait for its image and its tag."""
        step = f"RUN echo {number} && head -c 1000000 /dev/urandom > /layer"
        self.world.write(f"{self.id}/Dockerfile", self.world.dockerfile(step))
        before = self.images[-1]["image"] if self.images else None
        view = self.world.until_state(self.id, "ready", image_is_not=before)
        alias = self.world.alias(self.id)
        until(lambda: image_id(self.engine, alias) == view["image_id"], self.world.output)
        self.images.append(view)
        return view


def gc(world: World, *words: str) -> View:
    view: View = json.loads(world.answer("gc", "--json", *words))
    return view


def short(verdicts: list[View], world_images: list[View]) -> list[tuple[int, str]]:
    """Return (number of the author's image, reason) of the verdicts about them."""
    numbers = {view["image_id"]: number for number, view in enumerate(world_images)}
    return sorted((numbers[it["id"]], it["reason"]) for it in verdicts if it["id"] in numbers)


def there(engine: Engine, images: list[View]) -> list[int]:
    """Return the numbers of the images that the engine has."""
    return [number for number, view in enumerate(images) if engine.inspect(view["image_id"]) is not None]


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    made = make_world()
    made.environ |= {"ENVKILN_KEEP_DAYS": "0", "ENVKILN_KEEP_LAST": "1"}
    return made


@pytest.fixture
def container(engine: Engine) -> Iterator[Callable[[str], str]]:
    """Makes containers that are never started."""
    client = engine.new_client()
    made: list[str] = []

    def make(reference: str) -> str:
        made.append(str(client.create_container(reference, ["true"], labels={"envkiln.test": "1"})["Id"]))
        return made[-1]

    yield make
    for each in made:
        client.remove_container(each, force=True)
    client.close()


@pytest.mark.parametrize("builder", ["classic", "buildx"])
def test_what_nobody_needs_goes_and_the_rest_says_why_it_stays(
    world: World, engine: Engine, container: Callable[[str], str], builder: str
) -> None:
    world.configure(builder=builder)
    world.up()
    author = Author(world, engine)
    for number in range(6):
        author.save(number)
    old, used, tagged, pinned, last, _ = author.images
    container(f"{used['image']}:latest")
    engine.tag(f"{tagged['image']}:latest", f"{world.mark}/mine:1")
    world.answer("pin", pinned["image"])

    asked = gc(world, "--dry-run")
    assert asked["dry_run"]
    assert there(engine, author.images) == [0, 1, 2, 3, 4, 5]
    view = gc(world)
    assert [it["id"] for it in view["removed"]] == [it["id"] for it in asked["removed"]]
    assert (view["freed_bytes"], view["image_bytes"]) == (asked["freed_bytes"], asked["image_bytes"])
    gone = short(view["removed"], author.images)
    assert [number for number, _ in gone] == [0, 4]
    assert gone[0][1].startswith("not used for ")
    assert short(view["kept"], author.images) == [
        (1, "a container uses it"),
        (2, f"has the tag {world.mark}/mine:1, which is not from here"),
        (3, f"is pinned ({pinned['image']})"),
        (5, "a needs it"),
    ]
    assert there(engine, author.images) == [1, 2, 3, 5]
    assert engine.inspect(world.alias("a")) is not None
    frees = [it["frees"] for it in view["removed"] if it["id"] in (old["image_id"], last["image_id"])]
    assert all(1_000_000 <= size < 1_100_000 for size in frees), "not the base image, which others have"
    assert world.client.stats()["removed"] >= 2
    assert "clean-up: removed " in world.output()
    assert gc(world)["removed"] == []


def test_the_last_images_and_the_young_ones_stay(world: World, engine: Engine) -> None:
    world.environ["ENVKILN_KEEP_LAST"] = "3"
    world.up()
    author = Author(world, engine)
    for number in range(4):
        author.save(number)
    assert short(gc(world)["removed"], author.images)[0][0] == 0
    assert there(engine, author.images) == [1, 2, 3]
    world.stop()
    world.environ |= {"ENVKILN_KEEP_LAST": "0", "ENVKILN_KEEP_DAYS": "1"}
    world.up()
    world.until_state("a", "ready")
    assert short(gc(world)["removed"], author.images) == []


def test_without_a_service_the_command_does_it(world: World, engine: Engine) -> None:
    world.up()
    author = Author(world, engine)
    for number in range(2):
        author.save(number)
    world.stop()
    before = world.command("status", "--json").stdout
    said = world.answer("gc")
    assert json.loads(world.command("status", "--json").stdout)["environments"] == json.loads(before)["environments"]
    assert f"{author.images[1]['image'][-32:][:12]}" in said
    assert "stays: a needs it" in said
    assert there(engine, author.images) == [1]

    (world.root / "a").rename(world.directory / "away")
    (world.root / "envkiln.toml").rename(world.directory / "settings")
    world.root.rmdir()
    refused = world.command("gc")
    assert refused.returncode != 0, refused
    assert there(engine, author.images) == [1], "the root is away: nothing is known of what is needed"


def test_the_image_of_a_broken_or_missing_file_stays_or_goes(world: World, engine: Engine) -> None:
    world.environ["ENVKILN_KEEP_LAST"] = "0"
    world.up()
    first, second = Author(world, engine, "a"), Author(world, engine, "b")
    for number, author in enumerate((first, second)):
        author.save(number)
    world.write("a/Dockerfile", "FROM\n")
    world.until_state("a", "failed")
    (world.root / "b" / "Dockerfile").unlink()
    world.until_output("b: gone; its image stays")
    view = gc(world)
    assert there(engine, first.images) == [0], "it is the last good image of a"
    assert there(engine, second.images) == []
    assert engine.inspect(world.alias("b")) is None
    assert short(view["kept"], first.images) == [(0, "a needs it")]


def test_an_image_that_a_rebuild_left_without_a_tag_goes_at_the_next_start(world: World, engine: Engine) -> None:
    world.environ |= {"ENVKILN_KEEP_LAST": "9", "ENVKILN_KEEP_DAYS": "9"}
    world.up()
    first = Author(world, engine).save(1)
    assert world.client.build("a") is not None
    second = until(lambda: _ready_with_another_id(world, first["image_id"]), world.output)
    assert engine.inspect(first["image_id"]) is not None
    world.stop()
    world.environ["ENVKILN_CLEAN_UP"] = "true"
    world.up()
    until(lambda: engine.inspect(first["image_id"]) is None, world.output)
    assert world.until_state("a", "ready")["image_id"] == second["image_id"]


def test_a_workspace_that_cannot_be_read_keeps_everything(world: World, engine: Engine) -> None:
    world.environ["ENVKILN_WORKSPACE"] = str(world.directory / "not-there")
    world.up()
    author = Author(world, engine)
    for number in range(2):
        author.save(number)
    refused = world.command("gc")
    assert refused.returncode == 4, refused
    assert "nothing is removed: the registered versions cannot be read" in refused.stderr
    assert there(engine, author.images) == [0, 1]


def test_somebodys_image_made_from_ours_stays_and_keeps_its_layers(world: World, engine: Engine) -> None:
    world.up()
    author = Author(world, engine)
    author.save(1)
    client = engine.new_client()
    made = client.create_container(f"{author.images[0]['image']}:latest", ["true"])
    client.commit(made["Id"], f"{world.mark}/derived", "1", changes="ENV MINE=1")
    client.remove_container(made["Id"])
    client.close()
    author.save(2)
    view = gc(world)
    (gone,) = [it for it in view["removed"] if it["id"] == author.images[0]["image_id"]]
    assert gone["frees"] == 0, "the layers are still held"
    assert engine.inspect(f"{world.mark}/derived:1") is not None
    assert not [it for it in view["kept"] if f"{world.mark}/derived:1" in it["tags"]]


def test_two_services_on_one_engine_leave_each_other_alone(make_world: MakeWorld, world: World, engine: Engine) -> None:
    other = make_world()
    other.environ |= {"ENVKILN_KEEP_DAYS": "0", "ENVKILN_KEEP_LAST": "0"}
    authors = [Author(each, engine) for each in (world, other)]
    for author in authors:
        author.world.up()
        for number in range(2):
            author.save(number)
    view = gc(world)
    assert there(engine, authors[0].images) == [1]
    kept = dict(short(view["kept"], authors[1].images))
    assert kept[0] == "was made a moment ago"
    assert kept[1] == f"has the tag {other.alias('a')}, which is not from here"
    gc(other)
    assert [there(engine, author.images) for author in authors] == [[1], [1]]
    assert [each.view("a")["state"] for each in (world, other)] == ["ready", "ready"]


def test_a_disk_that_is_nearly_full_is_cleaned_up_without_being_asked(world: World, engine: Engine) -> None:
    world.environ |= {"ENVKILN_KEEP_LAST": "9", "ENVKILN_KEEP_DAYS": "9"}
    world.up()
    author = Author(world, engine)
    for number in range(2):
        author.save(number)
    world.stop()
    # No disk has as much left.
    world.environ |= {"ENVKILN_CLEAN_UP": "true", "ENVKILN_LOW_DISK_GB": "1000000"}
    world.up()
    until(lambda: there(engine, author.images) == [1], world.output)
    until(lambda: any("disk has" in problem for problem in world.client.service()["problems"]), world.output)
    assert "clean-ups of images do not help" in world.command("status").stderr


def test_a_use_keeps_an_older_image_before_a_newer_one(world: World, engine: Engine) -> None:
    """Of three texts the first is used again: it is the last but the one that the file asks for."""
    world.environ["ENVKILN_KEEP_LAST"] = "2"
    world.up()
    author = Author(world, engine)
    for number in (0, 1):
        author.save(number)
    author.save(0)
    world.answer("wait", "a")
    author.save(2)
    gc(world)
    assert there(engine, author.images) == [0, 2, 3]


def test_the_build_cache_is_cut_down_only_where_a_limit_says_so(world: World, engine: Engine) -> None:
    """The limit is one that no cache reaches: other tests build on this engine."""
    assert engine.prune_build_cache(10**15) == 0
    world.environ["ENVKILN_BUILD_CACHE_GB"] = "1000000"
    world.up()
    Author(world, engine).save(0)
    view = gc(world)
    assert (view["cache_bytes"], view["problems"]) == (0, [])


def test_the_stage_that_had_a_bundle_goes_with_the_next_clean_up(
    world: World, engine: Engine, testbed: Any, tmp_path: Path
) -> None:
    bundle = tmp_path / "team.pem"
    bundle.write_bytes(Path(certifi.where()).read_bytes())
    world.configure(builder="classic", ca_bundle=str(bundle))
    world.write("a/env.yml", world.conda(testbed.channel, "python"))
    world.up()
    view = world.until_state("a", "ready")
    stages = {it.id for it in engine.labelled("envkiln.stage", view["image"])}
    assert stages
    removed = {it["id"]: it["reason"] for it in gc(world)["removed"]}
    assert {removed[id_] for id_ in stages} == {"has no tag any more"}
    assert engine.labelled("envkiln.stage", view["image"]) == []
    assert engine.inspect(f"{view['image']}:latest") is not None


def _ready_with_another_id(world: World, image: str) -> View | None:
    view = world.view("a")
    return view if view["state"] == "ready" and view["image_id"] != image else None
