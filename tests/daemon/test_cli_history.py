"""`history`, `images`, `stats`, `events`, `logs` and `web`, of a service and without one."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from fake_service import FakeService

from envkiln.cache.index import Index
from envkiln.daemon.logs import LogFiles, build_id
from envkiln.daemon.messages import BuildView, ImageView, StatsView

Run = Callable[..., tuple[int, str, str]]
IMAGE = "azureml/azureml_" + "1" * 32
BUILD = BuildView(
    build=build_id(IMAGE, 1.5), environment="a", image=IMAGE, state="built", started=1.5, seconds=61.0, size=243_000_000
)


@pytest.fixture
def index(tmp_path: Path) -> Index:
    """An index that knows one environment with one build; nobody has it open any more."""
    index = Index(tmp_path / "state" / "index-v1")
    view = {"environment": "a", "state": "ready", "image": IMAGE, "image_id": "sha256:1", "image_size": 243_000_000}
    index.store_views({"a": view}, (), 0.0)
    index.add_build("a", msgspec.to_builtins(BUILD))
    index.store_document("tally", {"since": 1.5, "hits": 3, "misses": 1})
    index.close()
    return index


def test_the_builds_of_an_environment_with_the_newest_first(run: Run, fake: FakeService) -> None:
    code, out, err = run("history", "speech")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert "step 3 of 5, solve" in lines[0]
    assert [line.split()[4] for line in lines[1:]] == ["11s", "12s", "13s"]
    answer = json.loads(run("history", "speech", "--json")[1])
    assert answer["running"]
    assert msgspec.convert(answer["builds"], list[BuildView]) == list(fake.builds(environment="speech").items)
    assert "torch 99.1 is in none of the channels" in run("history", "vision")[1]
    assert run("history", "scratch")[1] == "nothing was built for scratch\n"
    assert run("history", "speach")[0] == 6


def test_the_builds_that_the_index_remembers(run: Run, index: Index) -> None:  # noqa: ARG001
    code, out, err = run("history", "a")
    assert code == 0
    assert f"built in 1m01s  111111111111  243MB  {BUILD.build}" in out
    assert "as it was " in err
    answer = json.loads(run("history", "a", "--json")[1])
    assert not answer["running"]
    assert answer["age"] > 0
    assert msgspec.convert(answer["builds"], list[BuildView]) == [BUILD]


def test_the_images_and_who_asks_for_them(run: Run, fake: FakeService) -> None:
    code, out, _ = run("images")
    assert code == 0
    assert out.splitlines()[-1] == "3 images, 3GB"
    assert any(line.endswith("  1GB  team/nlp") for line in out.splitlines())
    answer = json.loads(run("images", "--json")[1])
    assert msgspec.convert(answer["images"], list[ImageView]) == list(fake.images().items)


def test_the_images_that_the_index_remembers(run: Run, index: Index) -> None:  # noqa: ARG001
    code, out, err = run("images")
    assert code == 0
    assert out.splitlines()[-1] == "1 images, 243MB"
    assert "the service is not running" in err
    (image,) = msgspec.convert(json.loads(run("images", "--json")[1])["images"], list[ImageView])
    assert (image.image, image.environments) == (IMAGE, ("a",))


def test_what_was_saved(run: Run, fake: FakeService) -> None:  # noqa: ARG001
    code, out, _ = run("stats")
    assert code == 0
    assert "builds saved     126 (93% of what was asked for)" in out
    assert "time saved       20m34s" in out
    answer = json.loads(run("stats", "--json")[1])
    assert msgspec.convert(answer["stats"], StatsView).hits == 126


def test_what_was_saved_by_what_the_index_remembers(run: Run, index: Index) -> None:  # noqa: ARG001
    code, out, err = run("stats")
    assert code == 0
    assert "builds saved     3 (75%" in out
    assert "the service is not running, as it was " in err
    answer = json.loads(run("stats", "--json")[1])
    stats = msgspec.convert(answer["stats"], StatsView)
    assert (answer["running"], stats.hits, stats.images, stats.image_bytes) == (False, 3, 1, 243_000_000)


def test_where_nothing_was_ever_run_nothing_is_counted(run: Run, tmp_path: Path) -> None:
    assert run("images")[:2] == (0, "no images\n")
    assert run("stats")[:2] == (0, "nothing was counted yet\n")
    assert json.loads(run("stats", "--json")[1]) == {"running": False, "age": None, "stats": None}
    code, _, err = run("events")
    assert code == 4
    assert "envkiln up" in err
    assert not (tmp_path / "state").exists(), "a question makes no files"


def test_each_event_is_a_line_of_json_until_ctrl_c(fake: FakeService, tmp_path: Path) -> None:
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path / "run"), "ENVKILN_STATE_DIR": str(tmp_path / "state")}
    process = subprocess.Popen(
        [sys.executable, "-m", "envkiln.daemon", "events"], env=environ, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert (first["event"], len(first["data"]["environments"])) == ("snapshot", 8)
    fake.save_same("training")
    second = json.loads(process.stdout.readline())
    assert (second["event"], second["data"]) == ("saved", {"environment": "training"})
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    process.stdout.close()

    since = subprocess.Popen(
        [sys.executable, "-m", "envkiln.daemon", "events", "--since", first["id"]],
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert since.stdout is not None
    assert json.loads(since.stdout.readline()) == second
    since.kill()
    since.wait()
    since.stdout.close()


def test_the_log_of_the_last_build(run: Run, fake: FakeService) -> None:
    whole = fake.log_of("training").read_text()
    assert run("logs", "training") == (0, whole, "")
    assert run("logs", "training", "--tail", "1")[1] == whole.splitlines(keepends=True)[-1]
    build = fake.builds(environment="training").items[1].build
    assert run("logs", "--build", build)[1] == whole
    assert run("logs", "-f", "training")[1] == whole, "it has ended: nothing more comes"


def test_a_log_is_followed_to_the_end_of_its_build(run: Run, fake: FakeService) -> None:
    def go_on() -> None:
        fake.append_log_line("speech", "#9 the last step")
        fake.finish("speech")

    thread = threading.Thread(target=go_on)
    thread.start()
    code, out, _ = run("logs", "-f", "--tail", "1", "speech")
    thread.join()
    assert code == 0
    assert out.endswith("#9 the last step\n")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("scratch",), 1, "nothing was built for scratch"),
        (("--build", "1" * 32 + "-20260101T000000.000Z"), 1, "there is no log of build 1111"),
        (("-f", "--build", "../x"), 1, "there is no log of build ../x"),
        ((), 2, "either ENVIRONMENT or --build"),
        (("training", "--build", "x"), 2, "either ENVIRONMENT or --build"),
        (("trainin",), 6, "did you mean 'training'?"),
    ],
)
def test_a_log_that_is_not_there(
    run: Run,
    fake: FakeService,  # noqa: ARG001
    words: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    found, out, err = run("logs", *words)
    assert (found, out) == (code, "")
    assert message in err


def test_logs_are_read_from_their_files_while_the_service_is_down(run: Run, tmp_path: Path, index: Index) -> None:  # noqa: ARG001
    path = LogFiles(tmp_path / "state" / "logs").new(IMAGE, 1.5)
    path.write_text("one\ntwo\n")
    code, out, err = run("logs", "a")
    assert (code, out) == (0, "one\ntwo\n")
    assert "the service is not running" in err
    assert run("logs", "--tail", "1", "a")[1] == "two\n"
    assert run("logs", "--build", BUILD.build)[1] == "one\ntwo\n"


def test_a_log_that_was_damaged_on_disk_obeys_nobody_on_the_terminal(run: Run, fake: FakeService) -> None:
    fake.log_of("training").write_bytes(b"one\x1b[31m\x07\n\xfftwo\n")
    for words in (("training",), ("training", "-f")):
        _, out, _ = run("logs", *words)
        assert out.startswith("one\n")
        assert out.endswith("two\n")
        assert "\x1b" not in out
        assert "\x07" not in out


def test_the_link_to_the_web_page(run: Run, fake: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def opens(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr("webbrowser.open", opens)
    assert run("web") == (0, f"{fake.link}\n", "")
    assert not opened
    assert run("web", "--open")[0] == 0
    assert opened == [fake.link]
    monkeypatch.setattr("webbrowser.open", lambda _: False)
    assert run("web", "--open")[0] == 4


def test_the_service_is_told_what_to_do(run: Run, fake: FakeService) -> None:
    assert run("pause")[1].startswith("paused: no build starts")
    assert fake.paused
    assert run("resume")[1].startswith("builds start again")
    assert run("pause", "training", "gpu/cuda")[1].splitlines() == [
        "training: ready, paused: built in 13.1 s",
        "gpu/cuda: queued, paused: no image of this name",
    ]
    assert json.loads(run("resume", "training", "--json")[1])["paused"] is False
    assert run("rescan")[1].startswith("looked at everything (3 ready")
    assert run("rescan", "/home/ada/envs/training")[0] == 0
    assert run("cancel", "training")[1] == "training: nothing to cancel: it is ready\n"
    assert run("cancel", "speech")[1] == "speech: failed: cancelled\n"
    asked = [it for it in fake.asked if it[0] != "look"]
    assert asked == [
        ("pause", None),
        ("resume", None),
        ("pause", "training"),
        ("pause", "gpu/cuda"),
        ("resume", "training"),
        ("cancel", "speech"),
    ]
    assert ("look", "training") in fake.asked


@pytest.mark.parametrize("action", ["cancel", "push", "pause", "resume", "rescan"])
def test_nothing_is_done_when_one_of_several_is_unknown(run: Run, fake: FakeService, action: str) -> None:
    code, _, err = run(action, "training", "no-such")
    assert code == 6
    assert "no environment 'no-such' is known" in err
    assert not [it for it in fake.asked if it[0] == action]


def test_a_push_says_where_the_image_is(run: Run, fake: FakeService) -> None:
    image = fake.all["training"].image
    assert run("push", "training") == (0, f"training: registry.example/{image}@sha256:{'d' * 64}\n", "")
    assert fake.asked[-1] == ("push", "training")
    assert json.loads(run("push", "training", "--json")[1])["registry"] == f"registry.example/{image}"


@pytest.mark.usefixtures("fake")
def test_what_is_not_ready_is_not_pushed(run: Run) -> None:
    code, out, err = run("push", "gpu/cuda")
    assert (code, out) == (4, "gpu/cuda: queued: no image of this name\n")
    assert err == ""


def test_an_action_needs_a_service(run: Run) -> None:
    for words in (("pause",), ("cancel", "a"), ("web",)):
        code, _, err = run(*words)
        assert code == 4
        assert "start it with: envkiln up" in err
