"""What is wrapped around a builder: limits, the log file, cleaning; and which builder is chosen."""

import asyncio
import os
import selectors
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envkiln.cache.credentials import Carrier, Credential
from envkiln.cache.definition import EnvironmentDefinition, Format, ImageReference
from envkiln.cache.identity import identify
from envkiln.cache.redact import redact
from envkiln.cache.source import MemoryTree
from envkiln.daemon.builder import Builder, BuildFailed, BuildRequest, Log
from envkiln.daemon.builders import (
    BuilderSettings,
    Cleaned,
    Logged,
    NoSuchBuilder,
    TimeLimited,
    choose_builder,
)
from envkiln.daemon.buildx import BuildxInfo
from envkiln.daemon.engine_values import EngineInfo
from envkiln.daemon.log_lines import LONGEST_LINE, LineSplitter, cleaned

_DEFINITION = EnvironmentDefinition(Format.CONDA, "env.yml", "")
REQUEST = BuildRequest(_DEFINITION, identify(_DEFINITION, ImageReference("base", "1")), MemoryTree({}), {})


class _Selector(selectors.DefaultSelector):
    """Never waits: where the loop would, its clock jumps ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    """An event loop in which hours pass at once."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def _run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(work)


class _Scripted:
    """A builder that does what its script says and remembers how it ended."""

    name = "scripted"

    def __init__(self, script: Callable[[Log], Awaitable[None]]) -> None:
        self._script = script
        self.cancelled = False

    async def build(self, request: BuildRequest, log: Log) -> None:
        assert request.identity is REQUEST.identity
        try:
            await self._script(log)
        except asyncio.CancelledError:
            self.cancelled = True
            raise


def _says(*lines: str, pause: float = 0, error: Exception | None = None) -> Callable[[Log], Awaitable[None]]:
    async def script(log: Log) -> None:
        for line in lines:
            log(line)
            await asyncio.sleep(pause)
        if error is not None:
            raise error

    return script


def _build(builder: Builder) -> Sequence[str]:
    lines: list[str] = []
    _run(builder.build(REQUEST, lines.append))
    return lines


def test_a_build_within_its_limits_is_left_alone() -> None:
    inner = _Scripted(_says("a", "b", pause=50))
    assert _build(TimeLimited(inner, 101, 51)) == ["a", "b"]
    assert not inner.cancelled


def test_a_build_that_takes_too_long_is_ended() -> None:
    inner = _Scripted(_says(*"abcdefgh", pause=50))
    with pytest.raises(BuildFailed, match="took longer than 120 s") as raised:
        _build(TimeLimited(inner, 120, 60))
    assert raised.value.passing
    assert inner.cancelled


def test_a_build_that_prints_nothing_is_ended() -> None:
    inner = _Scripted(_says("a", pause=1000))
    with pytest.raises(BuildFailed, match="printed nothing for 60 s") as raised:
        _build(TimeLimited(inner, None, 60))
    assert raised.value.passing
    assert inner.cancelled


def test_no_limit_is_no_limit() -> None:
    assert _build(TimeLimited(_Scripted(_says("a", pause=1e6)), None, None)) == ["a"]


def test_the_failure_of_the_build_itself_comes_through() -> None:
    with pytest.raises(BuildFailed, match="no such package"):
        _build(TimeLimited(_Scripted(_says(error=BuildFailed("no such package"))), 10, 10))


def test_a_cancelled_limit_waits_for_the_end_of_its_build() -> None:
    ended = False

    async def script(log: Log) -> None:
        nonlocal ended
        try:
            log("up")
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(5)
            ended = True

    async def work() -> None:
        up = asyncio.Event()
        build = asyncio.ensure_future(TimeLimited(_Scripted(script), None, None).build(REQUEST, lambda _: up.set()))
        await up.wait()
        build.cancel()
        await asyncio.sleep(1)
        build.cancel()
        with pytest.raises(asyncio.CancelledError):
            await build
        assert ended

    _run(work())


def test_lines_and_messages_are_cleaned_of_controls_and_secrets() -> None:
    said = "\x1b[31mfrom https://me:s3cret@host/x\x1b[0m\tok\x07"
    inner = _Scripted(_says(said, error=BuildFailed("cannot reach http://me:s3cret@host")))
    lines: list[str] = []
    with pytest.raises(BuildFailed) as raised:
        _run(Cleaned(inner).build(REQUEST, lines.append))
    assert lines == ["from https://***@host/x\tok"]
    assert raised.value.message == "cannot reach http://***@host"


def test_the_log_file_is_private_live_and_complete(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "build.log"
    seen: list[str] = []

    async def script(log: Log) -> None:
        log("first")
        seen.append(path.read_text())
        log("second \udcff")

    _build(Logged(_Scripted(script), lambda _: path, clock=iter([0.0, 2.5]).__next__))
    assert seen[0].endswith("first\n")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().splitlines() == [
        f"# {REQUEST.tag}",
        "# recipe image/1, builder scripted, started 1970-01-01T00:00:00Z",
        "first",
        "second \\udcff",
        "# ended well, after 2.5 s",
    ]


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_log_file_is_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        _build(Logged(_Scripted(_says("first")), lambda _: tmp_path / "logs" / "build.log"))
    finally:
        os.umask(before)
    assert (tmp_path / "logs" / "build.log").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "logs").stat().st_mode & 0o777 == 0o700


