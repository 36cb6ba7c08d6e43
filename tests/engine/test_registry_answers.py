"""What a real registry has: yes, no and unknown, with and without a log-in, also when it goes wrong."""

import json
import socket
import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from registry_server import PASSWORD, USER, Fault, FaultProxy, RegistryServer, docker_config, put_document, put_image

from envkiln.cache.errors import Turn
from envkiln.cache.names import IMAGE_PREFIX
from envkiln.daemon.config import load_config
from envkiln.daemon.credentials import find_credentials
from envkiln.daemon.events import Answer, RegistryAnswered
from envkiln.daemon.registries import ask_all, check_registries
from envkiln.daemon.registry_address import RegistryAddress
from envkiln.daemon.registry_client import RegistryClient

MakeRegistry = Callable[..., RegistryServer]
MakeProxy = Callable[[RegistryServer], FaultProxy]

NAME = IMAGE_PREFIX + "0123456789abcdef" * 2
OTHER = IMAGE_PREFIX + "f" * 32
OURS = {"envkiln.name": NAME}
AMD = "linux/amd64"


def client(address: str, config: Path | None = None, *, answer_s: float = 20.0) -> RegistryClient:
    parsed = RegistryAddress.parse(address)
    login = config or Path("/nonexistent")
    return RegistryClient(parsed, lambda: find_credentials(parsed.host, login), answer_s=answer_s)


def ask(
    address: str, name: str = NAME, config: Path | None = None, *, trust: bool = False, answer_s: float = 20.0
) -> RegistryAnswered:
    return ask_all([client(address, config, answer_s=answer_s)], name, AMD, trust_azureml=trust)


def test_an_image_is_known_with_its_size_and_layers_and_nothing_is_pulled(make_registry: MakeRegistry) -> None:
    server = make_registry()
    digest = put_image(server, NAME, labels=OURS)
    answer = ask(server.host)
    assert answer.answer is Answer.YES
    assert answer.image is not None
    assert answer.image.digest == digest
    assert answer.image.repository == f"{server.host}/{NAME}"
    assert len(answer.image.layers) == 1
    assert answer.image.size > 100
    assert ask(server.host, OTHER) == RegistryAnswered(OTHER, Answer.NO)


def test_a_prefix_stands_before_every_repository(make_registry: MakeRegistry) -> None:
    server = make_registry()
    put_image(server, f"team/images/{NAME}", labels=OURS)
    assert ask(server.host).answer is Answer.NO
    assert ask(f"{server.host}/team/images").answer is Answer.YES


def test_of_an_index_the_image_for_the_platform_counts(make_registry: MakeRegistry) -> None:
    server = make_registry()
    parts = {}
    for platform in ("linux/arm64", AMD):
        digest = put_image(server, NAME, labels=OURS, platform=platform, tag=platform.replace("/", "-"))
        _, data = server.call(
            "GET", f"/v2/{NAME}/manifests/{digest}", Accept="application/vnd.docker.distribution.manifest.v2+json"
        )
        parts[platform] = {
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "size": len(data),
            "digest": digest,
            "platform": dict(zip(("os", "architecture"), platform.split("/"), strict=True)),
        }
    kind = "application/vnd.docker.distribution.manifest.list.v2+json"
    whole = {"schemaVersion": 2, "mediaType": kind, "manifests": list(parts.values())}
    put_document(server, NAME, "latest", kind, whole)
    answer = ask(server.host)
    assert answer.image is not None
    assert answer.image.digest == parts[AMD]["digest"]


@pytest.mark.parametrize(
    ("labels", "variables", "platform", "said"),
    [
        ({"envkiln.name": OTHER}, (), AMD, f"says {OTHER}"),
        ({}, (), AMD, "has no label envkiln.name"),
        ({}, ("AZUREML_ENVIRONMENT_IMAGE=True",), AMD, "trust_azureml_images"),
        (OURS, (), "linux/arm64", "it is for linux/arm64, not for linux/amd64"),
    ],
)
def test_what_does_not_fit_its_name_is_a_no_that_says_so(
    make_registry: MakeRegistry, labels: dict[str, str], variables: tuple[str, ...], platform: str, said: str
) -> None:
    server = make_registry()
    put_image(server, NAME, labels=labels, variables=variables, platform=platform)
    answer = ask(server.host)
    assert answer.answer is Answer.NO
    assert said in str(answer.problem)


