"""The web page in a real browser, Debian's Chromium; pictures of it are kept in build/screenshots."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from fake_service import FakeService, serving, tcp_listener
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from programs import provide
from running import PATIENCE_S, Gate, World

from envkiln.daemon.access import behind_token
from envkiln.daemon.api import make_api
from envkiln.daemon.metrics import Metrics
from envkiln.daemon.web import web_routes

PICTURES = Path(__file__).resolve().parents[2] / "build" / "screenshots"
TOKEN = "t" * 43
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


expect.set_options(timeout=PATIENCE_S * 1000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    provide("chromium")
    PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield made
        made.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails the test when a script of it fails or is refused."""
    context = browser.new_context(viewport={"width": 1100, "height": 800})
    context.set_default_timeout(PATIENCE_S * 1000)
    made = context.new_page()
    wrong: list[str] = []
    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
    yield made
    context.close()
    assert wrong == []


class Site:
    def __init__(self, fake: FakeService, port: int) -> None:
        self.fake = fake
        self.start = f"http://127.0.0.1:{port}/?token={TOKEN}"
        self._base = f"http://127.0.0.1:{port}"

    def at(self, target: str) -> str:
        return self._base + target


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    fake = FakeService(tmp_path)
    with tcp_listener() as (listener, port):
        app = make_api(fake, metrics=Metrics(), extra=web_routes(fake))
        with serving(fake, behind_token(app, token=TOKEN, port=port), listener):
            yield Site(fake, port)


def row(page: Page, id_: str) -> Locator:
    return page.locator(f'#list tbody tr[data-id="{id_}"]')


def test_the_link_opens_the_page_and_leaves_no_token_in_the_address(page: Page, site: Site) -> None:
    page.goto(site.start)
    assert "token" not in page.url
    expect(page.get_by_role("heading", name="Environments")).to_be_visible()
    expect(page.locator("#live")).to_have_text("live")


def test_the_list_follows_what_is_saved(page: Page, site: Site) -> None:
    page.goto(site.start)
    expect(page.locator("#live")).to_have_text("live")
    site.fake.save("training")
    expect(row(page, "training").locator(".state")).to_contain_text("building")
    site.fake.save("new/one")
    expect(row(page, "new/one")).to_be_visible()
    expect(page.locator("#list caption")).to_have_text("9 environments")
    site.fake.finish("training")
    expect(row(page, "training").locator(".state")).to_contain_text("ready")
    site.fake.remove("new/one")
    expect(row(page, "new/one")).to_have_count(0)
    page.screenshot(path=PICTURES / "list-light.png")


def test_the_filter_works_while_one_types_and_with_states(page: Page, site: Site) -> None:
    page.goto(site.start)
    page.keyboard.press("/")
    page.keyboard.type("vis")
    expect(row(page, "vision")).to_be_visible()
    expect(row(page, "training")).to_be_hidden()
    page.keyboard.type("zzz")
    expect(page.locator("#none")).to_be_visible()
    page.goto(site.at("/"))
    page.get_by_role("link", name="failed").click()
    expect(row(page, "vision")).to_be_visible()
    # Not sent, or sent later by the snapshot and hidden.
    expect(row(page, "training")).to_be_hidden()


def test_a_list_that_comes_in_pages_is_searched_in_all_of_it(page: Page, site: Site) -> None:
    ready = site.fake.all["training"]
    many = {
        f"zoo/{number:03d}": msgspec.structs.replace(ready, environment=f"zoo/{number:03d}") for number in range(600)
    }
    site.fake.on_loop(lambda: site.fake.all.update(many))
    page.goto(site.start)
    expect(page.locator("#live")).to_have_text("live")
    expect(page.get_by_role("link", name="More")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("zoo/599")
    expect(row(page, "zoo/599")).to_be_visible()
    expect(page.locator("#list tbody tr")).to_have_count(1)
    expect(page.locator("#list caption")).to_have_text("1 environment that fits")
    page.keyboard.type("9")
    expect(page.locator("#none")).to_be_visible()


def test_rows_are_walked_and_opened_with_the_keyboard(page: Page, site: Site) -> None:
    page.goto(site.start)
    expect(page.locator("#live")).to_have_text("live")
    page.keyboard.press("j")
    page.keyboard.press("j")
    second = page.locator("#list tbody tr").nth(1).get_attribute("data-id")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(str(second))
    expect(page.locator("#live")).to_have_text("live")  # the script listens to keys
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    expect(page.get_by_role("heading", name="Environments")).to_be_visible()


def test_a_failure_shows_its_cause_and_the_way_out(page: Page, site: Site) -> None:
    page.goto(site.start)
    row(page, "vision").get_by_role("link").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("torch 99.1 is in none of the channels")
    expect(alert).to_contain_text("ask for a version that exists")
    page.screenshot(path=PICTURES / "environment-failed.png", full_page=True)
    site.fake.break_("vision")
    expect(alert).to_contain_text("unknown key")


def test_the_buttons_act_without_a_new_page(page: Page, site: Site) -> None:
    page.goto(site.start)
    page.goto(site.at("/environments/training"))
    page.evaluate("window.same = true")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    assert ("pause", "training") in site.fake.asked
    assert page.evaluate("window.same")


def test_a_log_is_followed_folded_and_searched(page: Page, site: Site) -> None:
    page.goto(site.start)
    page.goto(site.at("/environments/speech"))
    page.get_by_role("link", name="Follow the log").click()
    site.fake.append_log_line("speech", "Solving environment: ...working... done")
    site.fake.append_log_line("speech", "needle one <script>alert(1)</script>")
    site.fake.append_log_line("speech", "Executing transaction: done")
    site.fake.append_log_line("speech", "needle two")
    log = page.get_by_role("log")
    expect(log).to_contain_text("needle two")
    expect(log).to_contain_text("<script>alert(1)</script>")
    page.keyboard.press("/")
    page.keyboard.type("needle")
    expect(page.locator("#found")).to_have_text("2 found")
    page.keyboard.press("Enter")
    expect(page.locator("#found")).to_have_text("1 of 2")
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(page.locator("#found")).to_have_text("2 of 2")
    link = page.locator("#log details.link")
    link.locator("summary").click()
    expect(link.locator("pre")).to_be_hidden()
    page.screenshot(path=PICTURES / "log.png")
    site.fake.fail("speech", "the solver found no way", "loosen a version")
    expect(page.get_by_role("alert")).to_contain_text("the solver found no way")
    expect(page.locator("#build-state")).to_contain_text("failed")


def test_without_javascript_everything_is_read_and_a_button_works(browser: Browser, site: Site) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.start)
    expect(row(page, "training")).to_be_visible()
    page.get_by_label("Filter").fill("vision")
    page.get_by_role("button", name="Show").click()
    expect(row(page, "training")).to_have_count(0)
    row(page, "vision").get_by_role("link").click()
    expect(page.get_by_role("alert")).to_contain_text("torch 99.1")
    page.get_by_role("button", name="Build").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("vision")
    assert ("build", "vision") in site.fake.asked
    context.close()