def test_the_credentials_of_the_definition_leave_lines_messages_and_hints() -> None:
    found = Credential("me:can%61ry", "", "env.yml", 1, Carrier.SPECIFICATION)
    request = replace(REQUEST, definition=replace(REQUEST.definition, credentials=(found,)))
    inner = _Scripted(_says("get can%61ry or canary", error=BuildFailed("no canary", hint="try canary")))
    lines: list[str] = []
    with pytest.raises(BuildFailed) as raised:
        _run(Cleaned(inner).build(request, lines.append))
    assert lines == ["get *** or ***"]
    assert (raised.value.message, raised.value.hint) == ("no ***", "try ***")
    assert "canary" not in "".join(traceback.format_exception(raised.value))


def test_the_log_file_says_why_a_build_failed_and_begins_anew_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "build.log"
    path.write_text("old\n" * 100)
    path.chmod(0o644)
    with pytest.raises(BuildFailed):
        _build(Logged(_Scripted(_says(error=BuildFailed("no disk", hint="buy one"))), lambda _: path))
    assert "# failed: no disk (buy one), after" in path.read_text()
    assert "old" not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_log_of_limited_size_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    path = tmp_path / "build.log"
    lines = [f"line {number}" for number in range(1000)]
    assert _build(Logged(_Scripted(_says(*lines)), lambda _: path, limit=1000)) == lines
    written = path.read_text().splitlines()
    assert "line 0" in written
    assert "line 999" in written
    assert "line 500" not in written
    assert any("lines are left out here" in line for line in written)


def test_a_log_that_cannot_be_written_does_not_end_the_build(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    lines = _build(Logged(_Scripted(_says("a")), lambda _: tmp_path / "file" / "build.log"))
    assert lines[-1] == "a"
    assert lines[0].startswith("envkiln: the log file cannot be written")


def test_a_link_in_place_of_the_log_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "build.log").symlink_to(tmp_path / "victim")
    _build(Logged(_Scripted(_says("a")), lambda _: tmp_path / "build.log"))
    assert (tmp_path / "victim").read_text() == "precious"


NEW = EngineInfo("28.5", "1.51", "linux/amd64", "overlay2")
OLD = EngineInfo("18.06", "1.38", "linux/amd64", "overlay2")
WINDOWS = EngineInfo("28.5", "1.51", "windows/amd64", "windowsfilter")


@pytest.mark.parametrize(
    ("kind", "installed", "engine", "name"),
    [
        ("auto", True, NEW, "buildx"),
        ("auto", True, None, "buildx"),
        ("auto", True, OLD, "classic"),
        ("auto", True, WINDOWS, "classic"),
        ("auto", False, NEW, "classic"),
        ("classic", True, NEW, "classic"),
        ("buildx", True, OLD, "buildx"),
    ],
)
def test_the_builder_is_chosen(kind: Any, installed: bool, engine: EngineInfo | None, name: str) -> None:
    info = BuildxInfo(("/docker-buildx",), "0.29.1") if installed else None
    builder = choose_builder(BuilderSettings(kind), engine, lambda _: Path("x"), find=lambda _: info)
    assert builder.name == name


def test_buildx_asked_for_and_absent_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(NoSuchBuilder) as raised:
        choose_builder(BuilderSettings("buildx"), NEW, lambda _: Path("x"), find=lambda _: None)
    assert raised.value.hint


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        (["a\nb\n"], ["a", "b"]),
        (["a", "b\nc"], ["ab", "c"]),
        (["a\r\nb\r\n"], ["a", "b"]),
        (["a\r", "\nb"], ["a", "b"]),
        (["10%\r20%\r", "30%\r"], ["10%", "20%", "30%"]),
        (["\n\n"], ["", ""]),
        ([], []),
        (["x" * (2 * LONGEST_LINE + 1)], ["x" * LONGEST_LINE, "x" * LONGEST_LINE, "x"]),
    ],
)
def test_a_stream_is_cut_into_lines(pieces: list[str], lines: list[str]) -> None:
    splitter = LineSplitter()
    assert [line for piece in pieces for line in splitter.feed(piece)] + splitter.rest() == lines


def test_what_is_held_back_of_a_line_without_end_is_limited() -> None:
    splitter = LineSplitter()
    for _ in range(100):
        splitter.feed("y" * 10_000)
        assert len(splitter._held) <= LONGEST_LINE + 1


@pytest.mark.parametrize(
    ("line", "result"),
    [
        ("pip --index-url https://u:p@ss@h/simple", "pip --index-url https://***@h/simple"),
        ("https://token@h/x http://plain/y@1", "https://***@h/x http://plain/y@1"),
        ("https://blob/x?sv=1&sig=abc%3D&se=2", "https://blob/x?sv=1&sig=***&se=2"),
        ("nothing here: a@b.c", "nothing here: a@b.c"),
    ],
)
def test_credentials_in_addresses_are_hidden(line: str, result: str) -> None:
    assert redact(line) == result


def test_cleaning_keeps_letters_of_every_script() -> None:
    assert cleaned("\x1b]0;title\x07ünï\u4e2d\u202e \x9bx") == "ünï\u4e2d x"
