"""Which builder builds, and what is wrapped around it."""

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from envkiln.cache.errors import EnvkilnError
from envkiln.cache.redact import redact
from envkiln.cache.shown import spellings
from envkiln.daemon.builder import Builder, BuilderKind, BuildFailed, BuildRequest, Log
from envkiln.daemon.buildx import BuildxBuilder, BuildxInfo, find_buildx
from envkiln.daemon.classic import ClassicBuilder
from envkiln.daemon.engine_values import EngineInfo
from envkiln.daemon.fault_point import reach
from envkiln.daemon.log_lines import cleaned

LOG_LIMIT = 64 * 1024 * 1024
_LOG_TAIL_LINES = 200


@dataclass(frozen=True, slots=True)
class BuilderSettings:
    """How builds are made. None for a limit means none; None for an address means Docker's own defaults."""

    kind: BuilderKind = "auto"
    engine_url: str | None = None
    buildx_builder: str | None = None
    docker_config: Path | None = None
    time_limit_s: float | None = 2 * 60 * 60
    silence_limit_s: float | None = 30 * 60
    steps: Path | None = None
    """Where containers of steps are noted (`step_containers.py`)."""


class NoSuchBuilder(EnvkilnError):  # noqa: N818 -- what it is
    """The configuration asks for a builder that this machine does not have."""


def choose_builder(
    settings: BuilderSettings,
    engine: EngineInfo | None,
    log_path: Callable[[BuildRequest], Path],
    *,
    find: Callable[[Path | None], BuildxInfo | None] = find_buildx,
) -> Builder:
    """Return the builder that `settings` ask for, with everything wrapped around it.

    `auto` is buildx where it is installed and the engine has BuildKit. `engine` is None while the engine does not
    answer: then it is taken to have BuildKit, as every engine since 2018 does. Takes up to a second, the first time.
    Raises NoSuchBuilder when buildx is asked for by name and absent.
    """
    return _wrapped(_bare(settings, engine, find), settings, log_path)


def auto_has_secrets(engine: EngineInfo, docker_config: Path | None) -> bool:
    """Return whether the builder `auto` is buildx. Takes up to a second, the first time."""
    return engine.has_buildkit and find_buildx(docker_config) is not None


def _bare(
    settings: BuilderSettings, engine: EngineInfo | None, find: Callable[[Path | None], BuildxInfo | None]
) -> Builder:
    if settings.kind == "classic":
        return ClassicBuilder(settings.engine_url, steps=settings.steps)
    buildx = find(settings.docker_config)
    if settings.kind == "auto" and (buildx is None or (engine is not None and not engine.has_buildkit)):
        return ClassicBuilder(settings.engine_url, steps=settings.steps)
    if buildx is None:
        raise NoSuchBuilder(
            "docker buildx is not installed",
            hint="install it (apt-get install docker-buildx-plugin), or choose the builder auto or classic",
        )
    return BuildxBuilder(
        settings.engine_url, builder=settings.buildx_builder, docker_config=settings.docker_config, find=find
    )


def _wrapped(builder: Builder, settings: BuilderSettings, log_path: Callable[[BuildRequest], Path]) -> Builder:
    # From the inside out. Lines are cleaned first: nothing outside ever sees a secret or an escape sequence. The
    # limits stand inside the log, so that the log says when one ended the build.
    builder = Cleaned(builder)
    builder = TimeLimited(builder, settings.time_limit_s, settings.silence_limit_s)
    return Logged(builder, log_path)


class Cleaned:
    """Takes control characters, the definition's credentials and those of URLs out of every line and message."""

    def __init__(self, builder: Builder) -> None:
        self.name = builder.name
        self._builder = builder

    async def build(self, request: BuildRequest, log: Log) -> None:
        hidden = spellings(request.definition.credentials)
        try:
            await self._builder.build(request, lambda line: log(redact(cleaned(line), hidden)))
        except BuildFailed as failed:
            message = redact(cleaned(failed.message), hidden)
            hint = redact(failed.hint, hidden) if failed.hint else None
            # Not from `failed`, which has the message as it was.
            raise BuildFailed(message, hint=hint, passing=failed.passing) from None


