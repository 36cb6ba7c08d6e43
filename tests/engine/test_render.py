"""What `render` writes can be built by hand, and the service takes the result for its own."""

import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from running import World


@pytest.mark.parametrize("base", ["base_image", "old_base_image"])
def test_rendered_content_is_built_by_hand_and_believed(
    make_world: Callable[..., World], testbed: Any, tmp_path: Path, base: str
) -> None:
    world = make_world(base_image=getattr(testbed, base))
    world.write("main/env.yml", world.conda(testbed.channel, "python"))
    setup = tmp_path / "setup"
    world.answer("render", "root/main", "-o", setup)
    name = _name(world)
    command = ["docker", "build", "-f", "azureml-environment-setup/Dockerfile", "--network", "host", "-t", name, "."]
    subprocess.run(command, cwd=setup, env=world.environ, capture_output=True, check=True)

    world.up()
    view = world.until_state("main", "ready")
    assert view["image"] == name
    assert view["reason"] == "an image of this content exists"
    assert world.logs() == []


def test_the_named_text_hashes_to_the_name(make_world: Callable[..., World], testbed: Any, tmp_path: Path) -> None:
    world = make_world()
    world.write("main/env.yml", world.conda(testbed.channel, "python"))
    world.answer("render", "root/main", "-o", tmp_path / "named", "--as-named")
    text = (tmp_path / "named" / "azureml-environment-setup" / "Dockerfile").read_bytes()
    assert _name(world) == f"azureml/azureml_{sha256(text).hexdigest()[:32]}"


def _name(world: World) -> str:
    lines = world.answer("name", "root/main").splitlines()
    return next(line.split()[1] for line in lines if line.split()[0] == "image")
