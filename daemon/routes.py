"""What can be asked over HTTP: one table, from which the routes and the OpenAPI document are made."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from envkiln.cache.errors import EnvkilnError
from envkiln.daemon.answers import LONGEST_PAGE, USUAL_PAGE
from envkiln.daemon.log_stream import Lines
from envkiln.daemon.messages import (
    API_VERSION,
    BuildPage,
    BuildView,
    CleanUpView,
    EnvironmentDetail,
    EnvironmentPage,
    EnvironmentView,
    Gone,
    ImagePage,
    Saved,
    ServiceView,
    Snapshot,
    StatsView,
    VersionDetail,
    VersionPage,
    WebLink,
)
from envkiln.daemon.sse import STREAM
from envkiln.daemon.state import Phase
from envkiln.daemon.version import VERSION

VERSION_HEADERS = {"envkiln-version": VERSION, "envkiln-api": str(API_VERSION)}
"""Of every answer, so that a client of another version can say what to do."""
LONGEST_WAIT_S = 60.0
"""A question waits this long at most; whoever wants to wait longer asks again."""
LONGEST_TAIL = 10_000

JSON = "application/json"
TEXT = "text/plain"

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


class BadRequest(EnvkilnError):  # noqa: N818 -- what it is
    """A question that cannot be understood."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query; `many` may be given several times."""

    name: str
    what: str
    kind: Literal["text", "count", "number", "flag", "choice"] = "text"
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int | None = None
    usual: int | None = None
    many: bool = False

    def read(self, text: str) -> str | int | float | bool:
        """Return the value that `text` stands for; raises BadRequest."""
        match self.kind:
            case "count":
                # Numbers of thousands of digits are not worth reading.
                digits = text.removeprefix("-")
                if digits.isascii() and digits.isdecimal() and len(digits) < 19:
                    number = int(text)
                    if number >= self.least and (self.most is None or number <= self.most):
                        return number
                raise self._wrong(f"a whole number from {self.least}" + (f" to {self.most}" if self.most else ""))
            case "number":
                seconds = float(text) if _NUMBER.fullmatch(text) else math.nan
                if math.isfinite(seconds):
                    return seconds
                raise self._wrong("a number")
            case "flag":
                if text not in {"true", "false"}:
                    raise self._wrong("true or false")
                return text == "true"
            case "choice":
                if text not in self.choices:
                    raise self._wrong("one of " + ", ".join(self.choices))
        return text

    def _wrong(self, wanted: str) -> BadRequest:
        return BadRequest(f"`{self.name}` is not {wanted}", hint=self.what)


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked. `answer` is its struct, None for an answer that is not one (`media`).

    `path` has at most one part in braces: the id of an environment or of a build. `events` are the kinds of
    a stream with their messages; it goes on behind the `Last-Event-ID` of the request.
    """

    name: str
    method: Literal["GET", "POST"]
    path: str
    what: str
    answer: type[msgspec.Struct] | None = None
    media: tuple[str, ...] = (JSON,)
    parameters: tuple[Parameter, ...] = ()
    errors: tuple[int, ...] = ()
    events: tuple[tuple[str, type[msgspec.Struct]], ...] = ()

    def item(self, raw_path: bytes) -> str:
        """Return what stands in the braces. Starlette's own decoding loses the bytes of a path that is not UTF-8."""
        before, _, after = self.path.partition("{")
        path = unquote_to_bytes(raw_path).decode(errors="surrogateescape")
        return path.removeprefix(before).removesuffix(after.partition("}")[2])

    def query(self, raw: bytes) -> Mapping[str, Any]:
        """Return the values of the parameters that are given; raises BadRequest."""
        known = {parameter.name: parameter for parameter in self.parameters}
        given: dict[str, Any] = {}
        for name, text in parse_qsl(raw.decode("latin-1"), keep_blank_values=True, errors="surrogateescape"):
            parameter = known.get(name)
            if parameter is None:
                names = ", ".join(known) or "none"
                raise BadRequest(f"`{name[:100]}` is not a parameter here", hint=f"there are: {names}")
            value = parameter.read(text)
            if parameter.many:
                given.setdefault(name, []).append(value)
            elif name in given:
                raise BadRequest(f"`{name}` is given twice", hint=parameter.what)
            else:
                given[name] = value
        return given


_AFTER = Parameter("after", "`next` of the page before")
_LIMIT = Parameter("limit", "the length of a page", "count", least=1, most=LONGEST_PAGE, usual=USUAL_PAGE)
_BUILD_STATES = ("running", "built", "failed", "cancelled", "interrupted")
_LAST = Parameter("last_event_id", "as the header Last-Event-ID, for those that cannot set one")
_ID = "/v1/environments/{id}"


def _states(choices: tuple[str, ...]) -> Parameter:
    return Parameter("state", "only of this state; may be given several times", "choice", choices=choices, many=True)


