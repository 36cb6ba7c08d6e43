"""The main job, from outside: what one author does in a day, and what every question is answered."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from running import World, image_id, until

from envkiln.daemon.engine import Engine

MakeWorld = Callable[..., World]

KEPT = (
    "environment",
    "state",
    "since",
    "reason",
    "file",
    "root",
    "format",
    "image",
    "image_id",
    "aliases",
    "last_good",
)
"""Of a view: what stays as it is once the environment is ready."""


def test_a_day_with_one_environment(make_world: MakeWorld, engine: Engine, testbed: Any) -> None:
    """Save, comment, edit, revert, break and repair: the alias always shows the last file that was right."""
    world = make_world()
    alias = world.alias("main")
    first_text = world.conda(testbed.channel, "python", "six=1.16.0")
    second_text = first_text.replace("six=1.16.0", "six=1.17.0")
    world.write("main/env.yml", first_text)
    world.up()

    first = world.until_state("main", "ready")
    assert first["image_id"] == image_id(engine, alias) == image_id(engine, f"{first['image']}:latest")
    assert first["reason"].startswith("built in ")
    assert len(world.logs()) == 1

    world.write("main/env.yml", f"# only a remark\n{first_text}")
    world.until_output("main: saved; nothing that counts has changed")
    assert len(world.logs()) == 1
    assert world.view("main")["image_id"] == first["image_id"] == image_id(engine, alias)

    world.write("main/env.yml", second_text)
    second = world.until_state("main", "ready", image_is_not=first["image"])
    assert len(world.logs()) == 2
    _until_alias(world, engine, "main", second["image_id"])
    assert image_id(engine, f"{first['image']}:latest") == first["image_id"]

    world.write("main/env.yml", first_text)
    again = world.until_state("main", "ready", image_is_not=second["image"])
    assert (again["image"], again["image_id"]) == (first["image"], first["image_id"])
    assert again["reason"] == "an image of this content exists: tagged, not built"
    _until_alias(world, engine, "main", first["image_id"])
    assert len(world.logs()) == 2

    world.write("main/env.yml", first_text.replace("dependencies:", "dependencees:"))
    broken = world.until_state("main", "invalid")
    assert "main/env.yml:5:1: " in broken["reason"]
    assert "dependencies" in broken["hint"]
    assert (broken["turn"], broken["image"], broken["last_good"]) == ("user", None, first["image"])
    assert image_id(engine, alias) == image_id(engine, f"{first['image']}:latest") == first["image_id"]
    assert f"{first['image'][-32:][:12]} stays" in world.output()

    world.write("main/env.yml", first_text)
    assert world.until_state("main", "ready")["image_id"] == first["image_id"]
    assert len(world.logs()) == 2
    assert world.stop() == 0


def test_every_question_is_answered(make_world: MakeWorld) -> None:
    world = make_world()
    world.write("good/Dockerfile", world.dockerfile("RUN echo said by the step"))
    world.write("bad/Dockerfile", world.dockerfile("RUN echo said before the end; exit 7"))
    world.write("odd/env.yml", "dependencies: six\n")
    world.up()
    good = world.until_state("good", "ready")
    world.until_state("bad", "failed")
    world.until_state("odd", "invalid")
    reference = f"{good['image']}:latest"

    table = world.answer("status")
    assert [line.split()[:3] for line in table.splitlines()[:3]] == [
        ["x", "bad", "failed"],
        ["+", "good", "ready"],
        ["x", "odd", "invalid"],
    ]
    assert table.splitlines()[3] == "1 ready, 1 invalid, 1 failed"
    whole = json.loads(world.answer("status", "--json"))
    assert whole["running"]
    assert whole["service"]["engine"]["connected"]
    assert whole["counts"] | {"ready": 1, "failed": 1, "invalid": 1, "queued": 0} == whole["counts"]
    # The aliases are set after the image is there.
    until(
        lambda: json.loads(world.answer("status", "good", "--json")) == world.view("good"), lambda: world.view("good")
    )
    assert reference.removesuffix(":latest") in world.answer("status", world.root / "good" / "Dockerfile")

    assert world.answer("wait", "good") == f"good: ready {good['image']}\n"
    assert world.answer("image", "good") == f"{reference}\n"
    assert "said by the step" in world.answer("logs", "good")
    assert "said by the step" in world.answer("logs", "-f", "good")

    waited = world.command("wait", "bad")
    assert waited.returncode == 1
    assert waited.stderr.startswith("bad: failed: ")
    assert world.command("image", "bad").returncode == 1
    assert "said before the end" in world.answer("logs", "bad")
    waited = world.command("wait", "odd")
    assert waited.returncode == 1
    assert "odd/env.yml:1:" in waited.stderr
    logs = world.command("logs", "odd")
    assert logs.returncode == 1
    assert "nothing was built for odd" in logs.stderr
    for question in ("status", "wait", "image", "logs"):
        asked = world.command(question, "goood")
        assert asked.returncode == 6, asked
        assert "did you mean 'good'?" in asked.stderr


def test_wait_takes_the_file_as_it_is_now(make_world: MakeWorld, engine: Engine, gate: Any) -> None:
    """A script saves and waits: it must neither be told of the image before its save, nor run it by its alias."""
    world = make_world()
    texts = [world.dockerfile(f"WORKDIR /{name}") for name in ("one", "two")]
    world.write("a/Dockerfile", texts[0])
    world.up()
    world.until_state("a", "ready")
    images = set()
    for text in (texts[1], texts[0], texts[1], texts[0]):
        world.write("a/Dockerfile", text)
        said, name = world.answer("wait", "a").rsplit(maxsplit=1)
        assert said == "a: ready"
        assert image_id(engine, world.alias("a")) == image_id(engine, f"{name}:latest")
        images.add(name)
    assert len(images) == 2

    world.write("a/Dockerfile", world.dockerfile(gate.step))
    late = world.command("wait", "a", "--timeout", "1")
    assert late.returncode == 5
    assert "a: still " in late.stderr
    gate.open()
    world.answer("wait", "a")


def test_a_password_in_a_definition_is_in_no_answer(make_world: MakeWorld, engine: Engine, testbed: Any) -> None:
    """conda needs it for the build; everything that is printed, logged or labelled has it left out."""
    world = make_world()
    index = testbed.pip_index.replace("://", "://me:hush-hush@")
    text = world.conda(testbed.channel, "python", "pip")
    world.write("a/env.yml", f"{text}  - pip:\n    - --extra-index-url {index}\n    - six==1.17.0\n")
    world.up()
    view = world.until_state("a", "ready")
    (log,) = world.logs()
    image = engine.inspect(view["image"])
    assert image is not None
    assert "/simple" in image.labels["envkiln.definition"]
    said = [world.answer("status", "--json"), world.answer("status", "a"), world.answer("logs", "a"), log.read_text()]
    assert "hush-hush" not in "".join([*said, world.output(), *image.labels.values()])


def test_status_after_the_end_tells_its_age(make_world: MakeWorld) -> None:
    world = make_world()
    world.write("a/Dockerfile", world.dockerfile())
    world.up()
    view = world.until_alias("a")
    assert world.stop() == 0
    status = world.command("status")
    assert status.returncode == 0
    assert status.stdout.startswith("+ a  ready")
    assert "the service is not running, as it was " in status.stderr
    stored = json.loads(world.answer("status", "a", "--json"))
    assert {name: stored[name] for name in KEPT} == {name: view[name] for name in KEPT}
    assert world.alias("a") in stored["tags"]
    whole = json.loads(world.answer("status", "--json"))
    assert not whole["running"]
    assert 0 <= whole["age"] < 600
    assert world.answer("image", "a") == f"{view['image']}:latest\n"
    assert world.answer("logs", "a")
    waited = world.command("wait", "a")
    assert waited.returncode == 4
    assert "envkiln up" in waited.stderr


def test_two_services_of_one_state_directory_are_refused(make_world: MakeWorld) -> None:
    world = make_world()
    world.up()
    second = world.command("up", world.root)
    assert second.returncode == 1, second
    assert "another envkiln service" in second.stderr
    assert world.service() is not None


@pytest.mark.parametrize("builder", ["classic", "buildx"])
def test_a_file_that_goes_leaves_its_image(make_world: MakeWorld, engine: Engine, builder: str) -> None:
    world = make_world(builder=builder)
    file = world.write("a/Dockerfile", world.dockerfile())
    world.up()
    view = world.until_state("a", "ready")
    file.unlink()
    world.until_output("a: gone; its image stays")
    assert world.command("status", "a").returncode == 6
    assert image_id(engine, f"{view['image']}:latest") == view["image_id"]


def _until_alias(world: World, engine: Engine, id_: str, wanted: str) -> None:
    until(lambda: image_id(engine, world.alias(id_)) == wanted, lambda: f"{world.alias(id_)} is {wanted}")
