"""The example of a builder in Kubernetes, with the real buildx and an API that stands in for the cluster.

What no machine of ours can show is the build itself, in a pod.
"""

import os
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from cluster import Asked, Cluster
from running import World, until

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "kubernetes"
DOCUMENTS = list(yaml.safe_load_all((EXAMPLE / "access.yml").read_text()))


@pytest.fixture
def docker_config(tmp_path: Path, testbed: Any) -> Path:
    """A directory of Docker's configuration with buildx, for builders that no other test sees."""
    config = tmp_path / "docker"
    shutil.copytree(testbed.docker_config, config, symlinks=True)
    return config


@pytest.fixture
def make_cluster(tmp_path: Path, docker_config: Path) -> Iterator[Callable[..., Cluster]]:
    """Makes a cluster with the builder of the example on it."""
    made: list[Cluster] = []

    def make(*, forbids: bool = False) -> Cluster:
        cluster = Cluster(tmp_path, forbids=forbids)
        made.append(cluster)
        environ = os.environ | {"KUBECONFIG": str(cluster.kubeconfig), "DOCKER_CONFIG": str(docker_config)}
        environ["PATH"] = f"{docker_config}/cli-plugins:{environ['PATH']}"
        subprocess.run([EXAMPLE / "create-builder.sh"], env=environ, check=True, capture_output=True)
        return cluster

    yield make
    for cluster in made:
        cluster.close()


def allows(role: dict[str, Any], asked: Asked) -> bool:
    return asked.namespace == role["metadata"]["namespace"] and any(
        asked.group in rule["apiGroups"] and asked.resource in rule["resources"] and asked.verb in rule["verbs"]
        for rule in role["rules"]
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=[document["kind"] for document in DOCUMENTS])
@pytest.mark.parametrize("version", ["1.28", "1.33"])
def test_the_manifests_are_valid(document: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_the_role_allows_what_a_build_asks_of_the_cluster_and_little_more(
    make_world: Callable[..., World], make_cluster: Callable[..., Cluster], docker_config: Path
) -> None:
    cluster = make_cluster()
    world = make_world()
    world.configure(**tomllib.loads((EXAMPLE / "envkiln.toml").read_text()))
    world.environ |= {"KUBECONFIG": str(cluster.kubeconfig), "DOCKER_CONFIG": str(docker_config)}
    world.write("main/Dockerfile", world.dockerfile())
    world.up()
    came = cluster.asked
    until(lambda: "pods/exec" in {asked.resource for asked in came}, lambda: (set(came), world.output()))
    (role,) = (document for document in DOCUMENTS if document["kind"] == "Role")
    assert [asked for asked in cluster.asked if not allows(role, asked)] == []
    assert world.stop() == 0


def test_a_cluster_that_forbids_is_a_failure_that_says_so_and_is_tried_again(
    make_world: Callable[..., World], make_cluster: Callable[..., Cluster], docker_config: Path
) -> None:
    cluster = make_cluster(forbids=True)
    world = make_world(builder="buildx", buildx_builder="kiln")
    world.environ |= {"KUBECONFIG": str(cluster.kubeconfig), "DOCKER_CONFIG": str(docker_config)}
    world.write("main/Dockerfile", world.dockerfile())
    world.up()
    view = world.until_state("main", "failed")
    assert "the builder in Kubernetes could not be started" in view["reason"]
    assert "(tries again by itself)" in view["reason"]
    assert "kubectl" in view["hint"]
    assert view["turn"] == "surroundings"
    assert "a-token" not in world.output() + "".join(log.read_text() for log in world.logs())
