"""Builds with BuildKit, through `docker buildx`: in the engine, in a container, on a remote or Kubernetes builder."""

import asyncio
import csv
import io
import os
import re
import secrets
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, cast

from envkiln.cache.context import SetupContent
from envkiln.cache.dockerfile import Dialect
from envkiln.cache.errors import EnvkilnError
from envkiln.cache.setup_content import setup_content
from envkiln.daemon.build_secrets import BuildSecrets
from envkiln.daemon.builder import BuildFailed, BuildOptions, BuildRequest, EngineUnavailable, Log
from envkiln.daemon.causes import TAIL, explain_failure, is_damaged_cache
from envkiln.daemon.child import run_child
from envkiln.daemon.context_tar import secrets_of, text_of, write_tar
from envkiln.daemon.engine import Engine
from envkiln.daemon.fault_point import reach
from envkiln.daemon.label_lines import with_last_instruction
from envkiln.daemon.labels import NAME

# Linux takes no single argument of more than 128 KiB; the rest is for the key.
_LONGEST_ARGUMENT = 120 * 1024
_PLUGIN = "docker-buildx"
_PLUGIN_DIRECTORIES = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)


@dataclass(frozen=True, slots=True)
class BuildxInfo:
    """How buildx is started (absolute path first) and its version."""

    command: tuple[str, ...]
    version: str

    @property
    def has_attestations(self) -> bool:
        """Whether it knows `--provenance` and `--sbom` (0.10): those before make none."""
        numbers = tuple(int(number) for number in re.findall(r"\d+", self.version)[:2])
        return numbers >= (0, 10)


def find_buildx(docker_config: Path | None = None) -> BuildxInfo | None:
    """Return how to start buildx, None where it is not installed. Takes up to a second, the first time only."""
    config = docker_config or Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    return _find_buildx(str(config), os.environ.get("PATH", ""))


@cache
def _find_buildx(docker_config: str, path: str) -> BuildxInfo | None:
    for command in _candidates(docker_config, path):
        try:
            said = subprocess.run(
                [*command, "version"],
                env={**os.environ, "DOCKER_CONFIG": docker_config},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=10,
                check=True,
            ).stdout.decode(errors="replace")
        except (OSError, subprocess.SubprocessError):
            continue
        version = re.search(r"\bv?(\d+\.\d+[\w.+-]*)", said)
        if "buildx" in said and version:
            return BuildxInfo(command, version[1])
    return None


def _candidates(docker_config: str, path: str) -> Iterator[tuple[str, ...]]:
    """The plugin itself first: started by `docker` it would be a grandchild, which our end does not end."""
    for directory in (f"{docker_config}/cli-plugins", *_PLUGIN_DIRECTORIES):
        plugin = Path(directory, _PLUGIN)
        if os.access(plugin, os.X_OK):
            yield (str(plugin.absolute()),)
    for name in ("buildx", _PLUGIN):
        if found := shutil.which(name, path=path):
            yield (found,)
    if found := shutil.which("docker", path=path):
        yield (found, "buildx")