class TimeLimited:
    """Ends builds that take too long, or that print nothing for too long (None: no limit)."""

    def __init__(self, builder: Builder, time_limit_s: float | None, silence_limit_s: float | None) -> None:
        self.name = builder.name
        self._builder = builder
        self._time_limit_s = time_limit_s
        self._silence_limit_s = silence_limit_s

    async def build(self, request: BuildRequest, log: Log) -> None:
        loop = asyncio.get_running_loop()
        started = spoken = loop.time()

        def heard(line: str) -> None:
            nonlocal spoken
            spoken = loop.time()
            log(line)

        inner = asyncio.ensure_future(self._builder.build(request, heard))
        try:
            while not inner.done():
                exceeded, left = self._look(loop.time(), started, spoken)
                if exceeded is not None:
                    break
                await asyncio.wait({inner}, timeout=left)
        except asyncio.CancelledError:
            await _stopped(inner)
            raise
        if not inner.done():
            await _stopped(inner)
            # A build that ended well in that moment ended well.
            if inner.cancelled() or inner.exception() is not None:
                raise BuildFailed(
                    f"the build {exceeded}",
                    hint="it is tried again; if it needs that long, raise the limit in the configuration",
                    passing=True,
                )
        inner.result()

    def _look(self, now: float, started: float, spoken: float) -> tuple[str | None, float | None]:
        """Return which limit is exceeded, and after how many seconds to look again."""
        left = []
        for limit, since, text in (
            (self._time_limit_s, started, "took longer than"),
            (self._silence_limit_s, spoken, "printed nothing for"),
        ):
            if limit is None:
                continue
            if now - since >= limit:
                return f"{text} {limit:g} s", None
            left.append(limit - (now - since))
        return None, min(left, default=None)


async def _stopped(task: "asyncio.Future[None]") -> None:
    """Cancel and wait for the end, whatever cancels come meanwhile."""
    task.cancel()
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({task})


class Logged:
    """Writes every build's output to a file of its own, line by line, as it comes.

    The file is readable by its owner only and begins anew with every build. A log that cannot be written is said
    once in the output, and the build goes on without.
    """

    def __init__(
        self,
        builder: Builder,
        path: Callable[[BuildRequest], Path],
        *,
        limit: int = LOG_LIMIT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = builder.name
        self._builder = builder
        self._path = path
        self._limit = limit
        self._clock = clock

    async def build(self, request: BuildRequest, log: Log) -> None:
        started = self._clock()
        file = _LogFile(self._path(request), self._limit, log)

        def write(line: str) -> None:
            file.write(line)
            log(line)

        try:
            file.write(f"# {request.tag}")
            file.write(f"# recipe {request.identity.recipe}, builder {self.name}, started {_time(started)}")
            ending = "ended well"
            try:
                await self._builder.build(request, write)
            except asyncio.CancelledError:
                ending = "cancelled"
                raise
            except EnvkilnError as error:
                ending = f"failed: {error.message}" + (f" ({error.hint})" if error.hint else "")
                raise
            except BaseException as error:
                ending = f"failed: {type(error).__name__}"
                raise
            finally:
                file.finish(f"# {ending}, after {self._clock() - started:.1f} s")
        finally:
            file.close()


class _LogFile:
    """A log of limited size that keeps its beginning and its end, and never raises for the disk's sake."""

    def __init__(self, path: Path, limit: int, complain: Log) -> None:
        self._limit = limit
        self._written = 0
        self._skipped = 0
        self._tail: deque[str] = deque(maxlen=_LOG_TAIL_LINES)
        self._complain = complain
        self._file: IO[str] | None = None
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            handle = os.open(path, flags, 0o600)
            self._file = os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", buffering=1)
            os.fchmod(handle, 0o600)
            reach("log-open")
        except OSError as error:
            self._give_up(error)

    def write(self, line: str) -> None:
        if self._written < self._limit:
            self._put(line)
            if self._written >= self._limit:
                self._put(f"# the log is longer than {self._limit} bytes: what follows is its end")
        else:
            # The cause stands in the last lines, so those are kept for the end.
            self._skipped += 1
            self._tail.append(line)

    def finish(self, line: str) -> None:
        if self._skipped > len(self._tail):
            self._put(f"# {self._skipped - len(self._tail)} lines are left out here")
        for last in (*self._tail, line):
            self._put(last)
        reach("log-ended")

    def close(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

    def _put(self, line: str) -> None:
        if self._file is None:
            return
        try:
            self._written += self._file.write(f"{line}\n")
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.close()
        self._file = None
        self._complain(f"envkiln: the log file cannot be written: {error}")


def _time(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