OPERATIONS = (
    Operation("service", "GET", "/v1/service", "The service, its engine and its roots.", ServiceView),
    Operation(
        "environments",
        "GET",
        "/v1/environments",
        "Environments by id, a page at a time.",
        EnvironmentPage,
        parameters=(
            _states(tuple(phase.value for phase in Phase)),
            Parameter("name", "only ids that fit this shell pattern"),
            Parameter("text", "only with this text in id, file, image or reason"),
            _AFTER,
            _LIMIT,
        ),
        errors=(400,),
    ),
    # Before the environment itself: an id may have any characters, and its path would take these for one.
    Operation("build", "POST", _ID + "/build", "Build it, also if its image is there.", EnvironmentView, errors=(404,)),
    Operation("push", "POST", _ID + "/push", "Push its image, if it is ready.", EnvironmentView, errors=(400, 404)),
    Operation("cancel", "POST", _ID + "/cancel", "End its build, running or queued.", EnvironmentView, errors=(404,)),
    Operation("pause", "POST", _ID + "/pause", "Start no more builds of it.", EnvironmentView, errors=(404,)),
    Operation("resume", "POST", _ID + "/resume", "Start builds of it again.", EnvironmentView, errors=(404,)),
    Operation(
        "use",
        "POST",
        _ID + "/use",
        "Note that its image is used.",
        EnvironmentView,
        errors=(404,),
    ),
    Operation("rescan", "POST", _ID + "/rescan", "Look at its files now.", EnvironmentView, errors=(404,)),
    Operation(
        "environment",
        "GET",
        _ID,
        "All about one environment. Slashes in an id may stay as they are.",
        EnvironmentDetail,
        parameters=(
            Parameter(
                "wait",
                f"seconds (at most {LONGEST_WAIT_S:g}): look at its files first, answer when it is settled, or late",
                "number",
            ),
        ),
        errors=(400, 404),
    ),
    Operation("pause_all", "POST", "/v1/pause", "Start no more builds.", ServiceView),
    Operation("resume_all", "POST", "/v1/resume", "Start builds again.", ServiceView),
    Operation("rescan_all", "POST", "/v1/rescan", "Look at all files now.", ServiceView),
    Operation(
        "images", "GET", "/v1/images", "Known images by name.", ImagePage, parameters=(_AFTER, _LIMIT), errors=(400,)
    ),
    Operation(
        "builds",
        "GET",
        "/v1/builds",
        "Builds: running ones first, then the newest first.",
        BuildPage,
        parameters=(
            Parameter("environment", "only of the environment of this id"),
            _states(_BUILD_STATES),
            _AFTER,
            _LIMIT,
        ),
        errors=(400,),
    ),
    Operation("one_build", "GET", "/v1/builds/{build}", "One build.", BuildView, errors=(404,)),
    Operation(
        "log",
        "GET",
        "/v1/builds/{build}/log",
        "The log of a build. With `follow` a stream of `lines`, each with the byte offset behind it as id, until `end`"
        " with the build.",
        media=(TEXT, STREAM),
        parameters=(
            Parameter("tail", "only the last lines", "count", most=LONGEST_TAIL),
            Parameter("follow", "go on until the build ends", "flag"),
            _LAST,
        ),
        errors=(400, 404),
        events=(("lines", Lines), ("end", BuildView)),
    ),
    Operation(
        "events",
        "GET",
        "/v1/events",
        "What is, as `snapshot`s, of which the last has an id; then what happens.",
        media=(STREAM,),
        parameters=(_LAST,),
        errors=(400,),
        events=(
            ("snapshot", Snapshot),
            ("environment", EnvironmentView),
            ("gone", Gone),
            ("saved", Saved),
            ("build", BuildView),
            ("progress", BuildView),
            ("service", ServiceView),
            ("cleaned", CleanUpView),
        ),
    ),
    Operation(
        "versions",
        "GET",
        "/v1/versions",
        "Registered versions by name and number.",
        VersionPage,
        parameters=(
            Parameter("name", "only those of this name"),
            Parameter("archived", "archived ones too", "flag"),
            _AFTER,
            _LIMIT,
        ),
        errors=(400,),
    ),
    Operation(
        "version",
        "GET",
        "/v1/versions/{reference}",
        "A registered version: NAME, NAME:VERSION or NAME@latest.",
        VersionDetail,
        errors=(404,),
    ),
    Operation("stats", "GET", "/v1/stats", "What was built, and what did not have to be.", StatsView),
    Operation(
        "clean_up",
        "POST",
        "/v1/gc",
        "Remove the images that nobody needs.",
        CleanUpView,
        parameters=(Parameter("dry_run", "remove nothing, say what would go", "flag"),),
        errors=(400, 503),
    ),
    Operation("web", "POST", "/v1/web", "Open the web page; the link to it.", WebLink, errors=(503,)),
    Operation("openapi", "GET", "/v1/openapi.json", "This document."),
    Operation("healthz", "GET", "/healthz", "Whether the service answers.", media=(TEXT,)),
    Operation("readyz", "GET", "/readyz", "Whether the first look at the roots is done.", media=(TEXT,), errors=(503,)),
    Operation("metrics", "GET", "/metrics", "Numbers for Prometheus.", media=(TEXT,)),
)
