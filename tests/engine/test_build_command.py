"""`envkiln build`: one shot, every format, and an exit code for each way it can end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_door import EngineDoor
from running import PATIENCE_S, World, image_id, until

from envkiln.daemon.engine import Engine

MakeWorld = Callable[..., World]
Shell = Callable[[str, str], str]
SCHEMA = "https://azuremlschemas.azureedge.net/latest/environment.schema.json"


def test_built_then_skipped_then_forced(make_world: MakeWorld, engine: Engine, shell: Shell) -> None:
    world = make_world()
    world.write("a/Dockerfile", world.dockerfile("RUN date +%N > /moment"))
    world.write("b/Dockerfile", world.dockerfile("RUN date +%N > /other"))
    first = world.command("build", "root")
    assert first.returncode == 0, first
    assert [line.split()[1] for line in first.stdout.splitlines()] == ["built", "built"]
    ids = {id_: image_id(engine, world.alias(id_)) for id_ in ("a", "b")}
    moment = shell(world.alias("a"), "cat /moment")
    assert None not in ids.values()

    again = world.command("build", "root")
    assert again.returncode == 10, again
    assert [line.split()[1] for line in again.stdout.splitlines()] == ["skipped", "skipped"]
    assert len(world.logs()) == 2

    forced = world.command("build", "root/a", "--force", "--json")
    assert forced.returncode == 0, forced
    result = json.loads(forced.stdout)
    assert (result["environment"], result["outcome"], result["problem"]) == ("a", "built", None)
    assert "ended well" in Path(result["log"]).read_text()
    assert shell(world.alias("a"), "cat /moment") != moment, "no step came from a cache"
    assert image_id(engine, world.alias("a")) == image_id(engine, f"{result['image']}:latest") != ids["a"]
    assert image_id(engine, world.alias("b")) == ids["b"]

    world.write("c/Dockerfile", world.dockerfile("ENV C=1"))
    mixed = world.command("build", "root", "--json")
    assert mixed.returncode == 0, mixed
    outcomes = {it["environment"]: it["outcome"] for it in map(json.loads, mixed.stdout.splitlines())}
    assert outcomes == {"a": "skipped", "b": "skipped", "c": "built"}


def test_beside_a_service_that_builds_the_same(make_world: MakeWorld, engine: Engine, gate: Any) -> None:
    """One image is built once: whoever comes second takes what the first one made."""
    world = make_world()
    world.write("a/Dockerfile", world.dockerfile(gate.step))
    world.up()
    until(lambda: gate.waiting == 1, world.output)
    command = world.start("build", "root/a")
    with command:
        assert command.stderr is not None
        assert any(line.startswith("a: building") for line in command.stderr), "it has come as far as the first"
        gate.open()
        out, _ = command.communicate(timeout=PATIENCE_S)
    assert command.returncode == 10, out
    view = world.until_state("a", "ready")
    world.answer("wait", "a")
    assert image_id(engine, world.alias("a")) == view["image_id"]
    assert len(world.logs()) == 1


@pytest.mark.parametrize("builder", ["classic", "buildx"])
def test_a_failure_has_cause_hint_and_log(make_world: MakeWorld, testbed: Any, builder: str) -> None:
    world = make_world(builder=builder)
    world.write("good/Dockerfile", world.dockerfile())
    world.write("typo/env.yml", world.conda(testbed.channel, "python", "envkiln-no-such-package"))
    world.write("odd/env.yml", "dependencies:\n  - python\n  - pip:\n")
    done = world.command("build", "root", "--json")
    assert done.returncode == 1, done
    results = {it["environment"]: it for it in map(json.loads, done.stdout.splitlines())}
    assert {id_: it["outcome"] for id_, it in results.items()} == {"good": "built", "typo": "failed", "odd": "failed"}
    typo, odd = results["typo"], results["odd"]
    assert "envkiln-no-such-package" in typo["problem"]["message"]
    assert typo["problem"]["hint"]
    assert typo["problem"]["turn"] == "user"
    assert "envkiln-no-such-package" in Path(typo["log"]).read_text()
    assert odd["problem"]["message"].startswith("odd/env.yml:3:")
    assert odd["log"] is None

    told = world.command("build", "root/typo")
    assert told.returncode == 1
    assert told.stdout.startswith("typo: failed ")
    assert "\n  log: " in told.stdout


def test_an_engine_out_of_reach(make_world: MakeWorld, door: EngineDoor) -> None:
    world = make_world(engine_url=door.url)
    world.write("a/Dockerfile", world.dockerfile())
    done = world.command("build", "root")
    assert done.returncode == 4, done
    assert "is not there" in done.stdout
    assert "is Docker running?" in done.stdout


def test_every_format_is_built(make_world: MakeWorld, engine: Engine, testbed: Any, shell: Shell) -> None:
    world = make_world(requirements_python=testbed.python)
    base = f"{world.mark}/base:1"
    engine.tag(testbed.base_image, base)
    world.configure(base_image=base)
    conda = world.conda(testbed.channel, "python", "six=1.16.0")
    has_six = "python -c 'import six; print(six.__version__)'"
    expected = {}

    world.write("conda/env.yml", conda)
    expected["conda"] = (has_six, "1.16.0")

    world.write("v2-conda/environment.yml", f"$schema: {SCHEMA}\nname: x\nimage: {base}\nconda_file: conda.yml\n")
    world.write("v2-conda/conda.yml", conda)
    expected["v2-conda"] = (has_six, "1.16.0")

    world.write("v2-context/environment.yml", f"$schema: {SCHEMA}\nname: x\nbuild:\n  path: context\n")
    world.write("v2-context/context/Dockerfile", world.dockerfile("COPY data.txt /"))
    world.write("v2-context/context/data.txt", "v2")
    expected["v2-context"] = ("cat /data.txt", "v2")

    world.write("v2-image/environment.yml", f"$schema: {SCHEMA}\nname: x\nimage: {base}\n")
    expected["v2-image"] = ("echo $AZUREML_ENVIRONMENT_IMAGE; conda --version", "\nconda 26.9.0")

    _write_v1(world, "v1", {"docker": {"baseImage": base}})
    world.write("v1/conda_dependencies.yml", conda.replace("1.16.0", "1.17.0"))
    expected["v1"] = (has_six, "1.17.0")

    _write_v1(world, "v1-dockerfile", {})
    world.write("v1-dockerfile/BaseDockerfile", f"FROM {base}\nRUN echo v1 > /data.txt\n")
    world.write("v1-dockerfile/conda_dependencies.yml", conda)
    expected["v1-dockerfile"] = (f"cat /data.txt; {has_six}", "v1\n1.16.0")

    managed = {"docker": {"baseImage": base}, "python": {"userManagedDependencies": True}}
    _write_v1(world, "v1-managed", managed)
    expected["v1-managed"] = ("conda --version", "conda 26.9.0")

    world.write("requirements/requirements.txt", f"# {world.mark}\nsix==1.16.0\n")
    expected["requirements"] = (has_six, "1.16.0")

    world.write("context/Dockerfile", world.dockerfile("COPY . /here"))
    world.write("context/deep/er/data.txt", "context")
    expected["context"] = ("cat /here/deep/er/data.txt", "context")

    world.write("pip-file/env.yml", world.conda(testbed.channel, "python", "pip") + "  - pip:\n    - -r more/pip.txt\n")
    world.write("pip-file/more/pip.txt", f"--index-url {testbed.pip_index}\nsix==1.17.0\n")
    expected["pip-file"] = (has_six, "1.17.0")

    done = world.command("build", "root", "--json")
    results = {it["environment"]: it for it in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 0, (done, *(log.read_text() for log in world.logs()))
    assert results.keys() == expected.keys()
    assert results["conda"]["image"] == results["v2-conda"]["image"]
    assert results["v1-managed"]["image"] == results["v2-image"]["image"]
    assert len(world.logs()) == len(expected) - 2
    for id_, (command, output) in expected.items():
        assert shell(world.alias(id_), command).rstrip("\n") == output, id_
    assert world.command("build", "root").returncode == 10


def _write_v1(world: World, id_: str, parts: dict[str, Any]) -> None:
    world.write(f"{id_}/azureml_environment.json", json.dumps({"name": "x", "version": "1", "python": {}} | parts))
