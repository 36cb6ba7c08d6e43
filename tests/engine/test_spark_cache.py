"""`spark_cache.py` under a real Spark: what an image's build runs, and the job that comes after it.

Maven Central is out of reach in all of this: HTTPS goes to a proxy that is not there.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from envkiln.cache.definition import SparkSection
from envkiln.cache.setup_files import LOG4J, spark_cache

# The first run downloads Spark, which is 300 MB.
pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

SPARK = Path(__file__).resolve().parents[2] / "build" / "testbed" / "spark"
VERSION = "3.5.8"
# Far above what a run of Spark needs (10 s on a slow machine), far below a hanging test.
PATIENCE_S = 120
# Reached only through the proxy that the image's own Java options name.
REPOSITORY = "http://maven.example"
DEMO = "com.example:demo:1.0"


@pytest.fixture(scope="session")
def spark_home() -> Path:
    """A Spark that is kept between runs, and Java on this machine."""
    SPARK.mkdir(parents=True, exist_ok=True)
    with (SPARK / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if shutil.which("java") is None:
            _install_java()
        kept = SPARK / VERSION
        if not kept.exists():
            unfinished = SPARK / "unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            _unpack_spark(unfinished)
            unfinished.rename(kept)
    return kept


def _unpack_spark(directory: Path) -> None:
    """Take Spark out of the source distribution of pyspark: making a wheel of it first takes four times as long."""
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "pyspark"]
    subprocess.run([*pip, "--dest", str(directory), f"pyspark=={VERSION}"], check=True)
    archive = directory / f"pyspark-{VERSION}.tar.gz"
    parts = [f"pyspark-{VERSION}/deps/{part}" for part in ("bin", "jars")]
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(directory), "--strip-components=2", *parts], check=True)
    archive.unlink()


def _install_java() -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "--no-install-recommends", "default-jre-headless"]
    for command in (["apt-get", "update"], install):
        subprocess.run(command, env=environment, check=True)


class _Proxy(SimpleHTTPRequestHandler):
    """Answers for every host from one directory."""

    def translate_path(self, path: str) -> str:
        return super().translate_path(urlsplit(path).path)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@dataclass(frozen=True, slots=True)
class Image:
    """The parts of an image that has Spark: a home, Spark's configuration and the setup files."""

    root: Path
    spark_home: Path

    def build_step(self, spark: SparkSection) -> subprocess.CompletedProcess[str]:
        """Run the step that the Dockerfile has, with `spark_cache.py` elsewhere."""
        script = self.root / "spark_cache.py"
        script.write_bytes(spark_cache(spark))
        return self._run("/bin/bash", "-c", f"$SPARK_HOME/bin/spark-submit  {script}")

    def job(self, *options: str) -> subprocess.CompletedProcess[str]:
        program = self.root / "job.py"
        program.write_text("print('the job ran')\n", encoding="utf-8")
        return self._run(f"{self.spark_home}/bin/spark-submit", *options, str(program))

    def jars(self) -> set[str]:
        return {path.name for path in (self.root / "home").glob(".ivy2*/cache/**/*.jar")}

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        kept = {name: os.environ[name] for name in ("PATH", "JAVA_HOME") if name in os.environ}
        environment = {
            **kept,
            "SPARK_HOME": str(self.spark_home),
            "SPARK_CONF_DIR": str(self.root / "conf"),
            # Java does not ask HOME. The other two only make short runs shorter.
            "SPARK_SUBMIT_OPTS": f"-Duser.home={self.root}/home -XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": sys.executable,
        }
        return subprocess.run(
            command, env=environment, cwd=self.root, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )


def _make_image(root: Path, spark_home: Path, proxy_port: int = 1) -> Image:
    """Make an image whose Spark is configured for a proxy; nothing listens on port 1."""
    (root / "home").mkdir()
    (root / "conf").mkdir()
    proxies = (
        f"-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort={proxy_port} -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=1"
    )
    defaults = f"spark.driver.extraJavaOptions {proxies}\n"
    (root / "conf" / "spark-defaults.conf").write_text(defaults, encoding="utf-8")
    (root / "log4j.properties").write_bytes(LOG4J)
    return Image(root, spark_home)


def _publish(repository: Path, artifact: str, version: str, dependencies: str = "") -> None:
    directory = repository / "com" / "example" / artifact / version
    directory.mkdir(parents=True)
    with zipfile.ZipFile(directory / f"{artifact}-{version}.jar", "w") as jar:
        jar.writestr(f"{artifact}.txt", version)
    names = f"<groupId>com.example</groupId><artifactId>{artifact}</artifactId><version>{version}</version>"
    (directory / f"{artifact}-{version}.pom").write_text(
        f"<project><modelVersion>4.0.0</modelVersion>{names}{dependencies}</project>", encoding="utf-8"
    )


@contextmanager
def _served(directory: Path) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Proxy, directory=str(directory))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True, slots=True)
class Fetched:
    image: Image
    build: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def fetched(spark_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Fetched:
    """An image after its build; the repository is gone."""
    root = tmp_path_factory.mktemp("spark")
    repository = root / "repository"
    dep = "<dependency><groupId>com.example</groupId><artifactId>dep</artifactId><version>2.0</version></dependency>"
    _publish(repository, "demo", "1.0", f"<dependencies>{dep}</dependencies>")
    _publish(repository, "dep", "2.0")
    with _served(repository) as port:
        image = _make_image(root, spark_home, port)
        return Fetched(image, image.build_step(SparkSection((REPOSITORY,), (DEMO,))))


@pytest.fixture
def image(spark_home: Path, tmp_path: Path) -> Image:
    """An image that reaches no repository over HTTP."""
    return _make_image(tmp_path, spark_home)


def test_the_build_fetches_packages_and_their_dependencies_with_the_java_options_of_the_image(
    fetched: Fetched,
) -> None:
    assert fetched.build.returncode == 0, fetched.build.stderr
    assert fetched.image.jars() == {"demo-1.0.jar", "dep-2.0.jar"}


@pytest.mark.parametrize("options", [("--repositories", REPOSITORY), ()], ids=["same repositories", "none named"])
def test_a_job_gets_the_packages_when_no_repository_can_be_reached(fetched: Fetched, options: tuple[str, ...]) -> None:
    job = fetched.image.job("--packages", DEMO, *options)
    assert job.returncode == 0, job.stderr
    assert job.stdout.endswith("the job ran\n")


def test_the_build_fails_when_a_package_does_not_exist(image: Image, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    build = image.build_step(SparkSection((empty.as_uri(),), ("com.example:absent:1.0",)))
    assert build.returncode == 1
    assert "com.example#absent;1.0: not found" in build.stdout + build.stderr


@pytest.mark.parametrize(
    "spark",
    [SparkSection(), SparkSection((REPOSITORY,), (DEMO,), precache=False)],
    ids=["no packages", "not to be fetched"],
)
def test_the_build_asks_nobody_when_there_is_nothing_to_fetch(image: Image, spark: SparkSection) -> None:
    build = image.build_step(spark)
    assert build.returncode == 0, build.stderr
    assert "Ivy" not in build.stdout + build.stderr
    assert not list((image.root / "home").iterdir())