class BuildxBuilder:
    """Builds with one `buildx build` process per build; the context goes in as a tar archive on its stdin.

    A tar archive, since BuildKit's sync of a directory takes a file of the same size and time for the same file.
    Cancelling interrupts the process and waits for its end. When a build fails over a damaged conda package cache
    it is built once more with a fresh one, which this builder then keeps to.
    """

    name = "buildx"

    def __init__(
        self,
        engine_url: str | None = None,
        *,
        builder: str | None = None,
        docker_config: Path | None = None,
        find: Callable[[Path | None], BuildxInfo | None] = find_buildx,
    ) -> None:
        self._engine_url = engine_url
        self._engine = Engine(engine_url)
        self._builder = builder
        self._docker_config = docker_config
        self._find = find
        self._cache_id = "v1"

    async def build(self, request: BuildRequest, log: Log) -> None:
        buildx = await asyncio.to_thread(self._find, self._docker_config)
        if buildx is None:
            raise EngineUnavailable(
                "docker buildx is not installed", hint="install docker-buildx, or choose the classic builder"
            )
        before = await asyncio.to_thread(self._engine.inspect, request.tag)
        try:
            await self._build_healed(buildx, request, log)
        except asyncio.CancelledError:
            # It may have been too late: the image stood before buildx noticed.
            with suppress(EnvkilnError):
                await asyncio.to_thread(self._engine.restore, request.tag, before.id if before else None)
            raise
        image = await asyncio.to_thread(self._engine.inspect, request.tag)
        if image is None or not request.labels.items() <= image.labels.items():
            raise BuildFailed(
                f"the build ended well, but the engine has no image {request.tag} of it",
                hint="something removed it or gave its name away at once; it is tried again",
                passing=True,
            )

    async def _build_healed(self, buildx: BuildxInfo, request: BuildRequest, log: Log) -> None:
        cache_id = self._cache_id
        tail = await self._build_once(buildx, request, log, cache_id)
        if tail is not None and is_damaged_cache(tail):
            # Another build may have found the same damage and moved on already.
            if self._cache_id == cache_id:
                self._cache_id = f"v1-{secrets.token_hex(4)}"
            log(f"envkiln: the conda package cache is damaged, building again with a fresh one ({self._cache_id})")
            tail = await self._build_once(buildx, request, log, self._cache_id)
        if tail is None:
            return
        # A build that ends because its engine does is not the definition's failure.
        await asyncio.to_thread(self._engine.ping)
        cause = explain_failure(tail)
        raise BuildFailed(cause.message, hint=cause.hint, passing=cause.passing)

    async def _build_once(self, buildx: BuildxInfo, request: BuildRequest, log: Log, cache_id: str) -> list[str] | None:
        """Build and return None, or the last lines of the log when it failed."""
        content = setup_content(
            request.definition,
            request.identity,
            Dialect.BUILDKIT,
            cache_id=cache_id,
            ca_bundle=request.options.ca_bundle is not None,
        )
        with TemporaryFile() as file:
            context = cast("IO[bytes]", file)
            plan = await asyncio.to_thread(_pack, content, request, context)
            arguments = tuple(self._arguments(buildx, request.options, plan))
            environment = {**self._environment(), **plan.environment}
            tail: deque[str] = deque(maxlen=TAIL)

            def take(line: str) -> None:
                tail.append(line)
                log(line)

            with BuildSecrets(plan.secrets) as kept:
                command = [*buildx.command, "build", *kept.arguments(), *arguments, "-"]
                code = await run_child(command, environment, context, take)
        if code < 0:
            tail.append(f"buildx ended by signal: {(signal.strsignal(-code) or str(-code)).lower()}")
        return None if code == 0 else list(tail)

    def _arguments(self, buildx: BuildxInfo, options: BuildOptions, plan: "_Plan") -> Iterator[str]:
        # --load costs nothing where the engine itself builds, and elsewhere no image would arrive without it.
        yield from ("--progress=plain", "--load", "--tag", plan.tag, "--file", plan.dockerfile)
        if buildx.has_attestations:
            # With one, the tag would be an index, and the image's id another thing on every store.
            yield from ("--provenance=false", "--sbom=false")
        for key, value in plan.labels.items():
            yield from ("--label", f"{key}={value}")
        for argument in plan.arguments:
            yield from ("--build-arg", argument)
        if options.no_cache:
            yield "--no-cache"
        if options.network:
            yield from ("--network", options.network)
        if options.platform:
            yield from ("--platform", options.platform)
        if options.ca_bundle:
            yield from ("--secret", _csv("id=envkiln-ca", f"src={options.ca_bundle}"))
        if self._builder:
            yield from ("--builder", self._builder)

    def _environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        if self._engine_url:
            environment["DOCKER_HOST"] = self._engine_url
            environment.pop("DOCKER_CONTEXT", None)
        if self._docker_config:
            environment["DOCKER_CONFIG"] = str(self._docker_config)
        return environment


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a build's command line and environment say. `arguments` without a value have it in `environment`."""

    tag: str
    dockerfile: str
    labels: Mapping[str, str]
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    secrets: Mapping[str, bytes] = field(repr=False)


def _pack(content: SetupContent, request: BuildRequest, context: IO[bytes]) -> _Plan:
    """Write the context, whole and checked before anything is sent, and plan the command line."""
    proxies = request.options.proxies
    # Everyone may read a process's command line, so passwords go through its environment; other proxies do not, for
    # there they would also be buildx's own way to a remote engine.
    environment = {key: value for key, value in proxies.items() if "@" in value}
    arguments = [f"{key}={value}" for key, value in proxies.items() if key not in environment]
    long = {key: value for key, value in request.labels.items() if _size(key, value) > _LONGEST_ARGUMENT}
    extra: dict[str, bytes] = {}
    text = text_of(content, request.tree)
    if text is not None:
        if long:
            lines, pieces = _long_labels(long)
            environment |= pieces
            text += b"\n\n" + lines.encode()
        # The labels of the command line leave no trace in the image's history (`labels.is_closed`).
        if NAME in request.labels:
            text = with_last_instruction(text, f"LABEL {NAME}={request.labels[NAME]}")
        extra = {content.dockerfile: text}
    write_tar(content, request.tree, cast("Any", context), extra)
    context.seek(0)
    reach("context-packed")
    labels = {key: value for key, value in request.labels.items() if key not in long}
    secrets_ = secrets_of(content, request.tree)
    return _Plan(request.tag, content.dockerfile, labels, (*arguments, *environment), environment, secrets_)


def _long_labels(labels: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return Dockerfile lines that set labels too long for one argument, and the build arguments they use.

    Build arguments, since nothing else in a Dockerfile can hold a line end in a label; in pieces, since each is one
    string of the process too. At the end of the text: no step before it is built anew.
    """
    pieces: dict[str, str] = {}
    lines = ""
    for key, value in labels.items():
        names = []
        # A character is at most four bytes of UTF-8.
        for start in range(0, len(value), _LONGEST_ARGUMENT // 4):
            names.append(f"ENVKILN_LABEL_{len(pieces)}")
            pieces[names[-1]] = value[start : start + _LONGEST_ARGUMENT // 4]
        lines += "".join(f"ARG {name}\n" for name in names)
        lines += f'LABEL "{key}"="' + "".join(f"${{{name}}}" for name in names) + '"\n'
    return lines, pieces


def _size(key: str, value: str) -> int:
    return len(f"{key}={value}".encode(errors="surrogateescape"))


def _csv(*fields: str) -> str:
    """buildx reads these as a line of CSV: a path may hold a comma or a quote."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()
