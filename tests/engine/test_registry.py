"""A service with a real registry: skip, pull, push, and everything that a registry can do wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from registry_server import Fault, FaultProxy, RegistryServer, docker_config, put_image
from running import World, image_id, until
from sharing import pushed, shared, write_tiny
from unix_http import ask

from envkiln.daemon.engine import Engine
from envkiln.daemon.registry_address import RegistryAddress
from envkiln.daemon.registry_claim import Claim, drop_claim, write_claim
from envkiln.daemon.registry_client import RegistryClient

MakeWorld = Callable[..., World]
MakeRegistry = Callable[..., RegistryServer]
MakeProxy = Callable[[RegistryServer], FaultProxy]
View = dict[str, Any]


def metrics(world: World) -> str:
    return ask(world.paths.socket, "GET", "/metrics").body.decode()


def drop(engine: Engine, view: View) -> None:
    """Take the image out of the engine, as if it had never been there."""
    for tag in view["tags"]:
        engine.remove(tag)
    assert engine.inspect(f"{view['image']}:latest") is None


def builds(world: World) -> int:
    return len([build for build in world.client.builds() if build["state"] == "built" and build["log"]])


@pytest.fixture
def registry(make_registry: MakeRegistry) -> RegistryServer:
    return make_registry()


def test_what_one_machine_has_built_and_pushed_another_pulls(
    make_world: MakeWorld, registry: RegistryServer, engine: Engine
) -> None:
    first = shared(make_world, registry.host, push="ready")
    write_tiny(first, "tool")
    first.up()
    there = pushed(first, "tool")
    name = there["image"]
    assert registry.tags(name) == ["1", "latest"]
    assert there["registry"] == f"{registry.host}/{name}"
    assert there["registry_size"] > 0
    assert there["registry_layers"] == 1
    assert there["tags"] == [f"{name}:latest", first.alias("tool")], "the engine keeps no tag of the registry"
    assert 'envkiln_pushes_total{state="pushed"} 1.0' in metrics(first)
    first.stop()
    drop(engine, there)

    second = shared(make_world, registry.host, first.mark)
    write_tiny(second, "tool")
    second.up()
    view = second.until_state("tool", "ready")
    assert (view["image"], view["digest"]) == (name, there["digest"])
    assert view["reason"].startswith("pulled from")
    assert view["image_id"] == there["image_id"]
    assert builds(second) == 0
    assert "envkiln_pulls_total 1.0" in metrics(second)
    assert f"{registry.host}/{name}" in second.answer("status", "tool")


def test_when_needed_is_ready_without_the_image_and_whoever_uses_it_brings_it(
    make_world: MakeWorld, registry: RegistryServer, engine: Engine
) -> None:
    first = shared(make_world, registry.host, push="ready")
    write_tiny(first, "tool")
    first.up()
    there = pushed(first, "tool")
    first.stop()
    drop(engine, there)

    second = shared(make_world, registry.host, first.mark, pull="when-needed")
    write_tiny(second, "tool")
    second.up()
    view = second.until_state("tool", "ready")
    assert view["image_id"] is None
    assert view["digest"] == there["digest"]
    assert "pulled when it is needed" in view["reason"]
    assert "not in the engine" in second.answer("status", "tool")
    assert second.answer("image", "tool").strip() == f"{view['image']}:latest"
    assert image_id(engine, f"{view['image']}:latest") == there["image_id"]
    assert builds(second) == 0


def test_pull_never_builds_what_the_registry_has(
    make_world: MakeWorld, registry: RegistryServer, make_proxy: MakeProxy
) -> None:
    proxy = make_proxy(registry)
    world = shared(make_world, proxy.host, pull="never")
    write_tiny(world, "tool")
    world.up()
    world.until_state("tool", "ready")
    assert builds(world) == 1
    assert proxy.requests == []


def test_an_image_that_does_not_fit_its_name_is_built_here_and_left_there(
    make_world: MakeWorld, registry: RegistryServer
) -> None:
    world = shared(make_world, registry.host, push="ready")
    write_tiny(world, "tool")
    name = json.loads(world.answer("name", world.root / "tool", "--root", world.root, "--json"))["image"]
    wrong = put_image(registry, name, labels={"envkiln.name": "azureml/azureml_" + "0" * 32})
    world.up()
    view = world.until_state("tool", "ready")
    assert view["image"] == name
    assert builds(world) == 1
    until(
        lambda: any("not pushed" in warning for warning in world.view("tool")["warnings"]), lambda: world.view("tool")
    )
    assert registry.tags(name) == ["latest"]
    status, _ = registry.call(
        "GET", f"/v2/{name}/manifests/{wrong}", Accept="application/vnd.docker.distribution.manifest.v2+json"
    )
    assert status == 200


def test_a_registry_that_wants_a_log_in_is_waited_for_until_there_is_one(
    make_world: MakeWorld, make_registry: MakeRegistry, tmp_path: Path
) -> None:
    server = make_registry(locked=True)
    config = tmp_path / "docker"
    config.mkdir()
    world = shared(make_world, server.host, push="ready", docker_config=str(config), builder="classic")
    write_tiny(world, "tool")
    world.up()
    waiting = until(lambda: _says(world, "wants a log-in"), lambda: world.view("tool"))
    assert waiting["state"] == "queued"
    assert "the registry does not answer" in waiting["reason"]
    assert "asks again by itself" in waiting["reason"]
    assert f"docker login {server.host}" in waiting["hint"]
    assert waiting["turn"] == "user"
    docker_config(config, server.host)
    view = pushed(world, "tool")
    assert server.tags(view["image"]) == ["1", "latest"]
    assert "s3cret" not in world.output() + json.dumps(view)


def _says(world: World, text: str) -> View | None:
    view = world.view("tool")
    return view if text in str(view.get("reason")) else None


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(status=401), "wants a log-in"),
        (Fault(status=403), "HTTP 403"),
        (Fault(status=404, body=b"<html/>"), "HTTP 404"),
        (Fault(status=429, headers={"Retry-After": "1"}), "HTTP 429"),
        (Fault(status=500), "HTTP 500"),
        (Fault(cut=True), "broke off its answer"),
        (None, "cannot be reached"),
    ],
    ids=["401", "403", "404", "429", "500", "cut", "down"],
)
def test_a_registry_that_goes_wrong_keeps_nobody_else_waiting_and_heals(
    make_world: MakeWorld, registry: RegistryServer, make_proxy: MakeProxy, fault: Fault | None, said: str
) -> None:
    proxy = make_proxy(registry)
    host = proxy.host
    if fault is None:
        registry.stop()
        host = registry.host
    proxy.fault = fault
    world = shared(make_world, host)
    write_tiny(world, "tool")
    write_tiny(world, "alone")
    world.up()
    waiting = until(lambda: _says(world, said), lambda: f"{world.view('tool')}\n{world.output()}")
    assert waiting["state"] == "queued"
    world.until_state("alone", "ready")
    assert world.view("tool")["state"] == "queued"
    proxy.fault = None
    if fault is None:
        registry.start()
    world.until_state("tool", "ready")
    assert builds(world) == 2


def test_a_slow_registry_keeps_nobody_else_waiting(
    make_world: MakeWorld, registry: RegistryServer, make_proxy: MakeProxy
) -> None:
    proxy = make_proxy(registry)
    proxy.fault = Fault(delay_s=600.0)
    world = shared(make_world, proxy.host)
    write_tiny(world, "tool")
    write_tiny(world, "alone")
    world.up()
    world.until_state("alone", "ready")
    # By now the question may have come to its limit.
    waiting = world.view("tool")
    assert waiting["state"] == "queued"
    assert "asks the registry" in waiting["reason"] or "did not answer in time" in waiting["reason"]
    proxy.fault = None
    world.until_state("tool", "ready")


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=403, which=lambda method, _path: method == "POST"),
        Fault(status=500, which=lambda method, path: method == "PUT" and path.endswith("/manifests/latest")),
        Fault(corrupt=True, which=lambda method, path: method == "GET" and path.endswith("/manifests/1")),
    ],
    ids=["forbidden", "at the name", "corrupt"],
)
def test_a_push_that_goes_wrong_is_done_again_and_never_half(
    make_world: MakeWorld, registry: RegistryServer, make_proxy: MakeProxy, fault: Fault
) -> None:
    proxy = make_proxy(registry)
    proxy.fault = fault
    world = shared(make_world, proxy.host, push="ready")
    write_tiny(world, "tool")
    world.up()
    view = until(
        lambda: next((it for it in [world.view("tool")] if "not pushed" in "".join(it.get("warnings", ()))), None),
        lambda: f"{world.view('tool')}\n{world.output()}",
    )
    assert view["state"] == "ready", "what is here can be used all the same"
    assert "latest" not in registry.tags(view["image"])
    proxy.fault = None
    there = pushed(world, "tool")
    assert registry.tags(there["image"]) == ["1", "latest"]
    assert builds(world) == 1


def test_a_push_that_is_cut_goes_on(make_world: MakeWorld, registry: RegistryServer, make_proxy: MakeProxy) -> None:
    proxy = make_proxy(registry)
    proxy.fault = Fault(cut=True, which=lambda method, _path: method == "PATCH")
    world = shared(make_world, proxy.host, push="ready")
    write_tiny(world, "tool")
    world.up()
    # The engine sends the layer again by itself.
    until(lambda: len([method for method, _ in proxy.requests if method == "PATCH"]) > 1, world.output)
    assert world.view("tool")["pushing"]
    assert "latest" not in registry.tags(world.view("tool")["image"])
    proxy.fault = None
    there = pushed(world, "tool")
    assert registry.tags(there["image"]) == ["1", "latest"]


def test_a_push_that_was_killed_is_finished_by_the_next_service(
    make_world: MakeWorld, registry: RegistryServer, make_proxy: MakeProxy
) -> None:
    proxy = make_proxy(registry)
    proxy.fault = Fault(delay_s=600.0, which=lambda method, path: method == "PUT" and path.endswith("/manifests/1"))
    world = shared(make_world, proxy.host, push="ready")
    write_tiny(world, "tool")
    world.up()
    until(lambda: any(path.endswith("/manifests/1") for method, path in proxy.requests if method == "PUT"))
    assert world.view("tool")["pushing"]
    world.kill()
    proxy.fault = None
    world.up()
    there = pushed(world, "tool")
    assert "latest" in registry.tags(there["image"])
    tags = set(there["tags"])
    assert not [tag for tag in tags if registry.host in tag], "no tag of the registry stays in the engine"


def test_what_another_machine_is_building_is_waited_for(make_world: MakeWorld, registry: RegistryServer) -> None:
    world = shared(make_world, registry.host, push="ready")
    write_tiny(world, "tool")
    name = json.loads(world.answer("name", world.root / "tool", "--root", world.root, "--json"))["image"]
    other = RegistryClient(RegistryAddress.parse(registry.host), lambda: None)
    note = Claim("another machine")
    write_claim(other, name, note)
    world.up()
    waiting = until(lambda: _says(world, "another machine builds it"), world.output)
    assert waiting["state"] == "queued"
    drop_claim(other, name, note)
    there = pushed(world, "tool")
    assert builds(world) == 1
    until(lambda: registry.tags(there["image"]) == ["1", "latest"], lambda: registry.tags(there["image"]))


def _put_for(world: World, registry: RegistryServer) -> tuple[str, str]:
    """Put an image into the registry for the environment of the world; returns its name and its layer."""
    name = str(json.loads(world.answer("name", world.root / "tool", "--root", world.root, "--json"))["image"])
    digest = put_image(registry, name, labels={"envkiln.name": name})
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    _, manifest = registry.call("GET", f"/v2/{name}/manifests/{digest}", Accept=kind)
    return name, str(json.loads(manifest)["layers"][0]["digest"])


def test_a_pull_that_fails_is_tried_again(
    make_world: MakeWorld, registry: RegistryServer, make_proxy: MakeProxy
) -> None:
    proxy = make_proxy(registry)
    world = shared(make_world, proxy.host)
    write_tiny(world, "tool")
    _, layer = _put_for(world, registry)
    lost = b'{"errors": [{"code": "BLOB_UNKNOWN", "message": "blob unknown to registry"}]}'
    proxy.fault = Fault(status=404, body=lost, which=lambda _method, path: path.endswith(layer))
    world.up()
    failed = world.until_state("tool", "failed")
    assert "could not pull" in failed["reason"]
    assert "tries again by itself" in failed["reason"]
    proxy.fault = None
    world.until_state("tool", "ready")
    assert world.view("tool")["reason"].startswith("pulled from")


def test_a_pull_is_cancelled_at_once(make_world: MakeWorld, registry: RegistryServer, make_proxy: MakeProxy) -> None:
    proxy = make_proxy(registry)
    world = shared(make_world, proxy.host)
    write_tiny(world, "tool")
    _, layer = _put_for(world, registry)
    proxy.fault = Fault(delay_s=600.0, which=lambda _method, path: path.endswith(layer))
    world.up()
    until(lambda: any(path.endswith(layer) for _, path in proxy.requests), world.output)
    assert "pulls from" in world.view("tool")["reason"]
    world.answer("cancel", "tool")
    assert "cancelled" in world.until_state("tool", "failed")["reason"]
    assert world.stop() == 0


def test_registered_versions_are_pushed_where_the_setting_says_so(
    make_world: MakeWorld, registry: RegistryServer, tmp_path: Path
) -> None:
    world = shared(make_world, registry.host, push="registered", workspace=str(tmp_path / "workspace"))
    write_tiny(world, "tool")
    world.up()
    view = world.until_state("tool", "ready")
    assert registry.tags(view["image"]) == []
    world.answer("register", "tool", "--create")
    there = pushed(world, "tool")
    assert registry.tags(there["image"]) == ["1", "latest"]


def test_push_by_command(make_world: MakeWorld, registry: RegistryServer) -> None:
    world = shared(make_world, registry.host)
    write_tiny(world, "tool")
    world.write("alone/Dockerfile", "NO Dockerfile\n")
    world.up()
    world.until_state("alone", "failed")
    view = world.until_state("tool", "ready")
    assert registry.tags(view["image"]) == []
    assert world.command("push", "alone").returncode == 1, "there is nothing to push"
    said = world.answer("push", "tool")
    assert said.startswith(f"tool: {registry.host}/{view['image']}@sha256:")
    assert registry.tags(view["image"]) == ["1", "latest"]


def test_build_without_a_service_pulls_and_pushes(
    make_world: MakeWorld, registry: RegistryServer, engine: Engine
) -> None:
    world = shared(make_world, registry.host, push="ready")
    write_tiny(world, "tool")
    done = world.command("build", world.root / "tool", "--root", world.root, "--json")
    assert done.returncode == 0, done
    name = json.loads(done.stdout)["image"]
    assert registry.tags(name) == ["1", "latest"]
    engine.remove(f"{world.mark}/tool:latest")
    engine.remove(f"{name}:latest")
    again = world.command("build", world.root / "tool", "--root", world.root, "--json")
    assert again.returncode == 10, again
    assert json.loads(again.stdout)["outcome"] == "skipped"
    registry.stop()
    engine.remove(f"{world.mark}/tool:latest")
    engine.remove(f"{name}:latest")
    away = world.command("build", world.root / "tool", "--root", world.root, "--json")
    assert away.returncode == 4, away
    assert "cannot be reached" in json.loads(away.stdout)["problem"]["message"]
