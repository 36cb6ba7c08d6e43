"""`gc`, `pin` and `unpin`, and what counts as a use of an image."""

import json
from pathlib import Path
from typing import Any

import pytest
from fake_service import FakeService, image_of

from envkiln.cache.index import Index
from envkiln.daemon.paths import Paths

Run = Any


def test_gc_says_what_went_what_stays_and_why(run: Run, fake: FakeService) -> None:
    code, out, err = run("gc")
    assert (code, err) == (0, "")
    old, training = (image_of(id_)[-32:][:12] for id_ in ("old", "training"))
    assert out.splitlines() == [
        f"- {old}      1GB  removed: not used for 40d",
        f"+ {training}      1GB  stays: training needs it",
        "1 image removed, 2MB freed; 998MB stay",
    ]
    assert fake.asked[-1] == ("clean-up", "False")


def test_a_dry_run_removes_nothing_and_says_so(run: Run, fake: FakeService) -> None:
    code, out, _ = run("gc", "--dry-run")
    assert code == 0
    assert "would go: not used for 40d" in out
    assert out.endswith("1 image would go, 2MB would be freed; 998MB stay\n")
    assert fake.asked[-1] == ("clean-up", "True")


def test_gc_has_json(run: Run, fake: FakeService) -> None:
    assert fake.all
    view = json.loads(run("gc", "--json")[1])
    assert [it["reason"] for it in (*view["removed"], *view["kept"])] == ["not used for 40d", "training needs it"]


def test_without_a_service_and_a_directory_nothing_is_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    code, _, err = run("gc")
    assert code == 4
    assert "the Docker engine at unix:///nowhere/docker.sock is not there" in err


def test_pins_are_listed_and_taken_back(run: Run, tmp_path: Path) -> None:
    assert run("pin") == (0, "", "nothing is pinned\n")
    assert run("pin", "training", "gpu/*") == (0, "gpu/*\ntraining\n", "")
    assert (tmp_path / "state" / "pins").read_text() == "gpu/*\ntraining\n"
    assert run("unpin", "gpu/*") == (0, "training\n", "")
    assert run("pin") == (0, "training\n", "")


def test_what_is_no_pattern_is_a_usage_error(run: Run) -> None:
    code, _, err = run("pin", "two words")
    assert code == 2
    assert "'two words' is not a pattern" in err


@pytest.mark.parametrize("words", [("image", "training"), ("wait", "training")])
def test_a_question_for_the_image_is_a_use(run: Run, fake: FakeService, words: tuple[str, ...]) -> None:
    assert run(*words)[0] == 0
    assert ("use", "training") in fake.asked


def test_a_look_at_the_status_is_no_use(run: Run, fake: FakeService) -> None:
    assert run("status", "training")[0] == 0
    assert not [it for it in fake.asked if it[0] == "use"]


def test_a_question_while_the_service_is_down_is_a_use_too(run: Run, tmp_path: Path) -> None:
    paths = Paths(tmp_path / "state", tmp_path / "run" / "envkiln.sock", tmp_path / "config" / "envkiln.toml")
    paths.ensure()
    index = Index(paths.index)
    image = image_of("training")
    index.store_views(
        {"training": {"environment": "training", "state": "ready", "image": image, "last_good": image}}, (), 1.0
    )
    index.close()
    assert run("image", "training")[1] == f"{image}:latest\n"
    index = Index(paths.index)
    assert index.uses()[image][1] == ("training",)
    index.close()
