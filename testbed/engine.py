"""A Docker engine: the one that is there, or a private one taken from Debian packages.

The private engine is unpacked, not installed. Its socket, data and log are its
own, so it never meets an engine that the machine already has.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import background
from bridge import Bridge, can_filter
from debian import Apt, machine_suite, sysroot_environment, unpack
from engine_api import EngineApi
from mounts import remove_tree
from steps import TestbedError, is_stamped, stamp, step

if TYPE_CHECKING:
    from layout import Layout

DEFAULT_HOST = "unix:///var/run/docker.sock"
PACKAGES = ("docker.io", "containerd", "runc", "tini", "iptables")
START_DEADLINE = 60.0
INSTEAD = "start a Docker engine yourself and set DOCKER_HOST; the test bed will use it"
# An engine's programs make these whatever they are told. Deepest first.
SHARED = (
    *("/run/containerd/s", "/run/containerd", "/run/docker/plugins", "/run/docker", "/run/runc"),
    *("/opt/containerd/bin", "/opt/containerd/lib", "/opt/containerd"),
)
OLD_KEY_SETTING = "deprecated-key-path"
USABLE = ("unix://", "tcp://")


@dataclass(frozen=True)
class Engine:
    """An engine that answers."""

    host: str
    private: bool

    @property
    def api(self) -> EngineApi:
        """Its API."""
        return EngineApi(self.host)

    def describe(self) -> str:
        """Version, storage driver and network in a few words."""
        info = self.api.info()
        kind = "private" if self.private else "of this machine"
        network = "bridge" if self.api.has_bridge_network() else "host network only"
        return f"{info['ServerVersion']} {kind}, {info['Driver']}, {network}, {self.host}"


class PrivateEngine:
    """Life of the private engine: `start`, `stop`, `discard`."""

    name = "engine"
    namespace = "envkiln-testbed"
    """A containerd of the machine would be shared: each engine stays out of the others' names."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._data = layout.engine
        self._run = self._run_directory()
        self._pidfile = self._run / "dockerd.pid"
        self._log = self._data / "dockerd.log"
        self._made = self._run / "made"
        self.host = f"unix://{self._run / 'docker.sock'}"

    def _run_directory(self) -> Path:
        return self._layout.run_directory()

    def _provide_network(self, environment: dict[str, str]) -> tuple[list[str], str]:
        """Make the network; return the engine's arguments for it, and what it is in a few words."""
        bridge = Bridge(self._run, environment)
        note = bridge.provide()
        return [f"--bridge={bridge.name}"], note

    def _remove_network(self, environment: dict[str, str]) -> None:
        Bridge(self._run, environment).remove()

    def _more_arguments(self) -> list[str]:
        return []

    def running(self) -> Engine | None:
        """The engine, if it was started and answers."""
        if background.running_pid(self._pidfile, str(self._pidfile)) is None:
            return None
        return Engine(self.host, private=True) if EngineApi(self.host).version() else None

    def start(self) -> Engine:
        """Make the engine answer; does nothing when it already does."""
        if engine := self.running():
            return engine
        if os.geteuid() != 0:
            raise TestbedError("a private Docker engine needs root", INSTEAD)
        with step(f"{self.name}: packages") as current:
            current.note = "unpacked" if provide_sysroot(self._layout) else "there already"
        environment = {**os.environ, **sysroot_environment(self._layout.sysroot)}
        with step(f"{self.name}: network") as current:
            network, current.note = self._provide_network(environment)
        with step(f"{self.name}: start") as current:
            engine = self._start([*network, *self._more_arguments()], environment)
            current.note = engine.describe()
        return engine

    def _start(self, arguments: list[str], environment: dict[str, str]) -> Engine:
        # A pid file of a killed engine stops the next one from starting.
        self.stop()
        self._pidfile.unlink(missing_ok=True)
        sysroot = self._layout.sysroot
        for name in ("DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT"):
            environment.pop(name, None)
        self._remember_made()
        dockerd = sysroot / "usr/sbin/dockerd"
        # Else an engine of Debian 12 writes /etc/docker/key.json; later ones have neither key nor setting.
        key = {OLD_KEY_SETTING: str(self._run / "key.json")} if holds(dockerd, OLD_KEY_SETTING) else {}
        settings = self._run / "daemon.json"
        settings.write_text(json.dumps(key) + "\n")  # not the machine's /etc/docker/daemon.json
        process = background.start(
            [
                dockerd,
                f"--config-file={settings}",
                f"--host={self.host}",
                f"--data-root={self._data / 'data'}",
                f"--exec-root={self._run / 'exec'}",
                f"--pidfile={self._pidfile}",
                f"--userland-proxy-path={sysroot / 'usr/sbin/docker-proxy'}",
                f"--containerd-namespace={self.namespace}",
                f"--containerd-plugins-namespace={self.namespace}-plugins",
                "--iptables=false",
                "--ip6tables=false",
                *arguments,
            ],
            self._log,
            environment,
        )
        background.wait_until(
            lambda: EngineApi(self.host).version() is not None,
            process,
            self._log,
            "the Docker engine",
            START_DEADLINE,
        )
        return Engine(self.host, private=True)

    def _remember_made(self) -> None:
        """Note which directories outside of the work directory are there only because of this engine."""
        before = self._made.read_text().splitlines() if self._made.exists() else []
        made = [place for place in SHARED if place in before or not Path(place).exists()]
        self._made.write_text("".join(f"{place}\n" for place in made))

    def stop(self) -> bool:
        """Stop the engine and its containers; tells whether it was running."""
        stopped = background.stop(self._pidfile, str(self._pidfile))
        # It outlives an engine that was killed, and its pid file lies to the next one.
        containerd = self._run / "exec/containerd"
        background.stop(containerd / "containerd.pid", str(containerd))
        (containerd / "containerd.pid").unlink(missing_ok=True)
        return stopped

    def discard(self) -> None:
        """Stop the engine and remove its data, mounts, network interface and rules."""
        self.stop()
        environment = {**os.environ, **sysroot_environment(self._layout.sysroot)}
        self._remove_network(environment)
        for made in self._made.read_text().splitlines() if self._made.exists() else ():
            # Not empty: somebody else uses it by now.
            with contextlib.suppress(OSError):
                Path(made).rmdir()
        for place in (self._data, self._run):
            remove_tree(place)


