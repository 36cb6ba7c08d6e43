"""Collects what `envkiln doctor` judges: it reads, asks and measures, changes nothing, and raises nothing."""

import os
import stat
import time
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

from envkiln.cache.errors import EnvkilnError
from envkiln.daemon.buildx import find_buildx
from envkiln.daemon.client import Client, NotAllowed, OtherApi, ServiceDown
from envkiln.daemon.config import Config, ConfigError, load_config, read_file
from envkiln.daemon.credentials import find_credentials
from envkiln.daemon.doctor_engine import BuilderFacts, ClockFacts, EngineFacts, RegistryFacts
from envkiln.daemon.doctor_machine import DiskFacts, InotifyFacts, PathFacts
from envkiln.daemon.doctor_service import BuildFacts, ConfigurationFacts, Presence, ServiceFacts, VersionFacts
from envkiln.daemon.engine import Engine
from envkiln.daemon.events import Problem
from envkiln.daemon.inotify_use import count_directories, use_of_inotify
from envkiln.daemon.knowledge import open_index
from envkiln.daemon.paths import Paths, asks_the_machines
from envkiln.daemon.registry_client import RegistryClient
from envkiln.daemon.unit_files import Whose
from envkiln.daemon.unit_install import outdated
from envkiln.daemon.version import VERSION, WRITTEN_BY

_GB = 1_000_000_000


def configuration_facts(paths: Paths, environ: Mapping[str, str]) -> tuple[ConfigurationFacts, Config | None]:
    """Return what there is of a configuration; None where it has an error."""
    try:
        config = load_config(
            roots_from_flags=(), flags={}, environ=environ, user_file=paths.config_file, read=read_file
        )
    except ConfigError as error:
        return ConfigurationFacts(paths.config_file, error=Problem(error.message, error.hint, error.source)), None
    roots = tuple(root.path for root in config.roots)
    missing = tuple(root for root in roots if not root.is_dir())
    return ConfigurationFacts(paths.config_file, roots, missing), config


def engine_facts(config: Config | None) -> tuple[EngineFacts, tuple[ClockFacts, ...]]:
    """Ask the engine; with its clock, where it says one."""
    from docker.constants import MINIMUM_DOCKER_API_VERSION  # noqa: PLC0415 -- late, as docker is

    url = config.docker_host if config else None
    engine = Engine(url)
    begun = time.time()
    try:
        info = engine.ping()
    except EnvkilnError as error:
        return EngineFacts(url, problem=Problem.of(error), least_api=MINIMUM_DOCKER_API_VERSION), ()
    took = time.time() - begun
    root = info.data_root if engine.is_local() else ""
    facts = EngineFacts(url or os.environ.get("DOCKER_HOST"), info, None, MINIMUM_DOCKER_API_VERSION, root)
    if not info.clock:
        return facts, ()
    return facts, (ClockFacts("the engine", info.clock - (begun + took / 2), took),)


def builder_facts(config: Config | None) -> BuilderFacts:
    wanted = "auto"
    if config is not None:
        wanted = next(str(each.value) for each in config.explain() if each.setting.name == "builder")
    buildx = find_buildx(config.docker_config if config else None)
    return BuilderFacts(wanted, buildx.version if buildx else None)


