"""`status`: the table, one environment, templates, JSON, and what is said while nobody answers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_service import FakeService

from envkiln.cache.index import Index
from envkiln.daemon.messages import EnvironmentDetail, EnvironmentView, ServiceView

Run = Callable[..., tuple[int, str, str]]
ALL = ["broken", "gpu/cuda", "scratch", "speech", "team/nlp", "training", "vision", "web-client"]


def test_the_table_has_a_line_each_and_one_of_totals(run: Run, fake: FakeService) -> None:  # noqa: ARG001
    code, out, err = run("status")
    assert (code, err) == (0, "")
    *lines, totals = out.splitlines()
    assert [line.split()[1] for line in lines] == ALL
    assert {line[0] for line in lines} == {"x", ".", "-", "*", "+"}
    assert totals == "3 ready, 1 building, 1 queued, 1 invalid, 1 failed, 1 named"


def test_a_build_that_runs_says_how_far_it_is(run: Run, fake: FakeService) -> None:
    _, out, _ = run("status", "--state", "building")
    assert "step 3 of 5, solve, " in out
    fake.progress("speech", 4, "pip", "Collecting idna")
    assert "step 4 of 5, pip, " in run("status", "--state", "building")[1]
    assert "step 4 of 5, pip, " in run("status", "speech")[1]


def test_states_choose_the_lines(run: Run, fake: FakeService) -> None:  # noqa: ARG001
    _, out, _ = run("status", "--state", "failed", "--state", "invalid")
    assert [line.split()[1] for line in out.splitlines()[:-1]] == ["broken", "vision"]
    answer = json.loads(run("status", "--json", "--state", "named")[1])
    assert [view["environment"] for view in answer["environments"]] == ["scratch"]
    assert answer["counts"]["ready"] == 3, "all are counted"


def test_plain_output_has_words_and_no_marks(run: Run, fake: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    _, out, _ = run("status", "--plain")
    assert out.startswith("broken: invalid for ")
    monkeypatch.setenv("ENVKILN_PLAIN", "1")
    assert [line.split(" for ")[0] for line in run("status")[1].splitlines()[:3]] == [
        "broken: invalid",
        "gpu/cuda: queued",
        "scratch: named",
    ]


def test_json_is_what_the_api_says(run: Run, fake: FakeService) -> None:
    answer = json.loads(run("status", "--json")[1])
    assert answer.keys() == {"running", "age", "service", "environments", "counts"}
    assert (answer["running"], answer["age"]) == (True, None)
    assert msgspec.convert(answer["service"], ServiceView) == fake.service()
    views = msgspec.convert(answer["environments"], list[EnvironmentView])
    assert [view.environment for view in views] == ALL
    detail = msgspec.convert(json.loads(run("status", "training", "--json")[1]), EnvironmentDetail)
    assert detail.environment == "training"
    assert len(detail.builds) == 3


def test_more_environments_than_a_page_are_all_there(run: Run, fake: FakeService) -> None:
    view = fake.all["scratch"]
    many = [f"many/{number:04d}" for number in range(2100)]
    fake.on_loop(
        lambda: fake.all.update({id_: msgspec.structs.replace(view, environment=id_) for id_ in many}),
    )
    assert len(json.loads(run("status", "--json")[1])["environments"]) == 2108


def test_one_environment_by_its_id_or_the_path_of_its_file(run: Run, fake: FakeService) -> None:  # noqa: ARG001
    code, out, _ = run("status", "team/nlp")
    assert code == 0
    assert out.startswith("team/nlp\n  state              ready for ")
    assert "built in 11s" in out
    assert "numpy is new" in out
    assert run("status", "/home/ada/envs/team/nlp/env.yml")[1] == out
    assert run("status", "/home/ada/envs/team/nlp")[1] == out
    code, _, err = run("status", "trainin")
    assert code == 6
    assert "did you mean 'training'?" in err


@pytest.mark.parametrize("id_", ["a b/ü?x#y%2F", "team/build", "b\udcffd", "two\nlines"])
def test_an_odd_id_is_found_and_printed_harmlessly(run: Run, fake: FakeService, id_: str) -> None:
    fake.on_loop(
        lambda: fake.all.update({id_: msgspec.structs.replace(fake.all["scratch"], environment=id_)}),
    )
    code, out, _ = run("status", id_, "--json")
    assert code == 0
    assert json.loads(out)["environment"] == id_
    assert run("status")[1].count("\n") == len(ALL) + 2


def test_a_template_is_filled_for_each(run: Run, fake: FakeService) -> None:
    assert run("status", "--format", "{mark}{state} {name} {{{id}}}", "team/nlp") == (0, "+ready nlp {team/nlp}\n", "")
    _, out, _ = run("status", "--format", "{short} {image} {environment} {build}", "--state", "building")
    view = fake.all["speech"]
    assert view.image is not None
    assert out == f"{view.image[16:28]} {view.image} speech {view.build}\n"
    assert run("status", "--format", "x", "--state", "ready")[1] == "x\nx\nx\n"


@pytest.mark.parametrize(
    "template", ["{nome}", "{state.__class__}", "{state[0]}", "{state!r}", "{state:>9}", "{}", "{0}", "{state", "}"]
)
def test_a_template_that_reaches_further_is_refused(run: Run, fake: FakeService, template: str) -> None:  # noqa: ARG001
    code, out, err = run("status", "--format", template)
    assert (code, out) == (2, "")
    assert "--format" in err
    if template not in ("{state", "}"):
        assert "is no field; there are {environment}, {id}, {name}" in err


@pytest.mark.parametrize(
    "words", [("--json", "--watch"), ("--json", "--format", "x"), ("training", "--state", "ready"), ("--state", "x")]
)
def test_options_that_do_not_go_together(run: Run, words: tuple[str, ...]) -> None:
    assert run("status", *words)[0] == 2


def test_what_is_wrong_with_the_service_is_said_beside_the_answer(run: Run, fake: FakeService) -> None:
    fake.disconnect_engine()
    fake.on_loop(lambda: setattr(fake, "paused", True))
    code, out, err = run("status")
    assert code == 0
    assert out
    assert "the engine does not answer" in err
    assert "start Docker" in err
    assert "envkiln resume" in err


def test_the_index_answers_while_the_service_is_down_and_says_how_old_it_is(run: Run, tmp_path: Path) -> None:
    view: dict[str, Any] = {"environment": "a", "state": "ready", "image": "azureml/azureml_" + "1" * 32}
    index = Index(tmp_path / "state" / "index-v1")
    index.store_views({"a": view}, (), 0.0)
    index.add_build("a", {"build": "x", "environment": "a", "image": view["image"], "definition": "text"})
    index.close()
    code, out, err = run("status")
    assert code == 0
    assert out.startswith("+ a  ready     111111111111")
    assert "the service is not running, as it was " in err
    answer = json.loads(run("status", "--json")[1])
    assert (answer["running"], answer["service"], answer["counts"]) == (False, None, {"ready": 1})
    assert answer["age"] > 0
    detail = json.loads(run("status", "a", "--json")[1])
    assert (detail["definition"], detail["builds"][0]["build"]) == ("text", "x")
    assert run("status", "--format", "{state}", "a")[:2] == (0, "ready\n")
