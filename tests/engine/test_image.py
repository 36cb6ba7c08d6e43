"""The image that results: it runs, it looks like Azure ML's, and nothing of how it was built is left in it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certifi
import pytest
from running import World

from envkiln.daemon.engine import Engine

Shell = Callable[[str, str], str]


@pytest.mark.parametrize("builder", ["classic", "buildx"])
@pytest.mark.parametrize("base", ["base_image", "old_base_image"])
def test_the_image_is_azure_mls(
    make_world: Callable[..., World], engine: Engine, testbed: Any, shell: Shell, builder: str, base: str
) -> None:
    world = make_world(builder=builder, base_image=getattr(testbed, base))
    world.write("main/env.yml", world.conda(testbed.channel, "python", "six"))
    built = json.loads(world.answer("build", "root/main", "--json"))
    prefix = f"/azureml-envs/{built['conda_environment']}"
    name = f"{built['image']}:latest"

    assert shell(name, 'python -c "import six, sys; print(sys.executable)"') == f"{prefix}/bin/python\n"
    assert shell(name, "id -un; pwd") == "root\n/\n"

    config = _config(engine, name)
    base_path = _variables(_config(engine, getattr(testbed, base)))["PATH"]
    variables = _variables(config)
    assert variables["AZUREML_CONDA_ENVIRONMENT_PATH"] == prefix
    assert variables["AZUREML_ENVIRONMENT_IMAGE"] == "True"
    assert variables["PATH"] == f"{prefix}/bin:{base_path}"
    assert variables["LD_LIBRARY_PATH"].startswith(f"{prefix}/lib:")
    assert (config["Cmd"], config["User"], config["WorkingDir"]) == (["bash"], "root", "/")

    labels = config["Labels"]
    assert labels["envkiln.name"] == built["image"]
    assert labels["envkiln.recipe"].startswith("azureml/1 ")
    assert labels["envkiln.built-by"].startswith("envkiln ")
    assert world.mark in labels["envkiln.definition"]
    assert labels["org.opencontainers.image.base.name"] == getattr(testbed, base)

    left = "ls -d /opt/miniconda/pkgs $HOME/.cache/pip /var/cache/envkiln/*/* 2>/dev/null; echo that is all"
    assert shell(name, left) == "that is all\n"


@pytest.mark.parametrize("builder", ["classic", "buildx"])
def test_proxies_and_certificates_do_not_stay(
    make_world: Callable[..., World], engine: Engine, testbed: Any, shell: Shell, tmp_path: Path, builder: str
) -> None:
    bundle = tmp_path / "team-ca.pem"
    bundle.write_text(f"# bundle of the team\n{Path(certifi.where()).read_text()}")
    world = make_world(
        builder=builder,
        http_proxy="http://somebody:word-of-the-proxy@127.0.0.1:9",
        no_proxy="127.0.0.1",
        ca_bundle=str(bundle),
    )
    text = world.conda(testbed.channel, "python", "pip")
    world.write("main/env.yml", f"{text}  - pip:\n    - six==1.17.0\n")
    built = json.loads(world.answer("build", "root/main", "--json"))
    name = f"{built['image']}:latest"

    assert shell(name, 'python -c "import six; print(six.__version__)"') == "1.17.0\n"
    variables = _variables(_config(engine, name))
    assert not [name for name in variables if name.lower().endswith("_proxy")]
    assert not variables.keys() & {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"}
    find = "grep -rlE '^# bundle of the team|word-of-the-proxy' /azureml-env* /etc /run /root"
    assert shell(name, f"{find}; echo that is all") == "that is all\n"
    client: Any = engine.new_client()
    assert "word-of-the-proxy" not in json.dumps([client.history(name), client.inspect_image(name)])
    client.close()
    logs = "".join(log.read_text() for log in world.logs())
    assert "word-of-the-proxy" not in logs


def _config(engine: Engine, reference: str) -> dict[str, Any]:
    client: Any = engine.new_client()
    try:
        config: dict[str, Any] = client.inspect_image(reference)["Config"]
    finally:
        client.close()
    return config


def _variables(config: dict[str, Any]) -> dict[str, str]:
    return dict(pair.partition("=")[::2] for pair in config["Env"])
