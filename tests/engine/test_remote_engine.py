"""An engine on another machine: the second engine of the test bed, reached only over mutual TLS."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from running import World, image_id, until
from second_host import SecondHost, over_tls
from ssh_host import SshHost

from envkiln.daemon.engine import Engine

MakeWorld = Callable[..., World]
BUILDERS = ["classic", "buildx"]


@pytest.fixture
def second_world(make_world: MakeWorld, second: SecondHost) -> Iterator[World]:
    world = over_tls(make_world(), second)
    yield world
    world.close(second.engine)


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_build_goes_to_the_remote_engine_and_nowhere_else(
    second_world: World, second: SecondHost, engine: Engine, builder: str
) -> None:
    second_world.configure(builder=builder)
    second_world.write("main/Dockerfile", second_world.dockerfile("COPY data /data"))
    second_world.write("main/data", "from this machine")
    second_world.up()
    view = second_world.until_state("main", "ready")
    assert image_id(second.engine, f"{view['image']}:latest") == view["image_id"]
    assert engine.inspect(f"{view['image']}:latest") is None

    ran = second_world.command("run", "main", "--", "cat", "/data")
    assert (ran.returncode, ran.stdout) == (0, "from this machine"), ran


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_context_of_docker_leads_to_its_engine(second_world: World, second: SecondHost, builder: str) -> None:
    docker_config = second_world.directory / "docker"
    given = second_world.environ.get("DOCKER_CONFIG")
    shutil.copytree(given, docker_config, symlinks=True) if given else docker_config.mkdir()
    (docker_config / "config.json").write_text(json.dumps({"currentContext": "second"}))
    place = hashlib.sha256(b"second").hexdigest()
    meta = docker_config / "contexts/meta" / place
    meta.mkdir(parents=True)
    endpoint = {"Host": second.url, "SkipTLSVerify": False}
    told = {"Name": "second", "Metadata": {}, "Endpoints": {"docker": endpoint}}
    (meta / "meta.json").write_text(json.dumps(told))
    keys = docker_config / "contexts/tls" / place / "docker"
    keys.mkdir(parents=True)
    for name in ("ca.pem", "cert.pem", "key.pem"):
        shutil.copyfile(second.certificates / name, keys / name)
    for name in ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        second_world.environ.pop(name)
    second_world.environ["DOCKER_CONFIG"] = str(docker_config)

    second_world.configure(builder=builder)
    second_world.write("main/Dockerfile", second_world.dockerfile())
    second_world.up()
    view = second_world.until_state("main", "ready")
    assert image_id(second.engine, f"{view['image']}:latest") == view["image_id"]


def test_a_client_that_the_engine_does_not_know_is_told_what_to_mend(second_world: World, second: SecondHost) -> None:
    over_tls(second_world, second, second.certificates / "stranger")
    second_world.write("main/Dockerfile", second_world.dockerfile())
    second_world.up()
    second_world.until_output("does not accept the other's certificate")
    view = second_world.view("main")
    assert view["state"] == "queued"
    said = second_world.command("status")
    assert "DOCKER_CERT_PATH" in said.stderr + said.stdout + second_world.output()
    assert second_world.stop() == 0

    # The user's turn is over: the right certificates, and everything goes on by itself.
    over_tls(second_world, second)
    second_world.up()
    second_world.until_state("main", "ready")


def test_a_remote_engine_that_goes_away_and_comes_back(second_world: World, second: SecondHost) -> None:
    second_world.write("main/Dockerfile", second_world.dockerfile())
    second_world.up()
    before = second_world.until_state("main", "ready")
    second.main("stop-second")
    second_world.write("main/Dockerfile", second_world.dockerfile("ENV MORE=1"))
    second_world.until_output("refuses connections")
    second.main("start-second")
    after = second_world.until_state("main", "ready", image_is_not=before["image"])
    assert image_id(second.engine, f"{after['image']}:latest") == after["image_id"]


@pytest.fixture
def ssh_host(second: SecondHost, testbed: Any, tmp_path: Path) -> Iterator[SshHost]:
    assert testbed.url
    host = SshHost(tmp_path, {**os.environ, "DOCKER_HOST": second.socket})
    yield host
    host.close()


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_build_goes_to_an_engine_over_ssh(
    make_world: MakeWorld, second: SecondHost, ssh_host: SshHost, builder: str
) -> None:
    world = make_world(builder=builder)
    world.environ |= {"DOCKER_HOST": ssh_host.url, "PATH": f"{ssh_host.client}:{os.environ['PATH']}"}
    world.write("main/Dockerfile", world.dockerfile())
    world.up()
    view = world.until_state("main", "ready")
    assert image_id(second.engine, f"{view['image']}:latest") == view["image_id"]
    # What happens there is heard here.
    second.engine.remove(f"{view['image']}:latest")
    until(lambda: second.engine.inspect(f"{view['image']}:latest"), world.output)
    assert world.stop() == 0
    world.close(second.engine)


def test_no_key_of_the_client_is_shown(second_world: World, second: SecondHost) -> None:
    second_world.write("main/Dockerfile", second_world.dockerfile())
    second_world.up()
    second_world.until_state("main", "ready")
    secret = (second.certificates / "key.pem").read_text().splitlines()[1]
    kept = [path.read_bytes() for path in second_world.paths.state.rglob("*") if path.is_file()]
    assert kept
    assert not [text for text in (*kept, second_world.output().encode()) if secret.encode() in text]
