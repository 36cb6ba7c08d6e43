"""What `status` prints of many environments, as lines: pure, but for how wide the output may be."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from envkiln.cache.names import short_name
from envkiln.daemon import terminal
from envkiln.daemon.marks import mark_of
from envkiln.daemon.progress_text import progress_text
from envkiln.daemon.text import ago, one_line

View = Mapping[str, Any]

_WIDEST_ID = 40


def table(views: Sequence[View], builds: Mapping[str, View], *, columns: int, colour: bool) -> list[str]:
    """Return a line for each environment, no wider than `columns`; `builds` are those that run, by id."""
    now = time.time()
    ids = [one_line(str(view["environment"])) for view in views]
    widest = min(max(map(terminal.display_width, ids), default=0), _WIDEST_ID, max(8, columns // 2))
    lines = []
    for id_, view in zip(ids, views, strict=True):
        mark, style = mark_of(str(view["state"]))
        image = short_name(str(view["image"])) if view["image"] else ""
        text = f"{terminal.pad(id_, widest)}  {view['state']:<8}  {image:<12}  {ago(now - view['since']):>4}  "
        line = terminal.fit(f"{mark} {text}{why(view, builds.get(view['build']))}", columns).rstrip()
        lines.append(terminal.coloured(line[:1], style) + line[1:] if colour and style else line)
    return lines


def sentence(view: View, build: View | None) -> str:
    """Return one environment as a line to be read out."""
    image = f", image {short_name(str(view['image']))}" if view["image"] else ""
    reason = why(view, build)
    text = f"{one_line(str(view['environment']))}: {view['state']} for {ago(time.time() - view['since'])}{image}"
    return f"{text}: {reason}" if reason else text


def why(view: View, build: View | None = None) -> str:
    """Return why an environment is in its state, on one line; of a build that runs, how far it is."""
    text = str(view["reason"])
    if build is not None and build["state"] == "running":
        text = progress_text(build, time.time())
    if view["paused"] and view["state"] == "queued":
        text = f"paused; {text}"
    return one_line(text)


def troubles(service: View) -> list[str]:
    """Return what keeps the service from its work, a line each."""
    lines = []
    if service["starting"]:
        lines.append("the service has just started and is looking at its directories")
    if service["paused"]:
        lines.append("the service is paused: no build starts; go on with: envkiln resume")
    if not service["engine"]["connected"]:
        engine = service["engine"]
        lines.append(f"the engine does not answer: {engine['problem'] or 'not asked yet'}")
        lines += [f"  {engine['hint']}"] if engine["hint"] else []
    lines += map(one_line, service["problems"])
    lines += [one_line(problem) for root in service["roots"] for problem in root["problems"].values()]
    return lines
