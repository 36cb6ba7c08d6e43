"""One contract, kept by every builder on the real engine."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certifi
import pytest
from engine_door import EngineDoor

from envkiln.daemon.builder import Builder, BuildFailed, BuildRequest, EngineUnavailable
from envkiln.daemon.builders import TimeLimited
from envkiln.daemon.buildx import BuildxBuilder, BuildxInfo, find_buildx
from envkiln.daemon.classic import ClassicBuilder
from envkiln.daemon.engine import Engine

Shell = Callable[[str, str], str]
# Far above what is needed (a few seconds on a slow machine), far below a hanging test.
PATIENCE_S = 60


@pytest.fixture(params=["classic", "buildx"])
def builder(request: pytest.FixtureRequest, testbed: Any) -> Builder:
    if request.param == "classic":
        return ClassicBuilder(testbed.url)
    return BuildxBuilder(testbed.url, docker_config=testbed.docker_config)


def _build(builder: Builder, request: BuildRequest) -> list[str]:
    lines: list[str] = []
    asyncio.run(asyncio.wait_for(builder.build(request, lines.append), PATIENCE_S))
    return lines


class _Waiter:
    """A log that tells when a text has come."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.come = asyncio.Event()
        self.lines: list[str] = []

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        # Not the step's own text, which builders print before they run it.
        if self._text in line and "RUN" not in line and "Step" not in line:
            self.come.set()


def _processes(marker: str) -> list[str]:
    """Processes on this machine with that text in their command line: steps of builds are among them."""

    def command(directory: Path) -> str:
        try:
            return (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""

    return [line for line in map(command, Path("/proc").glob("[0-9]*")) if marker in line]


def _until(condition: Callable[[], bool], limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _containers(engine: Engine) -> set[str]:
    client = engine.new_client()
    try:
        return {container["Id"] for container in client.containers(all=True)}
    finally:
        client.close()


def test_a_context_becomes_a_tagged_and_labelled_image(
    builder: Builder, requests: Any, engine: Engine, shell: Shell
) -> None:
    labels = {"envkiln.definition": "name: \"x\"\nü: $HOME \\ `y` 'z'\n", "envkiln.recipe": "build-context/1"}
    request = requests.context(
        "COPY . /copied/",
        {"data.txt": b"data\n", "bin/run.sh": b"#!/bin/sh\necho ran\n", "deep/" * 30 + "file": b"long"},
        executable=("bin/run.sh",),
        links={"link": "data.txt"},
        labels=labels,
    )
    lines = _build(builder, request)
    image = engine.inspect(request.tag)
    assert image is not None
    assert image.references == (request.tag,)
    assert labels.items() <= image.labels.items()
    assert lines
    script = "cd /copied; cat data.txt; readlink link; bin/run.sh; stat -c %a data.txt bin/run.sh"
    assert shell(request.tag, script) == "data\ndata.txt\nran\n644\n755\n"
    assert request.tag in {name for found in engine.images() for name in found.references}


def test_a_conda_definition_becomes_an_environment(
    builder: Builder, requests: Any, engine: Engine, shell: Shell
) -> None:
    request = requests.conda("python=3.11", "six")
    _build(builder, request)
    image = engine.inspect(request.tag)
    assert image is not None
    prefix = f"/azureml-envs/{request.identity.conda_environment}"
    assert image.environment["AZUREML_CONDA_ENVIRONMENT_PATH"] == prefix
    assert shell(request.tag, "python -c 'import six, sys; print(sys.prefix)'").strip() == prefix


def test_a_very_long_label_arrives_whole(builder: Builder, requests: Any, engine: Engine) -> None:
    text = "- päckage=1.0  # $X ${Y} \"quoted\" 'single' \\ \n" * 4000
    assert len(text) > 150_000
    request = requests.context("WORKDIR /x", labels={"envkiln.definition": text})
    lines = _build(builder, request)
    image = engine.inspect(request.tag)
    assert image is not None
    assert image.labels["envkiln.definition"] == text
    assert len(lines) < 100, "a label's text is no news"


def test_a_failed_step_leaves_no_tag_and_says_why(builder: Builder, requests: Any, engine: Engine) -> None:
    before = _containers(engine)
    request = requests.context("RUN echo 'E: Unable to locate package nosuch' >&2; exit 100")
    with pytest.raises(BuildFailed, match="apt-get does not know the package nosuch") as raised:
        _build(builder, request)
    assert not raised.value.passing
    assert engine.inspect(request.tag) is None
    assert _containers(engine) <= before


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("RUN exit 3", "exit code 3"),
        ("NONSENSE x", "Docker does not know: NONSENSE"),
        ("COPY missing.txt /", "not in the build context: /?missing.txt"),
        ("FROM 127.0.0.1:1/no/such:1", "network failed"),
        ("RUN nosuchcommand", "the command nosuchcommand is not in the image"),
    ],
)
def test_the_cause_of_a_failure_is_told(
    builder: Builder, requests: Any, engine: Engine, steps: str, message: str
) -> None:
    request = requests.context(steps)
    with pytest.raises(BuildFailed, match=message):
        _build(builder, request)
    assert engine.inspect(request.tag) is None


