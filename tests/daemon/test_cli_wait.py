"""`wait` and `image`: what ends the waiting, and with which code."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_service import FakeService
from running import until

Run = Callable[..., tuple[int, str, str]]


def _when_waiting(fake: FakeService, id_: str, then: Callable[[], None]) -> threading.Thread:
    """Run `then` when a command has asked for a look at `id_`."""

    def work() -> None:
        until(lambda: ("look", id_) in fake.asked, "somebody who waits")
        then()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_what_is_ready_is_answered_at_once(run: Run, fake: FakeService) -> None:
    assert run("wait", "training") == (0, f"training: ready {fake.all['training'].image}\n", "")
    assert ("look", "training") in fake.asked, "the files as they are now"


def test_whoever_waits_hears_of_the_end(run: Run, fake: FakeService) -> None:
    thread = _when_waiting(fake, "speech", lambda: fake.finish("speech"))
    code, out, err = run("wait", "speech", "--timeout", "30")
    thread.join()
    assert (code, out) == (0, f"speech: ready {fake.all['speech'].image}\n")
    assert all("speech: step " in line for line in err.splitlines()), "elsewhere than on a terminal, whole lines"


def test_one_that_fails_is_a_failure_with_its_cause(run: Run, fake: FakeService) -> None:  # noqa: ARG001
    code, out, err = run("wait", "vision")
    assert (code, out) == (1, "")
    assert err == "vision: failed: torch 99.1 is in none of the channels\n  ask for a version that exists\n"
    assert run("wait", "broken")[0] == 1


def test_several_are_waited_for_and_all_are_told_of(run: Run, fake: FakeService) -> None:
    thread = _when_waiting(fake, "speech", lambda: fake.finish("speech"))
    code, out, err = run("wait", "training", "speech", "scratch", "vision", "training")
    thread.join()
    assert code == 1, "one has failed"
    assert sorted(line.split(" azureml")[0] for line in out.splitlines()) == [
        "scratch: named",
        "speech: ready",
        "training: ready",
    ]
    assert "vision: failed" in err


def test_with_any_the_first_that_is_ready_is_enough(run: Run, fake: FakeService) -> None:
    code, out, _ = run("wait", "--any", "speech", "training", "vision")
    assert code == 0
    assert f"training: ready {fake.all['training'].image}\n" in out
    assert "speech" not in out
    assert run("wait", "--any", "broken", "vision")[0] == 1, "none can become ready"
    assert run("wait", "--any", "broken", "speech", "--timeout", "0")[0] == 5, "one still can"


def test_whoever_has_no_time_is_told_what_is_still_going_on(run: Run, fake: FakeService) -> None:  # noqa: ARG001
    code, out, err = run("wait", "speech", "training", "gpu/cuda", "--timeout", "0.01")
    assert code == 5
    assert out.startswith("training: ready ")
    assert "speech: still building after 0.01 s: no image of this name" in err
    assert "gpu/cuda: still queued" in err


def test_the_result_as_json(run: Run, fake: FakeService) -> None:  # noqa: ARG001
    code, out, _ = run("wait", "speech", "training", "--timeout", "0", "--json")
    answer = json.loads(out)
    assert (code, answer["outcome"]) == (5, "timed_out")
    assert [view["state"] for view in answer["environments"]] == ["building", "ready"]
    assert json.loads(run("wait", "training", "--json")[1])["outcome"] == "done"


def test_the_phases_of_a_build_are_told_line_by_line(run: Run, fake: FakeService) -> None:
    fake.progress("speech", 4, "pip", "Collecting idna")
    code, _, err = run("wait", "speech", "--timeout", "0.01")
    assert code == 5
    assert err.startswith("speech: step 4"), err
    code, _, err = run("wait", "gpu/cuda", "--timeout", "0.01")
    assert code == 5
    assert err.startswith("gpu/cuda: queued: no image of this name\n")


def test_one_that_nobody_knows_is_looked_for_first(run: Run, fake: FakeService) -> None:
    code, _, err = run("wait", "traning")
    assert code == 6
    assert "did you mean 'training'?" in err
    assert ("look", None) in fake.asked, "it may have been made a moment ago"


def test_one_that_goes_while_somebody_waits_is_unknown(run: Run, fake: FakeService) -> None:
    thread = _when_waiting(fake, "speech", lambda: fake.remove("speech"))
    code, _, err = run("wait", "speech", "--timeout", "30")
    thread.join()
    assert code == 6
    assert err.endswith("speech: gone\n")


def test_without_a_service_there_is_nothing_to_wait_for(run: Run) -> None:
    code, out, err = run("wait", "a")
    assert (code, out) == (4, "")
    assert "start it with: envkiln up" in err


@pytest.mark.parametrize("words", [(), ("a", "--timeout", "-1")])
def test_a_wrong_question(run: Run, words: tuple[str, ...]) -> None:
    assert run("wait", *words)[0] == 2


def test_the_reference_of_an_image(run: Run, fake: FakeService, tmp_path: Path) -> None:  # noqa: ARG001
    reference = f"{fake.all['training'].image}:latest"
    assert run("image", "training") == (0, f"{reference}\n", "")
    assert json.loads(run("image", "training", "--json")[1]) == {"environment": "training", "image": reference}
    fake.save("training")
    code, out, err = run("image", "training")
    assert (code, out) == (1, "")
    assert "envkiln image --last-good training" in err
    assert run("image", "training", "--last-good")[1] == f"{reference}\n"
