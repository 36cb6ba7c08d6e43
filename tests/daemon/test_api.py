"""What is asked of a running service and what it answers, over a real socket."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from fake_service import FakeService, serving, unix_listener
from running import until
from unix_http import Answer, ask

from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.daemon.api import _Handlers, make_api
from envkiln.daemon.messages import API_VERSION
from envkiln.daemon.metrics import Metrics
from envkiln.daemon.routes import OPERATIONS, Operation
from envkiln.daemon.version import VERSION

IDS = ["a", "team/train", "root:team/train", "a b/ü?x#y%2F", "team/build", "b\udcffd", "line\nend", "/"]
VERBS = ["build", "push", "cancel", "pause", "resume", "rescan"]


@pytest.fixture
def service(tmp_path: Path) -> FakeService:
    return FakeService(tmp_path, more=IDS)


@pytest.fixture
def socket(tmp_path: Path, service: FakeService) -> Iterator[Path]:
    path = tmp_path / "socket"
    with unix_listener(path) as listener, serving(service, make_api(service, metrics=Metrics()), listener):
        yield path


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, FakeService]]:
    """A service that nobody changes, for many questions."""
    directory = tmp_path_factory.mktemp("quiet")
    service = FakeService(directory, more=IDS)
    path = directory / "socket"
    with unix_listener(path) as listener, serving(service, make_api(service, metrics=Metrics()), listener):
        yield path, service


@pytest.fixture
def standing(quiet: tuple[Path, FakeService]) -> Path:
    return quiet[0]


def of(id_: str) -> str:
    return "/v1/environments/" + quote(id_, errors="surrogateescape")


def get(socket: Path, target: str) -> Answer:
    return ask(socket, "GET", target)


def test_every_operation_has_a_handler(service: FakeService) -> None:
    assert set(_Handlers(service, Metrics()).by_name) == {operation.name for operation in OPERATIONS}


def test_the_service_is_told(standing: Path) -> None:
    told = get(standing, "/v1/service").json
    assert (told["version"], told["process"], told["engine"]["connected"]) == ("1", 2, True)
    assert told["counts"]["failed"] == 1


@pytest.mark.parametrize("target", ["/v1/service", "/nothing", "/v1/environments/nobody", "/v1/images?limit=x"])
def test_every_answer_says_the_version(standing: Path, target: str) -> None:
    headers = get(standing, target).headers
    assert (headers["envkiln-version"], headers["envkiln-api"]) == (VERSION, str(API_VERSION))
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize("id_", IDS)
def test_an_environment_is_found_by_its_id_whatever_is_in_it(socket: Path, service: FakeService, id_: str) -> None:
    view = get(socket, of(id_)).json
    assert (view["environment"], view["state"], view["definition"][:12]) == (id_, "ready", "dependencies")
    assert get(socket, "/v1/environments/" + quote(id_, safe="", errors="surrogateescape")).json == view
    built = ask(socket, "POST", of(id_) + "/build")
    assert (built.status, built.json["environment"], built.json["state"]) == (200, id_, "building")
    assert service.asked == [("build", id_)]
    builds = get(socket, f"/v1/builds?state=running&environment={quote(id_, safe='', errors='surrogateescape')}").json
    assert [build["environment"] for build in builds["items"]] == [id_]


@pytest.mark.parametrize("id_", ["unknown", "team", "team/train/build", ""])
def test_an_id_that_nobody_has_gets_nothing(socket: Path, service: FakeService, id_: str) -> None:
    answers = [get(socket, of(id_)), *(ask(socket, "POST", f"{of(id_)}/{verb}") for verb in VERBS)]
    for answer in answers:
        assert (answer.status, answer.json["error"]) == (404, "no environment of this id")
    assert service.asked == [("look", id_)], "a directory made a moment ago is looked for"


def test_the_verbs_do_what_they_say(socket: Path, service: FakeService) -> None:
    assert ask(socket, "POST", of("speech") + "/cancel").json["state"] == "failed"
    assert ask(socket, "POST", of("a") + "/pause").json["paused"] is True
    assert ask(socket, "POST", of("a") + "/resume").json["paused"] is False
    assert ask(socket, "POST", "/v1/pause").json["paused"] is True
    assert ask(socket, "POST", "/v1/resume").json["paused"] is False
    assert ask(socket, "POST", "/v1/rescan").status == 200
    assert service.asked == [
        *(("cancel", "speech"), ("pause", "a"), ("resume", "a")),
        *(("pause", None), ("resume", None), ("look", None)),
    ]


def test_environments_come_a_page_at_a_time(socket: Path, service: FakeService) -> None:
    seen: list[str] = []
    after = ""
    while True:
        page = get(socket, f"/v1/environments?limit=4{after}").json
        assert page["total"] == len(service.all)
        seen += [view["environment"] for view in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={quote(page['next'], safe='', errors='surrogateescape')}"
    assert seen == sorted(service.all)


def test_environments_are_chosen_by_state_name_and_text(standing: Path) -> None:
    def ids(query: str) -> list[str]:
        return [view["environment"] for view in get(standing, f"/v1/environments?{query}").json["items"]]

    assert ids("state=failed&state=invalid") == ["broken", "vision"]
    assert ids("name=team/*") == ["team/build", "team/nlp", "team/train"]
    assert ids("text=TORCH") == ["vision"]
    assert ids("state=ready&name=b%FFd") == ["b\udcffd"]


def test_a_page_of_builds_goes_on_where_the_one_before_ended(socket: Path, service: FakeService) -> None:
    first = get(socket, "/v1/builds?limit=3").json
    second = get(socket, f"/v1/builds?limit=1000&after={first['next']}").json
    found = [build["build"] for build in first["items"] + second["items"]]
    assert found == [build.build for build in service.builds(limit=1000).items]
    assert second["next"] is None
    assert get(socket, f"/v1/builds/{found[0]}").json["state"] == "running"


def test_images_stats_and_the_link_are_told(socket: Path, service: FakeService) -> None:
    images = get(socket, "/v1/images?limit=2").json
    assert (len(images["items"]), images["next"]) == (2, images["items"][1]["image"])
    assert get(socket, "/v1/stats").json["builds_saved"] == sum(range(10, 19))
    assert ask(socket, "POST", "/v1/web").json == {"url": service.link}


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("/v1/environments?limit=0", "`limit` is not a whole number from 1 to 1000"),
        ("/v1/environments?limit=1001", "`limit` is not a whole number from 1 to 1000"),
        ("/v1/environments?limit=%D9%A1", "`limit` is not a whole number from 1 to 1000"),
        (f"/v1/environments?limit={'9' * 5000}", "`limit` is not a whole number from 1 to 1000"),
        ("/v1/environments?limit=1&limit=2", "`limit` is given twice"),
        (
            "/v1/environments?state=asleep",
            "`state` is not one of invalid, queued, building, ready, failed, named",
        ),
        ("/v1/environments?states=ready", "`states` is not a parameter here"),
        ("/v1/builds?state=ready", "`state` is not one of running, built, failed, cancelled, interrupted"),
        ("/v1/environments/a?wait=soon", "`wait` is not a number"),
        ("/v1/environments/a?wait=nan", "`wait` is not a number"),
        ("/v1/environments/a?wait=1e999", "`wait` is not a number"),
        ("/v1/environments/a?wait=", "`wait` is not a number"),
        ("/v1/builds/x/log?tail=-1", "`tail` is not a whole number from 0 to 10000"),
        ("/v1/builds/x/log?follow=yes", "`follow` is not true or false"),
    ],
)
def test_a_bad_parameter_is_said(standing: Path, target: str, error: str) -> None:
    answer = get(standing, target)
    assert answer.status == 400
    assert answer.json["error"] == error
    assert answer.json["hint"]


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("POST", "/v1/service", "GET, HEAD"),
        ("DELETE", "/v1/environments/a", "GET, HEAD"),
        ("GET", "/v1/pause", "POST"),
        ("TRACE", "/v1/events", "GET, HEAD"),
    ],
)
def test_another_method_is_refused_and_told_which_would_do(
    standing: Path, method: str, target: str, allow: str
) -> None:
    answer = ask(standing, method, target)
    assert (answer.status, answer.json["error"]) == (405, "method not allowed")
    assert ", ".join(sorted(answer.headers["allow"].split(", "))) == allow


@pytest.mark.parametrize("target", ["/", "/v1", "/v1/service/", "/v2/service", "//", "/v1/builds/", "/v1/builds/x/y"])
def test_a_path_that_is_not_there_is_said(standing: Path, target: str) -> None:
    answer = get(standing, target)
    assert (answer.status, answer.json["hint"]) == (404, "GET /v1/openapi.json says what can be asked")


@pytest.mark.parametrize(
    "operation", [operation for operation in OPERATIONS if operation.method == "GET"], ids=lambda it: it.name
)
def test_head_is_answered_wherever_get_is(quiet: tuple[Path, FakeService], operation: Operation) -> None:
    standing, service = quiet
    path = operation.path.replace("{id}", "a").replace("{build}", service.builds().items[0].build)
    path = path.replace("{reference}", "training")
    head = ask(standing, "HEAD", path)
    assert (head.status, head.body) == (200, b"")
    if path not in {"/v1/events", "/metrics"}:
        assert head.headers["content-type"] == get(standing, path).headers["content-type"]


def test_registered_versions_come_in_pages_by_name_and_number(socket: Path, service: FakeService) -> None:
    assert [it.reference for it in service.registered] == ["speech:1", "speech:2", "training:1"]

    def references(query: str) -> list[str]:
        return [it["reference"] for it in get(socket, f"/v1/versions?{query}").json["items"]]

    assert references("") == ["speech:2", "training:1"]
    assert references("archived=true") == ["speech:1", "speech:2", "training:1"]
    assert references("archived=true&name=speech") == ["speech:1", "speech:2"]
    first = get(socket, "/v1/versions?archived=true&limit=2").json
    assert (first["total"], first["next"]) == (3, "speech:2")
    assert references("archived=true&limit=2&after=speech:2") == ["training:1"]
    assert references("after=absent") == []


@pytest.mark.parametrize(("reference", "number"), [("speech", 2), ("speech@latest", 2), ("speech:1", 1)])
def test_a_registered_version_has_its_files(socket: Path, reference: str, number: int) -> None:
    version = get(socket, f"/v1/versions/{reference}").json
    assert (version["version"], version["latest"], version["archived"]) == (number, number == 2, number == 1)
    assert version["files"][0]["path"] == version["main"]


@pytest.mark.parametrize("reference", ["absent", "speech:9", "speech:x", "speech@prod", "a%20b"])
def test_a_version_that_is_not_registered_is_unknown(socket: Path, reference: str) -> None:
    assert get(socket, f"/v1/versions/{reference}").status == 404


@pytest.mark.parametrize("seconds", ["-1", "0", "0.05", "1e-3", "+.05"])
def test_whoever_waits_too_long_gets_what_is_known(socket: Path, service: FakeService, seconds: str) -> None:
    view = get(socket, f"{of('speech')}?wait={quote(seconds)}").json
    assert view["state"] == "building"
    assert service.asked == [("look", "speech")]


def test_whoever_waits_gets_an_answer_at_once_when_it_is_settled(standing: Path) -> None:
    assert get(standing, f"{of('training')}?wait=1000000").json["state"] == "ready"


def test_whoever_waits_gets_the_answer_when_it_settles(socket: Path, service: FakeService) -> None:
    settled = service.is_settled
    asked = 0

    def is_settled(id_: str) -> bool:
        nonlocal asked
        asked += 1
        if asked == 1:
            service._progress("speech", 4, "pip", "a change that settles nothing")
            assert service.loop is not None
            service.loop.call_soon(service._end, "speech", "built")
        return settled(id_)

    service.is_settled = is_settled  # type: ignore[method-assign]
    assert get(socket, f"{of('speech')}?wait=60").json["state"] == "ready"


def test_while_the_service_starts_it_is_not_ready(socket: Path, service: FakeService) -> None:
    assert get(socket, "/readyz").body == b"ready\n"
    service.starting = True
    answer = get(socket, "/readyz")
    assert (answer.status, answer.json["error"]) == (503, "the first look at the roots is not done")
    assert get(socket, "/healthz").body == b"ok\n"


def test_an_error_with_a_message_is_answered_with_it(socket: Path, service: FakeService) -> None:
    class NoPort(EnvkilnError):  # noqa: N818
        turn = Turn.SURROUNDINGS

    async def fail() -> str:
        raise NoPort("port 1 cannot be had", hint="take another")

    service.web_link = fail  # type: ignore[method-assign]
    answer = ask(socket, "POST", "/v1/web")
    assert (answer.status, answer.json) == (503, {"error": "port 1 cannot be had", "hint": "take another"})


def test_an_error_of_ours_is_an_answer_and_not_the_end(socket: Path, service: FakeService) -> None:
    async def fail() -> str:
        raise KeyError("oops")

    service.web_link = fail  # type: ignore[method-assign]
    answer = ask(socket, "POST", "/v1/web")
    assert (answer.status, answer.json["error"]) == (500, "an error of envkiln: KeyError('oops')")
    assert answer.headers["envkiln-version"] == VERSION
    assert until(lambda: get(socket, "/v1/service").status == 200)