def test_it_is_legible_in_the_dark_and_on_a_telephone(browser: Browser, site: Site) -> None:
    context = browser.new_context(color_scheme="dark", viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(site.start)
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert back == "rgb(22, 22, 21)"
    page.screenshot(path=PICTURES / "list-dark-narrow.png")
    for target in ("/", "/environments/vision", "/versions", "/stats"):
        page.goto(site.at(target))
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), target
    context.close()


def test_counts_are_shown_with_plots_that_say_what_they_show(page: Page, site: Site) -> None:
    page.goto(site.start)
    page.get_by_role("link", name="Counts").click()
    expect(page.get_by_role("img", name="Seconds of the last")).to_be_visible()
    expect(page.get_by_role("img", name="On the disk")).to_be_visible()
    page.screenshot(path=PICTURES / "counts.png", full_page=True)


def test_everything_that_can_be_used_has_a_name(page: Page, site: Site) -> None:
    page.goto(site.start)
    for target in ("/", "/environments/vision", "/environments/speech", "/versions", "/stats"):
        page.goto(site.at(target))
        nameless = page.evaluate(
            """() => [...document.querySelectorAll('a, button, input:not([type=hidden]), [role=img], [tabindex="0"]')]
            .filter((it) => !(it.textContent.trim() || it.getAttribute('aria-label')
                || (it.labels && it.labels.length))).map((it) => it.outerHTML)"""
        )
        assert nameless == [], target


def test_an_engine_that_goes_away_is_shown(page: Page, site: Site) -> None:
    page.goto(site.start)
    expect(page.locator("#live")).to_have_text("live")
    site.fake.disconnect_engine()
    expect(page.locator("#engine")).to_contain_text("engine away: the engine does not answer")


def test_a_day_at_the_page_of_a_real_service(make_world: Callable[..., World], page: Page, gate: Gate) -> None:
    """What is saved appears; its build is followed; a failure says why; keys and the filter lead there."""
    world = make_world()
    world.write("steady/Dockerfile", world.dockerfile("RUN true"))
    world.up()
    page.goto(world.answer("web").strip())
    expect(page.locator("#live")).to_have_text("live")
    expect(row(page, "steady").locator(".state")).to_contain_text("ready")

    for id_ in ("fresh", "fresh-too"):
        world.write(f"{id_}/Dockerfile", world.dockerfile("RUN echo said by the step", gate.step))
    for id_ in ("fresh", "fresh-too"):
        expect(row(page, id_).locator(".state")).to_contain_text("building")
        expect(row(page, id_).locator(".why")).to_contain_text("step ")
    page.screenshot(path=PICTURES / "real-list-light.png")
    for id_ in ("fresh", "fresh-too"):
        row(page, id_).get_by_role("link").click()
        expect(page.get_by_role("link", name="Follow the log")).to_be_visible()
        page.get_by_role("link", name="Environments").click()
    row(page, "fresh-too").get_by_role("link").click()
    page.get_by_role("link", name="Follow the log").click()
    expect(page.get_by_role("log")).to_contain_text("said by the step")
    expect(page.locator("#build-state")).to_contain_text("running")
    gate.open()
    expect(page.locator("#build-state")).to_contain_text("built")
    page.screenshot(path=PICTURES / "real-log-light.png")

    page.keyboard.press("g")
    expect(row(page, "fresh").locator(".state")).to_contain_text("ready")
    world.write("wrong/Dockerfile", world.dockerfile("RUN echo said before the end; exit 7"))
    expect(row(page, "wrong").locator(".state")).to_contain_text("failed")
    page.keyboard.press("/")
    page.keyboard.type("wrong")
    expect(row(page, "fresh")).to_be_hidden()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("wrong")
    expect(page.get_by_role("alert")).to_contain_text("exit")
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=PICTURES / "real-failure-dark.png", full_page=True)

    page.get_by_role("link", name="Counts").click()
    expect(page.get_by_role("img", name="On the disk: images")).to_be_visible()
    page.screenshot(path=PICTURES / "real-counts-dark.png", full_page=True)
