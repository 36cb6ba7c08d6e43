"""`run` and `shell`: which words docker gets, with a docker that only tells them."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from fake_service import FakeService, image_of, serving, unix_listener

from envkiln.cache.index import Index
from envkiln.daemon.api import make_api
from envkiln.daemon.containers import SHELL, RunOptions, docker_run
from envkiln.daemon.metrics import Metrics
from envkiln.daemon.paths import paths_from

TELL = """\
#!{python}
import json, os, sys
told = {{"words": sys.argv[1:], "host": os.environ.get("DOCKER_HOST"), "config": os.environ.get("DOCKER_CONFIG")}}
print(json.dumps(told))
sys.exit(7)
"""


class Place:
    """Directories of one envkiln, with a docker that tells its words and ends with 7."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.here = directory / "here"
        self.bin = directory / "bin"
        for made in (self.here, self.bin):
            made.mkdir()
        self.docker = self.bin / "docker"
        self.docker.write_text(TELL.format(python=sys.executable))
        self.docker.chmod(0o755)
        self.environ = {
            "PATH": str(self.bin),
            "HOME": str(directory),
            "ENVKILN_STATE_DIR": str(directory / "state"),
            "XDG_RUNTIME_DIR": str(directory / "run"),
            "XDG_CONFIG_HOME": str(directory / "config"),
        }
        self.paths = paths_from(self.environ)

    def envkiln(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "envkiln.daemon", *words],
            env=self.environ | variables,
            cwd=self.here,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        command = [sys.executable, "-m", "envkiln.daemon", *words]
        return subprocess.Popen(command, env=self.environ, cwd=self.here, stdout=pipe, stderr=pipe, text=True)

    def words(self, *words: str, **variables: str) -> list[str]:
        """Return the words of docker."""
        done = self.envkiln(*words, **variables)
        assert done.returncode == 7, done
        found: list[str] = json.loads(done.stdout)["words"]
        return found


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def service(place: Place, tmp_path: Path) -> Iterator[FakeService]:
    fake = FakeService(tmp_path / "fake")
    socket = place.paths.socket
    socket.parent.mkdir(parents=True)
    with unix_listener(socket) as listener, serving(fake, make_api(fake, metrics=Metrics()), listener):
        yield fake


def test_the_words_of_docker() -> None:
    options = RunOptions(
        directory=PurePosixPath("/home/ada"),
        volumes=("/data:/data:ro", "cache:/cache"),
        variables=("A=1", "B"),
        ports=("8080:80",),
        gpus="all",
        network="host",
        user="1000:1000",
        terminal=True,
    )
    assert " ".join(docker_run("name:latest", ("python", "-V"), options)) == (
        "docker run --rm --init --pull never -i -t "
        "--mount type=bind,source=/home/ada,target=/home/ada -w /home/ada "
        "-v /data:/data:ro -v cache:/cache -e A=1 -e B -p 8080:80 "
        "--gpus all --network host --user 1000:1000 name:latest python -V"
    )


def test_without_options_nothing_is_mounted_and_there_is_no_terminal() -> None:
    words = " ".join(docker_run("name:latest", (), RunOptions()))
    assert words == "docker run --rm --init --pull never -i name:latest"


def test_a_directory_with_colons_and_commas_is_one_mount() -> None:
    words = docker_run("name:latest", (), RunOptions(directory=PurePosixPath('/a:b,c"d')))
    mount = words[words.index("--mount") + 1]
    assert mount == 'type=bind,"source=/a:b,c""d","target=/a:b,c""d"'


def test_a_shell_is_started_whatever_the_image_starts() -> None:
    words = docker_run("name:latest", (), RunOptions(into_shell=True))
    assert words[-5:] == ["--entrypoint", "sh", "name:latest", *SHELL]


@pytest.mark.usefixtures("service")
def test_run_becomes_docker_with_the_image_and_the_directory(place: Place) -> None:
    here = str(place.here)
    words = place.words("run", "training", "-e", "A=1", "--", "python", "-c", "print(1)", "--", "-x")
    assert words[:6] == ["run", "--rm", "--init", "--pull", "never", "-i"]
    assert words[6:] == [
        *("--mount", f"type=bind,source={here},target={here}", "-w", here, "-e", "A=1"),
        *(f"{image_of('training')}:latest", "python", "-c", "print(1)", "--", "-x"),
    ]
    assert place.words("run", "--no-mount", "training")[6:] == [f"{image_of('training')}:latest"]


@pytest.mark.usefixtures("service")
def test_shell_becomes_docker_with_a_shell(place: Place) -> None:
    assert place.words("shell", "training")[-5:] == ["--entrypoint", "sh", f"{image_of('training')}:latest", *SHELL]