def test_an_image_made_from_ours_only_has_its_labels(make_registry: MakeRegistry) -> None:
    server = make_registry()
    put_image(server, NAME, labels=OURS, step="RUN pip install more")
    answer = ask(server.host)
    assert answer.answer is Answer.NO
    assert "made from an image of that name" in str(answer.problem)


def test_azure_mls_own_image_is_believed_by_option(make_registry: MakeRegistry) -> None:
    server = make_registry()
    put_image(server, NAME, variables=("AZUREML_ENVIRONMENT_IMAGE=True",))
    assert ask(server.host, trust=True).answer is Answer.YES


def test_without_a_log_in_the_answer_is_unknown_and_with_it_yes_or_no(
    make_registry: MakeRegistry, tmp_path: Path
) -> None:
    server = make_registry(locked=True)
    put_image(server, NAME, labels=OURS)
    refused = ask(server.host)
    assert refused.answer is Answer.UNKNOWN
    assert refused.problem is not None
    assert refused.problem.hint is not None
    assert f"docker login {server.host}" in refused.problem.hint
    assert refused.problem.turn is Turn.USER
    config = docker_config(tmp_path / "docker", server.host)
    assert ask(server.host, config=config).answer is Answer.YES
    assert ask(server.host, OTHER, config=config).answer is Answer.NO
    wrong = docker_config(tmp_path / "wrong", server.host, password="wrong-one")  # noqa: S106
    answer = ask(server.host, config=wrong)
    assert answer.answer is Answer.UNKNOWN
    assert "wrong-one" not in repr(answer)


def test_a_credential_helper_is_asked(
    make_registry: MakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_registry(locked=True)
    put_image(server, NAME, labels=OURS)
    helper = tmp_path / "bin" / "docker-credential-test"
    helper.parent.mkdir()
    answer = json.dumps({"Username": USER, "Secret": PASSWORD, "ServerURL": server.host})
    helper.write_text(f"#!/bin/sh\ncat >/dev/null\necho '{answer}'\n")
    helper.chmod(helper.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{helper.parent}:/usr/bin:/bin")
    config = tmp_path / "docker"
    config.mkdir()
    (config / "config.json").write_text(json.dumps({"credHelpers": {server.host: "test"}}))
    assert ask(server.host, config=config).answer is Answer.YES
    helper.write_text("#!/bin/sh\necho 's3cret-in-the-output'\nexit 1\n")
    broken = ask(server.host, config=config)
    assert broken.answer is Answer.UNKNOWN
    assert "s3cret" not in repr(broken)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(status=401), "wants a log-in of a kind that envkiln does not know"),
        (Fault(status=403), "does not let this log-in in (HTTP 403)"),
        (Fault(status=404, body=b"<html>not found</html>"), "answered as no registry does (HTTP 404)"),
        (Fault(status=500, body=b"disk is full"), "answered with HTTP 500: disk is full"),
        (Fault(cut=True), "broke off its answer"),
        (Fault(corrupt=True), "damaged answer"),
    ],
    ids=["401", "403", "404", "500", "cut", "corrupt"],
)
def test_a_registry_that_goes_wrong_is_unknown_and_heals(
    make_registry: MakeRegistry, make_proxy: MakeProxy, fault: Fault, said: str
) -> None:
    server = make_registry()
    put_image(server, NAME, labels=OURS)
    proxy = make_proxy(server)
    asked = client(proxy.host)
    proxy.fault = fault
    answer = ask_all([asked], NAME, AMD)
    assert answer.answer is Answer.UNKNOWN
    assert said in str(answer.problem)
    proxy.fault = None
    assert ask_all([asked], NAME, AMD).answer is Answer.YES