def provide_sysroot(layout: Layout) -> bool:
    """Unpack the engine's packages unless they are there; tells whether it did."""
    suite = machine_suite()
    recipe = f"1 {suite} {' '.join(PACKAGES)}"
    sysroot = layout.sysroot
    if is_stamped(sysroot, recipe):
        return False
    shutil.rmtree(sysroot, ignore_errors=True)
    apt = Apt(layout.apt, suite)
    # From Debian 13 on, the command line client is a package of its own.
    separate_client = ("docker-cli",) if apt.has("docker-cli") else ()
    unpack(apt.fetch(*PACKAGES, *separate_client), sysroot)
    choose_iptables(sysroot)
    stamp(sysroot, recipe)
    return True


def holds(program: Path, word: str) -> bool:
    """Whether a word occurs in a program: tells a setting that `--help` hides."""
    with program.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(word.encode()) >= 0


def choose_iptables(sysroot: Path) -> None:
    """Do what the package's alternatives would: `iptables` is nft where that works."""
    environment = {**os.environ, **sysroot_environment(sysroot)}
    for flavour in ("nft", "legacy"):
        for family in ("iptables", "ip6tables"):
            for action in ("", "-save", "-restore"):
                link = sysroot / f"usr/sbin/{family}{action}"
                link.unlink(missing_ok=True)
                link.symlink_to(f"{family}-{flavour}{action}")
        if can_filter(environment):
            return


def machine_host() -> str:
    """The address that DOCKER_HOST or else the default socket names."""
    return os.environ.get("DOCKER_HOST") or DEFAULT_HOST


def engine_at(host: str) -> Engine | None:
    """The engine at an address, not one of ours to start and stop; None unless it answers."""
    if not host.startswith(USABLE):
        return None
    return Engine(host, private=False) if EngineApi(host).version() else None


def machine_engine() -> Engine | None:
    """The engine that DOCKER_HOST or the default socket names, if it answers."""
    return engine_at(machine_host())


def no_engine() -> TestbedError:
    """What is in the way of a user who may not start a private engine."""
    host = machine_host()
    if not host.startswith(USABLE):
        return TestbedError(f"the test bed cannot talk to an engine at {host}", "set DOCKER_HOST to unix:// or tcp://")
    socket = Path(host.removeprefix("unix://"))
    if socket.is_socket() and not os.access(socket, os.R_OK | os.W_OK):
        hint = "become a member of the socket's group (docker, mostly) and log in again"
        return TestbedError(f"this user may not use the Docker engine at {host}", hint)
    return TestbedError(
        f"no Docker engine answers at {host}, and a private one needs root",
        "start Docker, or set DOCKER_HOST to an engine that runs, or run this as root on Debian",
    )


def provide_engine(layout: Layout, choice: str) -> Engine:
    """The engine to use: `auto` prefers the machine's own, `private` never takes it."""
    private = PrivateEngine(layout)
    engine = private.running() or (machine_engine() if choice == "auto" else None)
    if engine is None:
        if choice == "auto" and os.geteuid() != 0:
            raise no_engine()
        return private.start()
    with step("engine") as current:
        current.note = engine.describe()
    return engine


def docker_client(layout: Layout) -> Path | None:
    """A `docker` command: the private engine's, the machine's, or Debian's; None where none can be had."""
    own = layout.sysroot / "usr/bin/docker"
    found = shutil.which("docker")
    if own.exists() or found:
        return own if own.exists() else Path(str(found))
    # An engine elsewhere, and no client here.
    client = layout.root / "client/usr/bin/docker"
    with step("docker command") as current:
        if not client.exists():
            try:
                apt = Apt(layout.apt, machine_suite())
                package = "docker-cli" if apt.has("docker-cli") else "docker.io"
                unpack(apt.fetch(package, with_dependencies=False), layout.root / "client")
            except TestbedError as error:
                current.note = f"not available: {error}"
                return None
        current.note = str(client)
    return client