def test_a_package_that_does_not_exist_is_the_users_turn(builder: Builder, requests: Any, engine: Engine) -> None:
    request = requests.conda("python=3.11", "nosuchpackage")
    with pytest.raises(BuildFailed, match="nosuchpackage") as raised:
        _build(builder, request)
    assert not raised.value.passing
    assert engine.inspect(request.tag) is None


def test_lines_come_while_the_build_runs_and_a_cancel_stops_it(builder: Builder, requests: Any, engine: Engine) -> None:
    before = _containers(engine)
    request = requests.context("RUN echo under way; sleep 54.321")

    async def work() -> float:
        log = _Waiter("under way")
        build = asyncio.ensure_future(builder.build(request, log))
        await asyncio.wait_for(log.come.wait(), PATIENCE_S)
        asked = time.monotonic()
        build.cancel()
        with pytest.raises(asyncio.CancelledError):
            await build
        return time.monotonic() - asked

    assert asyncio.run(work()) < PATIENCE_S
    assert engine.inspect(request.tag) is None
    assert _until(lambda: not _processes("sleep 54.321"), PATIENCE_S)
    assert _containers(engine) <= before


@pytest.mark.parametrize("delay_s", [0, 0.02, 0.1, 0.3])
def test_a_cancel_at_any_moment_leaves_nothing(builder: Builder, requests: Any, engine: Engine, delay_s: float) -> None:
    before = _containers(engine)
    request = requests.context("RUN echo under way; sleep 54.123")

    async def work() -> None:
        build = asyncio.ensure_future(builder.build(request, lambda _: None))
        await asyncio.sleep(delay_s)
        build.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asyncio.shield(build), PATIENCE_S)

    asyncio.run(work())
    assert engine.inspect(request.tag) is None
    assert _until(lambda: not _processes("sleep 54.123") and _containers(engine) <= before, PATIENCE_S)


def test_a_cancelled_build_leaves_the_tag_of_the_image_before(
    builder: Builder, requests: Any, engine: Engine, testbed: Any
) -> None:
    request = requests.context("RUN echo under way; sleep 54.321")
    engine.tag(testbed.base_image, request.tag)
    before = engine.inspect(request.tag)

    async def work() -> None:
        log = _Waiter("under way")
        build = asyncio.ensure_future(builder.build(request, log))
        await asyncio.wait_for(log.come.wait(), PATIENCE_S)
        build.cancel()
        with pytest.raises(asyncio.CancelledError):
            await build

    asyncio.run(work())
    after = engine.inspect(request.tag)
    assert before is not None
    assert after is not None
    assert after.id == before.id


def test_a_silent_build_is_ended(builder: Builder, requests: Any, engine: Engine) -> None:
    request = requests.context("RUN sleep 54.321")
    with pytest.raises(BuildFailed, match="printed nothing for 1 s"):
        _build(TimeLimited(builder, None, 1), request)
    assert engine.inspect(request.tag) is None
    assert _until(lambda: not _processes("sleep 54.321"), PATIENCE_S)


def test_proxies_reach_the_steps_and_stay_out_of_the_image(
    builder: Builder, requests: Any, engine: Engine, shell: Shell
) -> None:
    proxies = {"HTTP_PROXY": "http://me:s3cr3t@proxy.example:3128", "NO_PROXY": "localhost,127.0.0.1"}
    request = requests.context('RUN [ "$HTTP_PROXY" = "http://me:s3cr3t@proxy.example:3128" ]', proxies=proxies)
    lines = _build(builder, request)
    assert _everything(engine, request.tag).count("s3cr3t") == 1, "the one in the step's own text"
    assert "HTTP_PROXY" not in shell(request.tag, "env")
    assert not any("s3cr3t" in line for line in lines if "RUN" not in line)