def test_run_waits_for_a_build_and_says_so(place: Place, service: FakeService) -> None:
    process = place.start("run", "speech", "--", "true")
    assert process.stderr is not None
    assert process.stderr.readline().startswith("speech: ")
    assert process.poll() is None
    service.finish("speech")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 7
    assert json.loads(out)["words"][-2:] == [f"{image_of('speech')}:latest", "true"]


def test_run_says_why_there_is_no_image(place: Place, service: FakeService) -> None:
    for id_ in ("vision", "broken", "scratch"):
        done = place.envkiln("run", id_, "--", "true")
        assert done.returncode == 1, done
        assert done.stderr.startswith(f"{id_}: {service.all[id_].state}: ")
        assert f"envkiln: {id_} has no image" in done.stderr
    service.break_("training")
    done = place.envkiln("run", "training")
    assert done.returncode == 1
    assert "the last image that was ready runs with --last-good" in done.stderr


def test_the_last_good_image_is_run_at_once(place: Place, service: FakeService) -> None:
    service.break_("training")
    assert place.words("run", "--last-good", "training")[-1] == f"{image_of('training')}:latest"
    done = place.envkiln("run", "--last-good", "broken")
    assert (done.returncode, done.stdout) == (1, "")
    assert "broken has no image yet that was ready" in done.stderr


def test_an_unknown_environment_is_looked_for_once(place: Place, service: FakeService) -> None:
    done = place.envkiln("run", "trainin")
    assert done.returncode == 6
    assert "did you mean 'training'?" in done.stderr
    assert ("look", None) in service.asked


def test_while_the_service_is_down_the_last_image_that_was_ready_is_run(place: Place) -> None:
    index = Index(place.paths.index)
    common = {"reason": "", "hint": None, "turn": None, "file": "a/env.yml", "root": "envs", "since": time.time()}
    views = {
        "a": {"environment": "a", "state": "building", "image": "azureml/new", "last_good": "azureml/old", **common},
        "b": {"environment": "b", "state": "building", "image": "azureml/new", "last_good": None, **common},
    }
    index.store_views(views, [], time.time() - 200)
    index.close()
    done = place.envkiln("run", "a", "--", "true")
    assert done.returncode == 7
    assert json.loads(done.stdout)["words"][-2:] == ["azureml/old:latest", "true"]
    assert done.stderr.splitlines() == [
        "the service is not running, as it was 3m ago; start it with: envkiln up",
        "this is the last image that was ready: azureml/old",
    ]
    assert place.envkiln("run", "b").returncode == 1
    assert place.envkiln("run", "c").returncode == 6


@pytest.mark.usefixtures("service")
def test_the_engine_is_that_of_the_configuration(place: Place) -> None:
    def told(**variables: str) -> tuple[str | None, str | None]:
        found = json.loads(place.envkiln("run", "training", **variables).stdout)
        return found["host"], found["config"]

    assert told() == (None, None)
    assert told(DOCKER_HOST="unix:///shell.sock") == ("unix:///shell.sock", None)
    place.paths.config_file.parent.mkdir(parents=True)
    place.paths.config_file.write_text('docker_host = "unix:///file.sock"\ndocker_config = "/etc/docker-cli"\n')
    assert told(DOCKER_HOST="unix:///shell.sock") == ("unix:///file.sock", "/etc/docker-cli")
    assert told(ENVKILN_DOCKER_HOST="unix:///variable.sock")[0] == "unix:///variable.sock"


@pytest.mark.usefixtures("service")
def test_a_broken_file_of_settings_in_this_directory_does_not_matter(place: Place) -> None:
    (place.here / "envkiln.toml").write_text("nonsense = [")
    assert place.words("run", "training")[0] == "run"


@pytest.mark.usefixtures("service")
def test_without_docker_it_says_what_is_missing(place: Place) -> None:
    place.docker.unlink()
    done = place.envkiln("run", "training", "--", "true")
    assert done.returncode == 4
    assert done.stderr.startswith("envkiln: there is no `docker` command on PATH\n  ")


@pytest.mark.usefixtures("service")
def test_an_option_of_the_command_is_not_ours(place: Place) -> None:
    assert place.envkiln("run", "training", "python", "-V").returncode == 2
    assert place.words("run", "training", "python", "--", "-V")[-2:] == ["python", "-V"]


@pytest.mark.usefixtures("service")
def test_the_directory_that_cannot_be_mounted_is_told(place: Place) -> None:
    place.here = Path("/")
    done = place.envkiln("run", "training")
    assert "--mount" not in json.loads(done.stdout)["words"]
    assert done.stderr.startswith("/ cannot be mounted")