def disk_facts(paths: Paths, engine_root: str) -> list[DiskFacts]:
    """Return the disks of the state and, where it is one of this machine, of the engine."""
    places = [("the state", paths.state, _GB, _GB // 10)]
    if engine_root:
        places.append(("the engine", Path(engine_root), 10 * _GB, _GB))
    found = []
    for what, path, low, least in places:
        there = next((place for place in (path, *path.parents) if place.exists()), Path("/"))
        with suppress(OSError):
            disk = os.statvfs(there)
            files = disk.f_favail / disk.f_files if disk.f_files else 1.0
            total, free = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
            found.append(DiskFacts(what, path, total, free, files, low, least))
    return found


def inotify_facts(roots: Iterable[Path], service: int | None) -> InotifyFacts | None:
    """Return the kernel's limits beside what is used by others than the process `service`, and needed for `roots`."""
    try:
        watches, instances = (
            int(Path("/proc/sys/fs/inotify", name).read_text(encoding="ascii"))
            for name in ("max_user_watches", "max_user_instances")
        )
    except (OSError, ValueError):
        return None
    used_watches, used_instances = use_of_inotify(os.geteuid(), without=service)
    there = [root for root in roots if root.is_dir()]
    directories, counted = count_directories(there)
    return InotifyFacts(watches, instances, used_watches, used_instances, directories, len(there), counted)


def path_facts(paths: Paths, environ: Mapping[str, str]) -> tuple[list[PathFacts], int]:
    """Return who has what is the service's, and who should."""
    shared = asks_the_machines(environ)
    door = 0o007 if shared else 0o077  # the machine's service answers a group
    wanted = [
        ("the state directory", paths.state, 0o077, 0o700),
        ("the index", paths.index, 0o077, 0o700),
        ("the directory of logs", paths.logs, 0o077, 0o700),
        ("the token of the web page", paths.state / "token", 0o077, 0o600),
        ("the socket's directory", paths.runtime, door, 0o700),
        ("the socket", paths.socket, door, 0o600),
    ]
    found = []
    for what, path, never, mode in wanted:
        with suppress(OSError):
            status = path.stat()
            found.append(PathFacts(what, path, status.st_uid, stat.S_IMODE(status.st_mode), never, mode))
    owner = found[0].owner if shared and found else os.geteuid()
    return found, owner


def service_facts(paths: Paths, *, timeout_s: float = 5.0) -> tuple[ServiceFacts, list[BuildFacts] | None]:
    """Ask the service how it is and what it builds."""
    client = Client(paths.socket, timeout_s=timeout_s, warn=lambda _: None)
    try:
        view = client.service()
        builds = client.builds(states=("running",))
    except ServiceDown as down:
        silent = isinstance(down.__cause__, TimeoutError)
        return ServiceFacts(
            Presence.SILENT if silent else Presence.ABSENT, paths.socket, problem=Problem.of(down)
        ), None
    except NotAllowed as error:
        return ServiceFacts(Presence.FORBIDDEN, paths.socket, problem=Problem.of(error)), None
    except (OtherApi, EnvkilnError) as error:
        return ServiceFacts(Presence.OTHER, paths.socket, problem=Problem.of(error)), None
    return ServiceFacts(Presence.ANSWERS, paths.socket, view), [_build_facts(build) for build in builds]


def _build_facts(build: Mapping[str, Any]) -> BuildFacts:
    now = time.time()
    silent = None
    with suppress(OSError, TypeError):
        silent = max(0.0, now - Path(build["log"]).stat().st_mtime)
    seconds = max(0.0, now - float(build["started"]))
    return BuildFacts(str(build["build"]), str(build["environment"]), seconds, build["estimate"], silent)


def version_facts(paths: Paths, service: Mapping[str, Any] | None, environ: Mapping[str, str]) -> VersionFacts:
    """Return the versions of command, service and index, and what an installed service has of another one."""
    written_by = None
    with suppress(OSError, EnvkilnError):
        index = open_index(paths)
        if index is not None:
            with closing(index):
                written_by = index.document(WRITTEN_BY)
    layouts: list[str] = []
    with suppress(OSError):
        layouts = sorted(it.name for it in paths.state.glob("index-v*") if _layout(it) > _layout(paths.index))
    units: list[str] = []
    with suppress(OSError, EnvkilnError):
        units = outdated(Whose.SYSTEM if asks_the_machines(environ) else Whose.USER, environ)
    return VersionFacts(
        VERSION,
        str(service["version"]) if service else None,
        written_by if isinstance(written_by, str) else None,
        tuple(layouts),
        tuple(units),
    )


def _layout(index: Path) -> int:
    number = index.name.removeprefix("index-v")
    return int(number) if number.isdecimal() else 0


def registry_facts(clients: Iterable[RegistryClient]) -> tuple[list[RegistryFacts], list[ClockFacts]]:
    """Ask each registry whether it lets us in, and for its time."""
    facts, clocks = [], []
    for client in clients:
        host = client.address.host
        begun = time.time()
        try:
            clock = client.check()
        except EnvkilnError as error:
            facts.append(RegistryFacts(host, Problem.of(error)))
            continue
        facts.append(RegistryFacts(host))
        if clock is not None:
            took = time.time() - begun
            # HTTP says whole seconds.
            clocks.append(ClockFacts(host, clock - (begun + took / 2), took + 1.0))
    return facts, clocks


def registry_clients(config: Config | None) -> list[RegistryClient]:
    """Return a client for each registry that is configured, with the log-in that the service would use."""
    if config is None:
        return []
    docker_config = config.docker_config
    addresses = {address.host: address for address in config.registries}.values()
    return [RegistryClient(it, partial(find_credentials, it.host, docker_config)) for it in addresses]