def test_a_ca_bundle_serves_the_build_and_stays_out_of_the_image(
    builder: Builder, requests: Any, engine: Engine, shell: Shell, tmp_path: Path
) -> None:
    bundle = tmp_path / "ca, with a comma.pem"
    bundle.write_bytes(Path(certifi.where()).read_bytes() + b"\n# TESTBUNDLE\n")
    request = requests.conda("python=3.11", ca_bundle=bundle)
    lines = _build(builder, request)
    assert "TESTBUNDLE" not in _everything(engine, request.tag)
    found = shell(request.tag, "grep -rl TESTBUNDLE / --include=*.pem --include=envkiln-ca -s; ls /run/secrets")
    assert "envkiln-ca" not in found
    assert ".pem" not in found
    assert not any("TESTBUNDLE" in line for line in lines)


def test_two_builds_at_once(builder: Builder, requests: Any, engine: Engine) -> None:
    both = [requests.context(f"RUN echo {name} under way; sleep 1") for name in ("one", "two")]

    async def work() -> float:
        started = time.monotonic()
        await asyncio.gather(*(builder.build(request, lambda _: None) for request in both))
        return time.monotonic() - started

    asyncio.run(work())
    assert all(engine.inspect(request.tag) is not None for request in both)


def test_a_missing_engine_is_said_at_once(requests: Any, testbed: Any, tmp_path: Path) -> None:
    request = requests.context("RUN true")
    url = f"unix://{tmp_path}/docker.sock"
    for builder in (ClassicBuilder(url), BuildxBuilder(url, docker_config=testbed.docker_config)):
        started = time.monotonic()
        with pytest.raises(EngineUnavailable, match="is not there") as raised:
            _build(builder, request)
        assert raised.value.hint
        assert time.monotonic() - started < PATIENCE_S


@pytest.mark.parametrize("make", [ClassicBuilder, BuildxBuilder])
def test_an_engine_that_goes_away_in_the_middle_is_not_the_builds_failure(
    make: Callable[[str], Builder], requests: Any, engine: Engine, door: EngineDoor
) -> None:
    door.open()
    before = _containers(engine)
    request = requests.context("RUN echo under way; sleep 54.222")

    async def work() -> None:
        log = _Waiter("under way")
        build = asyncio.ensure_future(make(door.url).build(request, log))
        await asyncio.wait_for(log.come.wait(), PATIENCE_S)
        door.shut()
        with pytest.raises(EngineUnavailable):
            await asyncio.wait_for(build, 20)

    asyncio.run(work())
    assert engine.inspect(request.tag) is None
    assert _until(lambda: not _processes("sleep 54.222") and _containers(engine) <= before, PATIENCE_S)


def test_a_damaged_conda_cache_is_left_for_a_fresh_one(requests: Any, testbed: Any, tmp_path: Path) -> None:
    wrapper = tmp_path / "docker-buildx"
    real = find_buildx(testbed.docker_config)
    assert real is not None
    # The first build meets the damage, told from the second by a file.
    wrapper.write_text(
        f"#!/bin/sh\nif mkdir {tmp_path}/met 2>/dev/null; then\n"
        'echo "CondaVerificationError: The package for six located at /x appears to be corrupted."; exit 1\n'
        f'fi\nexec {" ".join(real.command)} "$@"\n'
    )
    wrapper.chmod(0o755)
    info = BuildxInfo((str(wrapper),), real.version)
    builder = BuildxBuilder(testbed.url, docker_config=testbed.docker_config, find=lambda _: info)
    lines = _build(builder, requests.conda("python=3.11"))
    assert any("building again with a fresh one" in line for line in lines)
    assert builder._cache_id != "v1"
    assert any(builder._cache_id in line for line in lines)


def _everything(engine: Engine, reference: str) -> str:
    """All that an image says of itself: its configuration and its history."""
    client = engine.new_client()
    try:
        api: Any = client  # whose annotations leave these two out
        return repr(api.inspect_image(reference)) + repr(api.history(reference))
    finally:
        client.close()
