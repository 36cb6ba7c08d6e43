"""Registered versions with a real service and engine: their tags, their files, and a workspace that goes and comes."""

import json
from collections.abc import Callable, Iterator

import pytest
from running import View, World, image_id, until

from envkiln.daemon.engine import Engine

MakeWorld = Callable[..., World]


class Team:
    """A world with a workspace; the names that it registers are like no other world's."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.workspace = world.directory / "workspace"
        world.configure_user(workspace=str(self.workspace))
        self.name = world.mark

    def tag(self, number: int) -> str:
        return f"{self.name}:{number}"

    def register(self, environment: object, *words: str) -> View:
        said = self.world.answer("register", environment, "--name", self.name, "--json", *words)
        view: View = json.loads(said)
        return view

    def there(self) -> dict[str, bool | None]:
        """Return what the service says about the images of all versions."""
        return {it["reference"]: it["there"] for it in self.world.client.versions()}


@pytest.fixture
def team(make_world: MakeWorld, engine: Engine) -> Iterator[Team]:
    team = Team(make_world())
    yield team
    for number in (1, 2, 3):
        engine.remove(team.tag(number))


def test_a_registered_version_keeps_its_tag_and_its_files(team: Team, engine: Engine) -> None:
    world = team.world
    world.write("a/Dockerfile", world.dockerfile())
    assert team.register(world.root / "a", "--create")["reference"] == team.tag(1)
    world.up()
    first = world.until_state("a", "ready")
    until(lambda: engine.inspect(team.tag(1)), world.output)
    assert image_id(engine, team.tag(1)) == first["image_id"]
    until(lambda: team.there() == {team.tag(1): True}, team.there)

    engine.remove(team.tag(1))
    until(lambda: engine.inspect(team.tag(1)), world.output)

    world.write("a/Dockerfile", world.dockerfile("ENV NEWER=1"))
    second = world.until_state("a", "ready", image_is_not=first["image"])
    said = team.register("a")
    assert (said["reference"], said["change"], said["image"]) == (team.tag(2), "registered", second["image"])
    until(lambda: engine.inspect(team.tag(2)), world.output)
    assert image_id(engine, team.tag(2)) == second["image_id"]
    assert image_id(engine, team.tag(1)) == first["image_id"]

    world.answer("checkout", team.tag(1), world.root / "b")
    back = world.until_state("b", "ready")
    assert (back["image"], back["image_id"]) == (first["image"], first["image_id"])
    assert len(world.logs()) == 2


def test_a_workspace_that_goes_is_said_and_its_versions_stay_known(team: Team, engine: Engine) -> None:
    world = team.world
    world.write("a/Dockerfile", world.dockerfile())
    team.register(world.root / "a", "--create")
    world.up()
    world.until_state("a", "ready")
    until(lambda: team.there() == {team.tag(1): True}, team.there)

    team.workspace.rename(world.directory / "away")
    until(lambda: "there is no workspace at" in world.command("status").stderr, world.output)
    assert team.there() == {team.tag(1): True}
    assert world.command("versions").returncode == 4
    (world.directory / "away").rename(team.workspace)
    until(lambda: "there is no workspace at" not in world.command("status").stderr, world.output)
    assert engine.inspect(team.tag(1))


def test_a_registered_image_is_kept_until_its_version_is_archived(team: Team) -> None:
    world = team.world
    world.environ |= {"ENVKILN_KEEP_DAYS": "0", "ENVKILN_KEEP_LAST": "1"}
    world.up()
    images: list[str] = []
    for number in range(3):
        world.write("a/Dockerfile", world.dockerfile(f"ENV NUMBER={number}"))
        before = images[-1] if images else None
        images.append(world.until_state("a", "ready", image_is_not=before)["image"])
        if number == 0:
            team.register("a", "--create")

    def verdicts(what: str) -> dict[str, str]:
        view = json.loads(world.answer("gc", "--dry-run", "--json"))
        return {it["image"]: it["reason"] for it in view[what] if it["image"] in images}

    until(
        lambda: verdicts("kept").get(images[0]) == "is a registered version",
        lambda: (verdicts("kept"), verdicts("removed")),
    )
    assert images[1] in verdicts("removed")
    world.answer("archive", team.tag(1))
    until(lambda: images[0] in verdicts("removed"), lambda: verdicts("kept"))
