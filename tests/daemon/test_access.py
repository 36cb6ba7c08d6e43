"""The door by TCP, over a real port."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from fake_service import FakeService, serving, tcp_listener
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from unix_http import ask

from envkiln.daemon.access import behind_token
from envkiln.daemon.api import make_api
from envkiln.daemon.metrics import Metrics

TOKEN = "let-me-in"  # noqa: S105 -- of this test
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Door(NamedTuple):
    port: int
    cookie: dict[str, str]
    own: dict[str, str]
    """The origin of our own page."""


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    async def page(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("the page", headers={"Content-Security-Policy": "default-src *"})

    service = FakeService(tmp_path_factory.mktemp("access"))
    with tcp_listener() as (listener, port):
        app = make_api(service, metrics=Metrics(), extra=[Route("/", page)])
        with serving(service, behind_token(app, token=TOKEN, port=port), listener):
            given = ask(port, "GET", f"/?token={TOKEN}").headers["set-cookie"]
            yield Door(port, {"Cookie": given.partition(";")[0]}, {"Origin": f"http://127.0.0.1:{port}"})


def test_without_a_token_nobody_gets_in(door: Door) -> None:
    for method, target in [("GET", "/"), ("GET", "/v1/service"), ("POST", "/v1/pause"), ("GET", "/nothing")]:
        answer = ask(door.port, method, target)
        assert (answer.status, answer.json["error"]) == (401, "no token")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["envkiln-api"] == "1"


def test_a_person_without_a_token_reads_what_to_do(door: Door) -> None:
    answer = ask(door.port, "GET", "/", {"Accept": "text/html,*/*"})
    assert (answer.status, b"`envkiln web` prints it" in answer.body) == (401, True)


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xfc"]
)
def test_another_token_is_none(door: Door, value: str) -> None:
    assert ask(door.port, "GET", "/v1/service", {"Authorization": value}).status == 401


def test_with_the_token_everything_can_be_asked_and_done(door: Door) -> None:
    assert ask(door.port, "GET", "/v1/service", BEARER).status == 200
    assert ask(door.port, "POST", "/v1/pause", BEARER).json["paused"] is True


def test_the_link_gives_a_cookie_and_leads_to_the_page_without_the_token(door: Door) -> None:
    answer = ask(door.port, "GET", f"/?token={TOKEN}&state=failed")
    assert (answer.status, answer.headers["location"]) == (303, "/?state=failed")
    assert ask(door.port, "GET", f"/?token={TOKEN}").headers["location"] == "/"
    _, *attributes = answer.headers["set-cookie"].split("; ")
    assert set(attributes) == {"HttpOnly", "Path=/", "SameSite=strict"}
    assert TOKEN not in answer.headers["set-cookie"]
    assert ask(door.port, "GET", "/", door.cookie).body == b"the page"


@pytest.mark.parametrize("query", ["token=", "token=x", f"token={TOKEN}x", f"token={TOKEN}&token=x", "token=%FF"])
def test_another_link_gives_nothing(door: Door, query: str) -> None:
    answer = ask(door.port, "GET", f"/?{query}")
    assert (answer.status, "set-cookie" in answer.headers) == (403, False)


@pytest.mark.parametrize("target", ["/v1/service", "//evil.example/", "/nothing"])
def test_the_token_is_no_link_to_elsewhere(door: Door, target: str) -> None:
    answer = ask(door.port, "GET", f"{target}?token={TOKEN}")
    assert (answer.status, "location" in answer.headers) == (401, False)


def test_a_cookie_is_found_among_those_of_other_programs(door: Door) -> None:
    cookies = {"Cookie": f'a="b; =; [x]=\xfc; {door.cookie["Cookie"]}; c=d'}
    assert ask(door.port, "GET", "/v1/service", cookies).status == 200
    port_of_another = {"Cookie": door.cookie["Cookie"].replace(str(door.port), str(door.port + 1))}
    assert ask(door.port, "GET", "/v1/service", port_of_another).status == 401
    assert ask(door.port, "GET", "/v1/service", {"Cookie": f"envkiln-{door.port}={TOKEN}"}).status == 401


def test_with_a_cookie_only_our_own_page_changes_something(door: Door) -> None:
    assert ask(door.port, "POST", "/v1/resume", {**door.cookie, **door.own}).status == 200
    assert ask(door.port, "POST", "/v1/resume", door.cookie).status == 403


@pytest.mark.parametrize(
    "origin",
    ["null", "", "http://evil.example", "https://127.0.0.1:{port}", "http://127.0.0.1", "http://localhost:{port}"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_page_of_another_origin_gets_nothing(door: Door, method: str, origin: str) -> None:
    headers = {"Origin": origin.format(port=door.port)}
    for who in (BEARER, door.cookie):
        assert ask(door.port, method, "/v1/pause", {**who, **headers}).status == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1:{port}.evil.example", ""]
)
@pytest.mark.parametrize("target", ["/v1/service", "/healthz", f"/?token={TOKEN}"])
def test_another_name_of_this_machine_gets_nothing(door: Door, target: str, host: str) -> None:
    answer = ask(door.port, "GET", target, {**BEARER, "Host": host.format(port=door.port)})
    assert (answer.status, answer.json["error"]) == (403, "this is not the address of the service")


def test_localhost_is_the_same_machine(door: Door) -> None:
    here = {"Host": f"LocalHost:{door.port}", "Origin": f"http://localhost:{door.port}"}
    assert ask(door.port, "POST", "/v1/resume", {**BEARER, **here}).status == 200


def test_whether_the_service_is_there_needs_no_token(door: Door) -> None:
    assert ask(door.port, "GET", "/healthz").body == b"ok\n"
    assert ask(door.port, "GET", "/readyz").status == 401


@pytest.mark.parametrize("headers", [BEARER, {}, {"Host": "evil.example"}])
def test_every_answer_forbids_what_the_page_does_not_need(door: Door, headers: dict[str, str]) -> None:
    found = ask(door.port, "GET", "/", headers).headers
    assert found["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert (found["x-content-type-options"], found["referrer-policy"]) == ("nosniff", "same-origin")