def test_a_registry_that_is_asked_too_often_says_when_to_come_back(
    make_registry: MakeRegistry, make_proxy: MakeProxy
) -> None:
    proxy = make_proxy(make_registry())
    proxy.fault = Fault(status=429, headers={"Retry-After": "7"})
    answer = ask(proxy.host)
    assert (answer.answer, answer.retry_after_s) == (Answer.UNKNOWN, 7.0)


def test_a_registry_that_asks_to_be_left_alone_is_left_alone(
    make_registry: MakeRegistry, make_proxy: MakeProxy
) -> None:
    proxy = make_proxy(make_registry())
    proxy.fault = Fault(status=429, headers={"Retry-After": "500"})
    asked = client(proxy.host)
    answers = [ask_all([asked], name, AMD) for name in (NAME, OTHER)]
    assert [answer.retry_after_s for answer in answers] == [500.0, 500.0]
    assert len(proxy.requests) == 1


def test_whether_a_registry_lets_us_in_is_known(
    make_registry: MakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_one, locked = make_registry(), make_registry(locked=True)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    addresses = tuple(RegistryAddress.parse(it.host) for it in (open_one, locked))
    config = replace(
        load_config(roots_from_flags=(), flags={}, environ={}, user_file=tmp_path, read=lambda _: None),
        registries=addresses,
    )
    found = check_registries(config)
    assert found[open_one.host] is None
    assert "wants a log-in" in str(found[locked.host])
    docker_config(tmp_path / "docker", locked.host)
    assert check_registries(config) == {open_one.host: None, locked.host: None}


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for registry.test, and its key beside it."""
    made = tmp_path / "registry.crt"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=registry.test"]
    command += [
        "-addext",
        "subjectAltName=DNS:registry.test",
        "-keyout",
        str(tmp_path / "registry.key"),
        "-out",
        str(made),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return made


def test_other_machines_are_spoken_to_with_tls_and_only_with_a_certificate_that_is_trusted(
    make_registry: MakeRegistry, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_registry(certificate=certificate)
    # The name of another machine, which is this one.
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: resolve(host.replace("registry.test", "127.0.0.1"), *rest, **more),
    )
    for variable in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    address = f"registry.test:{server.port}"
    answer = ask(address)
    assert answer.answer is Answer.UNKNOWN
    assert answer.problem is not None
    assert f"the certificate of {address} is not trusted" in answer.problem.message
    assert f"/etc/docker/certs.d/{address}" in str(answer.problem.hint)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert ask(address).answer is Answer.NO


def test_a_slow_registry_is_not_waited_for(make_registry: MakeRegistry, make_proxy: MakeProxy) -> None:
    proxy = make_proxy(make_registry())
    proxy.fault = Fault(delay_s=120.0)
    answer = ask(proxy.host, answer_s=0.2)
    assert answer.answer is Answer.UNKNOWN
    assert "did not answer in time" in str(answer.problem)


def test_nobody_there_is_unknown(make_registry: MakeRegistry) -> None:
    server = make_registry()
    server.stop()
    answer = ask(server.host)
    assert answer.answer is Answer.UNKNOWN
    assert "cannot be reached" in str(answer.problem)


def test_of_several_registries_the_first_yes_counts_and_a_no_only_of_all(make_registry: MakeRegistry) -> None:
    first, second = make_registry(), make_registry()
    put_image(second, NAME, labels=OURS)
    both = [client(first.host), client(second.host)]
    answer = ask_all(both, NAME, AMD)
    assert answer.image is not None
    assert answer.image.repository == f"{second.host}/{NAME}"
    first.stop()
    assert ask_all(both, NAME, AMD).answer is Answer.YES
    assert ask_all(both, OTHER, AMD).answer is Answer.UNKNOWN


def test_an_image_gets_another_tag_and_the_tags_are_known(make_registry: MakeRegistry) -> None:
    server = make_registry()
    put_image(server, NAME, labels=OURS)
    asked = client(server.host)
    document = asked.manifest(NAME, "latest")
    assert document is not None
    asked.put_manifest(NAME, "7", document)
    assert sorted(asked.tags(NAME)) == ["7", "latest"]
    assert asked.tags(OTHER) == []
    assert asked.manifest(NAME, "7") == document
