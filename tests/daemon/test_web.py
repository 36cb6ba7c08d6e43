"""The web page without a browser: whole in itself, and nothing foreign in it becomes markup."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from fake_service import FakeService, serving, tcp_listener
from unix_http import ask
from versions import version

from envkiln.daemon.access import behind_token
from envkiln.daemon.api import make_api
from envkiln.daemon.metrics import Metrics
from envkiln.daemon.web import environment_link, grouped, web_routes
from envkiln.daemon.web_plots import disk_plot, seconds_plot, skips_plot

TOKEN = "t" * 43
EVIL = "<script>alert(1)</script>"


class Site:
    def __init__(self, fake: FakeService, port: int) -> None:
        self.fake = fake
        self._port = port

    def get(self, target: str, **headers: str) -> tuple[int, dict[str, str], str]:
        return self.ask("GET", target, **headers)

    def ask(self, method: str, target: str, **headers: str) -> tuple[int, dict[str, str], str]:
        given = {"Host": f"127.0.0.1:{self._port}", "Authorization": f"Bearer {TOKEN}", **headers}
        answer = ask(self._port, method, target, headers=given)
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.body.decode()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    fake = FakeService(tmp_path, more=[EVIL, "b\udcff/odd name"])
    with tcp_listener() as (listener, port):
        app = make_api(fake, metrics=Metrics(), extra=web_routes(fake))
        with serving(fake, behind_token(app, token=TOKEN, port=port), listener):
            yield Site(fake, port)


def test_the_list_has_every_environment_with_its_state_and_reason(site: Site) -> None:
    status, headers, page = site.get("/")
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    for view in site.fake.environments(limit=1000).items:
        if view.environment.isascii() and "<" not in view.environment:
            assert f'data-id="{view.environment}" data-state="{view.state}"' in page
    assert "could not find expected" in page


def test_the_list_is_filtered_without_javascript(site: Site) -> None:
    _, _, page = site.get("/?state=failed")
    assert 'data-id="vision"' in page
    assert 'data-id="training"' not in page
    _, _, page = site.get("/?text=train")
    assert 'data-id="training"' in page
    assert 'data-id="vision"' not in page
    _, _, page = site.get("/?text=nothing-has-this")
    assert "No environment fits." in page


def test_registered_versions_have_a_page(site: Site) -> None:
    site.fake.registered = (*site.fake.registered, version("zoo", description=EVIL))
    _, _, page = site.get("/versions")
    assert "speech:2" in page
    assert "speech:1" not in page
    assert "the first one" in page
    assert EVIL not in page
    assert "&lt;script&gt;" in page
    assert "speech:1" in site.get("/versions?archived=true")[2]
    site.fake.registered = ()
    assert "No version is registered" in site.get("/versions")[2]


def test_an_environment_that_failed_shows_its_cause_and_what_to_do(site: Site) -> None:
    status, _, page = site.get("/environments/vision")
    assert status == 200
    assert "torch 99.1 is in none of the channels" in page
    assert "ask for a version that exists" in page
    assert "/builds/" in page


def test_an_environment_says_which_registry_has_its_image(site: Site) -> None:
    site.fake.all["training"] = msgspec.structs.replace(
        site.fake.all["training"], registry=f"r.example/{EVIL}", registry_size=5
    )
    _, _, page = site.get("/environments/training")
    assert "r.example/&lt;script&gt;" in page
    assert "not in the engine" not in page
    site.fake.all["training"] = msgspec.structs.replace(site.fake.all["training"], pushing=True)
    assert "being pushed" in site.get("/environments/training")[2]


def test_the_log_of_a_build_is_readable_without_javascript(site: Site) -> None:
    build = site.fake.environment("speech")
    assert build is not None
    site.fake.append_log_line("speech", f"the last line {EVIL}")
    status, _, page = site.get(f"/builds/{build.build}")
    assert status == 200
    assert "the last line &lt;script&gt;" in page
    assert "Whole log as text" in page


def test_nothing_foreign_becomes_markup(site: Site) -> None:
    for target in ("/", environment_link(EVIL), "/versions", "/stats"):
        _, _, page = site.get(target)
        assert EVIL not in page, target
        assert "style=" not in page
        assert "<script>" not in page


def test_a_path_that_is_not_utf_8_has_a_page(site: Site) -> None:
    status, _, page = site.get(environment_link("b\udcff/odd name"))
    assert status == 200
    assert "odd name" in page


@pytest.mark.parametrize("action", ["build", "cancel", "pause", "resume", "rescan"])
def test_a_form_acts_and_leads_back(site: Site, action: str) -> None:
    status, headers, _ = site.ask("POST", f"/environments/training/{action}")
    assert (status, headers["location"]) == (303, "/environments/training")
    assert any(id_ == "training" for _, id_ in site.fake.asked)


@pytest.mark.parametrize(
    "target",
    ["/environments/nobody", "/builds/nothing", "/builds/..%2f..%2fetc", "/static/web.py", "/static/..%2fapi.py"],
)
def test_what_is_not_there_is_said(site: Site, target: str) -> None:
    assert site.get(target)[0] == 404


def test_an_action_that_is_none_of_ours_is_refused(site: Site) -> None:
    assert site.ask("POST", "/environments/training/remove")[0] == 404
    assert site.ask("POST", "/environments/nobody/build")[0] == 404


def test_the_page_asks_nobody_else(site: Site) -> None:
    for target in ("/", "/stats", "/versions", "/environments/training", "/static/envkiln.css", "/static/envkiln.js"):
        _, headers, text = site.get(target)
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "http://" not in text.replace("http://www.w3.org/", ""), target
        assert "https://" not in text


def test_files_are_not_sent_again_while_they_are_the_same(site: Site) -> None:
    _, headers, _ = site.get("/static/envkiln.css")
    assert site.get("/static/envkiln.css", **{"If-None-Match": headers["etag"]})[0] == 304


def test_plots_say_in_words_what_they_show() -> None:
    assert 'aria-label="Seconds of the last 2 builds; the longest took 9.0 s."' in seconds_plot(
        [(1.0, 3.0, "built", "a"), (2.0, 9.0, "failed", EVIL)]
    )
    assert EVIL not in seconds_plot([(1.0, 3.0, "built", EVIL)])
    assert "75% over 1 day." in skips_plot([("2026-11-24", 3, 1)])
    assert "images 1.5GB, logs 2kB." in disk_plot([(1.0, 1_500_000_000, 2000)])
    grown = disk_plot([(0.0, 500_000_000, 0), (86400.0 * 3, 1_500_000_000, 2000)])
    assert "images 1.5GB, logs 2kB; on 19" in grown
    assert "it was 500MB" in grown
    assert "No build" in seconds_plot([])
    assert "Nothing" in skips_plot([])
    assert "not looked at yet" in disk_plot([])
    assert "images 0B, logs 0B." in disk_plot([(1.0, 0, 0)])


def test_a_log_is_folded_by_phase() -> None:
    lines = ["first", "Solving environment: done", "more", "Executing transaction: done"]
    assert grouped(lines) == [("begin", lines[:1]), ("solve", lines[1:3]), ("link", lines[3:])]
