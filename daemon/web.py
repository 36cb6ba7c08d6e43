"""The web page: every page is whole without JavaScript, and `envkiln.js` makes it live."""

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlencode

import jinja2
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from envkiln.cache.names import short_name
from envkiln.daemon.answers import Answers
from envkiln.daemon.messages import BuildView, StatsView
from envkiln.daemon.progress import AGE, SIGNS, phase_of
from envkiln.daemon.state import Phase
from envkiln.daemon.text import ago, size
from envkiln.daemon.web_plots import disk_plot, seconds_plot, skips_plot

ROWS = 500
LOG_LINES = 5000
"""How much of a log a page without JavaScript shows; the whole of it is one link away."""
_MARKS = {"ready": "+", "building": "*", "queued": ".", "invalid": "x", "failed": "x", "named": "-"}
_STATIC = {"envkiln.css": "text/css", "envkiln.js": "text/javascript", "icon.svg": "image/svg+xml"}
_ACTIONS = ("build", "cancel", "pause", "resume", "rescan")
_LOG_TAIL_BYTES = 4 * 1024 * 1024


def web_routes(answers: Answers) -> list[BaseRoute]:
    """Return the routes of the page: to read, and forms to act. Who may come is not decided here."""
    page = _Pages(answers)
    return [
        Route("/", page.environments),
        Route("/environments/{id:id}", page.environment, methods=["GET"]),
        Route("/environments/{id:id}", page.act, methods=["POST"]),
        Route("/builds/{build}", page.build),
        Route("/versions", page.versions),
        Route("/stats", page.stats),
        Route("/static/{name}", _static),
    ]


class _Pages:
    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    async def environments(self, request: Request) -> Response:
        query = request.query_params
        states = [state for state in query.getlist("state") if state in _MARKS]
        text = query.get("text", "")
        found = self._answers.environments(states=states, text=text or None, after=query.get("after"), limit=ROWS)
        more = None
        if found.next is not None:
            filters = [*(("state", state) for state in states), ("text", text), ("after", found.next)]
            more = "/?" + urlencode(filters, errors="surrogateescape")
        return self._page("environments.html", "envkiln", found=found, states=states, text=text, more=more)

    async def environment(self, request: Request) -> Response:
        id_ = _id(request)
        found = await self._answers.detail(id_)
        if found is None:
            return self._page("gone.html", "Not found", status=404, what=f"There is no environment {id_}.")
        longest = max((build.seconds or 0.0 for build in found.builds), default=0.0)
        return self._page("environment.html", id_, it=found, longest=longest or 1.0)

    async def act(self, request: Request) -> Response:
        """Do what a form asks for, and lead back to the environment's page."""
        path, _, action = _id(request).rpartition("/")
        if action not in _ACTIONS or self._answers.environment(path) is None:
            return self._page("gone.html", "Not found", status=404, what=f"There is no environment {path}.")
        match action:
            case "build":
                self._answers.request_build(path)
            case "cancel":
                self._answers.cancel(path)
            case "pause":
                self._answers.pause(path)
            case "resume":
                self._answers.resume(path)
            case _:
                await self._answers.look(path)
        await self._answers.applied()
        return RedirectResponse(environment_link(path), status_code=303)

    async def build(self, request: Request) -> Response:
        name = str(request.path_params["build"])
        found, log = self._answers.build(name), self._answers.logs.of_build(name)
        if found is None and (log is None or not log.exists()):
            return self._page("gone.html", "Not found", status=404, what=f"There is no build {name}.")
        lines, cut = await asyncio.to_thread(_tail, log)
        signs = json.dumps({"age": AGE.pattern, "signs": [[phase, sign.pattern] for phase, sign in SIGNS]})
        return self._page("build.html", "Build", it=found, name=name, groups=grouped(lines), cut=cut, signs=signs)

    async def versions(self, request: Request) -> Response:
        archived = request.query_params.get("archived") == "true"
        found = self._answers.versions(archived=archived, after=request.query_params.get("after"), limit=ROWS)
        more = None
        if found.next is not None:
            more = "/versions?" + urlencode([("archived", str(archived).lower()), ("after", found.next)])
        return self._page("versions.html", "Versions", found=found, archived=archived, more=more)

    async def stats(self, _request: Request) -> Response:
        found = await self._answers.stats()
        builds = self._answers.builds(states=("built", "failed"), limit=60).items
        plots = {
            "seconds": seconds_plot(
                [(it.started, it.seconds or 0.0, it.state, it.environment) for it in reversed(builds)]
            ),
            "skips": skips_plot([(day.day, day.hits, day.misses) for day in found.days[-30:]]),
            "disk": disk_plot(_disk(found, time.time())),
        }
        return self._page("stats.html", "Counts", it=found, plots=plots)

    def _page(self, template: str, title: str, *, status: int = 200, **values: Any) -> Response:
        now = time.time()
        html = (
            _templates()
            .get_template(template)
            .render(title=title, service=self._answers.service(), now=now, phases=[it.value for it in Phase], **values)
        )
        # A path that is not UTF-8 is shown with a replacement; its link keeps its bytes.
        return Response(html.encode(errors="replace"), status, {"cache-control": "no-store"}, "text/html")


