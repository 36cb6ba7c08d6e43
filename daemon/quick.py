"""The question that is asked all day, and by every prompt, answered before the rest of the command line is imported.

That is `envkiln status`, with nothing but --state, --format and --plain, while a service of this version answers.
Importing a command line and an HTTP client takes longer than all of this. What is anything else, or not well, is not
answered here: `cli.py` takes it from the beginning.
"""

import json
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from envkiln.daemon import terminal
from envkiln.daemon.marks import MARKS, totals
from envkiln.daemon.status_lines import sentence, table, troubles
from envkiln.daemon.version import API, VERSION

View = dict[str, Any]

_LIMIT_S = 5.0
_LONGEST_SOCKET = 107
"""`paths.py` puts the socket elsewhere when its path is longer."""
_PAGE = 1000


class _Otherwise(Exception):  # noqa: N818 -- no error: somebody else answers
    """This is not for us."""


def quick_answer(words: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """Return what the command line `words` prints, None when the whole command line has to see it."""
    if not words or words[0] != "status":
        return None
    try:
        states, template, plain = _options(words[1:])
        return _answer(_socket(environ), states, template, plain=plain)
    except (_Otherwise, OSError, ValueError, KeyError, TypeError):
        return None


def _options(words: Sequence[str]) -> tuple[list[str], str | None, bool]:
    states, template, plain = [], None, False
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if word == "--plain":
            plain = True
        elif name in ("--state", "--format"):
            given = value if equals else next(rest, None)
            if given is None or (name == "--state" and given not in MARKS):
                raise _Otherwise
            if name == "--state":
                states.append(given)
            else:
                template = given
        else:
            raise _Otherwise
    return states, template, plain


def _socket(environ: Mapping[str, str]) -> str:
    """Return where the service of `environ` answers; only the usual case of `paths.paths_from`."""
    runtime, state = environ.get("XDG_RUNTIME_DIR", ""), environ.get("ENVKILN_STATE_DIR", "/")
    path = f"{runtime}/envkiln/envkiln.sock"
    if not runtime.startswith("/") or not state.startswith("/") or len(path.encode()) > _LONGEST_SOCKET:
        raise _Otherwise
    return path


def _answer(path: str, states: Sequence[str], template: str | None, *, plain: bool) -> str:
    views = _views(path, states)
    if template is not None:
        from envkiln.daemon.template import Template  # noqa: PLC0415 -- only for who has one

        filled, now = Template(template), time.time()
        return "".join(f"{filled.fill(view, now)}\n" for view in views)
    service = _get(path, "/v1/service")
    if troubles(service):
        raise _Otherwise
    builds = {}
    if service["counts"].get("building"):
        builds = {build["build"]: build for build in _get(path, f"/v1/builds?state=running&limit={_PAGE}")["items"]}
    if terminal.is_plain(plain):
        lines = [sentence(view, builds.get(view["build"])) for view in views]
    else:
        columns, colour = terminal.width_of(sys.stdout), terminal.has_colour(sys.stdout)
        lines = table(views, builds, columns=columns, colour=colour)
    return "\n".join([*lines, totals(service["counts"]), ""])


def _views(path: str, states: Sequence[str]) -> list[View]:
    chosen = "".join(f"&state={state}" for state in states)
    page = _get(path, f"/v1/environments?limit={_PAGE}{chosen}")
    if page["next"] is not None:
        raise _Otherwise  # so many that the imports do not count
    items: list[View] = page["items"]
    return items


def _get(path: str, target: str) -> View:
    """Return the answer to one question; raises _Otherwise unless it is a good one, of a service of this version."""
    request = f"GET {target} HTTP/1.1\r\nHost: envkiln\r\nConnection: close\r\nEnvkiln-Version: {VERSION}\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as near:
        near.settimeout(_LIMIT_S)
        near.connect(path)
        near.sendall(request.encode())
        said = b"".join(iter(lambda: near.recv(1 << 18), b""))
    head, _, body = said.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if (
        status.split()[1:2] != ["200"]
        or (headers.get("envkiln-api"), headers.get("envkiln-version")) != (str(API), VERSION)
        or headers.get("content-length") != str(len(body))
    ):
        raise _Otherwise
    answer = json.loads(body)
    if not isinstance(answer, dict):
        raise _Otherwise
    return answer