def environment_link(id_: str) -> str:
    return f"/environments/{quote(id_, errors='surrogateescape')}"


def grouped(lines: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the lines of a log in runs of one phase."""
    groups: list[tuple[str, list[str]]] = []
    for line in lines:
        phase = phase_of(line)
        if not groups or (phase is not None and phase != groups[-1][0]):
            groups.append((phase or "begin", []))
        groups[-1][1].append(line)
    return groups


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("envkiln.daemon", "web_files"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "age": ago,
        "bytes": size,
        "link": environment_link,
        "short": lambda name: short_name(name) if name else "",
        "moment": lambda seconds: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)),
        "iso": lambda seconds: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)),
    }
    environment.globals |= {"marks": _MARKS, "progress": _progress}
    return environment


def _progress(build: BuildView) -> str:
    if build.progress is None:
        return "begins"
    step = f"step {build.progress.step} of {build.progress.steps}, " if build.progress.step else ""
    return f"{step}{build.progress.phase}"


def _disk(found: StatsView, now: float) -> list[tuple[float, int, int]]:
    """Return the samples, and what is on the disk now; nothing while the engine has never said what it has."""
    samples = [(it.at, it.image_bytes, it.log_bytes) for it in found.disk]
    return [*samples, (now, found.image_bytes, found.log_bytes)] if samples else []


def _id(request: Request) -> str:
    # Starlette's own decoding loses the bytes of a path that is not UTF-8.
    path = unquote_to_bytes(request.scope["raw_path"]).decode(errors="surrogateescape")
    return path.removeprefix("/environments/")


def _tail(log: Path | None) -> tuple[list[str], bool]:
    """Return the last lines of a log, and whether there are more before them."""
    if log is None or not log.exists():
        return [], False
    with log.open("rb") as stream:
        length = stream.seek(0, 2)
        start = max(0, length - _LOG_TAIL_BYTES)
        stream.seek(start)
        lines = stream.read(_LOG_TAIL_BYTES).decode(errors="replace").splitlines()
    return lines[-LOG_LINES:], start > 0 or len(lines) > LOG_LINES


@cache
def _files() -> Mapping[str, tuple[bytes, str]]:
    folder = files("envkiln.daemon") / "web_files"
    read = {name: (folder / name).read_bytes() for name in _STATIC}
    return {name: (data, f'"{hashlib.sha256(data).hexdigest()[:16]}"') for name, data in read.items()}


async def _static(request: Request) -> Response:
    found = _files().get(str(request.path_params["name"]))
    if found is None:
        return Response("no such file", 404, media_type="text/plain")
    data, tag = found
    headers = {"etag": tag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(data, headers=headers, media_type=_STATIC[str(request.path_params["name"])])
