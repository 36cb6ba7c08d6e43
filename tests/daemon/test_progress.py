"""Where a build is, by what it prints. `logs/` has real logs of both builders, made on the test bed."""

import time
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envkiln.daemon.estimate import estimate, remaining
from envkiln.daemon.messages import ProgressView
from envkiln.daemon.progress import PHASES, Progress, phase_of

LOGS = Path(__file__).parent / "logs"
BUILDX = """\
#0 building with "default" instance using docker driver
#1 [internal] load remote build context
#2 copy /context /
#3 [internal] load metadata for docker.io/envkiln-testbed/conda:26
#4 [stage-0 1/4] FROM docker.io/envkiln-testbed/conda:26
#5 [stage-0 2/4] COPY azureml-environment-setup/mutated_conda_dependencies.yml /x.yml
#6 [stage-0 3/4] RUN conda env create -p /azureml-envs/azureml_1 -f /x.yml
#6 1.512 Channels:
#6 2.031 Solving environment: ...working... done
#6 3.100 Downloading and Extracting Packages: ...working... done
#6 4.200 Preparing transaction: ...working... done
#6 4.300 Executing transaction: ...working... done
#6 5.000 Installing pip dependencies: ...working... Ran pip subprocess with arguments:
#6 DONE 6.2s
#7 [stage-0 4/4] RUN mkdir -p /x
#8 exporting to image
#8 writing image sha256:1 done
""".splitlines()
CLASSIC = """\
Step 1/3 : FROM envkiln-testbed/conda:26
 ---> 1
Step 2/3 : RUN conda env create -f x.yml
 ---> Running in 2
Solving environment: done
Executing transaction: done
Step 3/3 : LABEL a=b
Successfully built 0123456789ab
""".splitlines()


def logged(name: str) -> list[str]:
    return (LOGS / f"{name}.log").read_text().splitlines()


def views(lines: list[str]) -> list[ProgressView]:
    """Return what is shown after each line."""
    progress, seen = Progress(), []
    for second, line in enumerate(lines):
        progress.note(line, float(second))
        seen.append(progress.view())
    return seen


def fed(lines: list[str]) -> Progress:
    progress = Progress()
    for second, line in enumerate(lines):
        progress.note(line, float(second))
    return progress


def test_steps_and_phases_of_buildx() -> None:
    seen = [fed(BUILDX[: end + 1]).view() for end in range(len(BUILDX))]
    phases = [view.phase for number, view in enumerate(seen) if number == 0 or seen[number - 1].phase != view.phase]
    assert phases == ["context", "base", "steps", "solve", "download", "link", "pip", "steps", "export"]
    assert (seen[8].step, seen[8].steps) == (3, 4)
    assert seen[8].text.startswith("RUN conda env create")


def test_steps_and_phases_of_the_classic_builder() -> None:
    assert fed(CLASSIC[:5]).view() == ProgressView(phase="solve", step=2, steps=3, text="RUN conda env create -f x.yml")
    assert fed(CLASSIC).view().phase == "export"


def test_the_seconds_of_the_phases_add_up() -> None:
    progress = fed(BUILDX)
    seconds = progress.seconds(20.0)
    assert seconds["solve"] == 2.0
    assert sum(seconds.values()) == 19.0  # the first line says nothing about a phase
    assert seconds.keys() <= set(PHASES)


@pytest.mark.parametrize(
    ("name", "phases"),
    [
        ("conda-buildx", ["context", "base", "steps", "solve", "download", "link", "pip", "steps", "export"]),
        ("conda-classic", ["context", "base", "steps", "solve", "download", "link", "pip", "steps", "export"]),
        ("stages-buildx", ["context", "base", "steps", "export"]),
        ("stages-classic", ["context", "base", "steps", "base", "steps", "export"]),
    ],
)
def test_the_phases_of_a_real_build(name: str, phases: list[str]) -> None:
    assert [phase for phase, _ in groupby(view.phase for view in views(logged(name)))] == phases


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("conda-buildx", [(step, 9) for step in range(1, 9)]),
        ("conda-classic", [(step, 16) for step in range(1, 17)]),
        # The first stage has 2 steps; those of the second are padded ([stage-1  2/12]).
        ("stages-buildx", [(1, 2), *((step, 12) for step in range(2, 13))]),
        ("stages-classic", [(step, 16) for step in range(1, 17)]),
    ],
)
def test_the_steps_of_a_real_build(name: str, steps: list[tuple[int, int]]) -> None:
    shown = [(view.step, view.steps) for view in views(logged(name)) if view.step is not None]
    assert [step for step, _ in groupby(shown)] == steps


@pytest.mark.parametrize("name", ["conda-buildx", "conda-classic", "stages-buildx", "stages-classic"])
def test_note_says_when_what_is_shown_changes(name: str) -> None:
    progress = Progress()
    for second, line in enumerate(logged(name)):
        before = progress.view()
        assert progress.note(line, float(second)) or progress.view() == before


def test_pip_that_has_built_a_package_is_not_the_end_of_the_build() -> None:
    assert phase_of("#9 2.850 Successfully built idna") is None
    assert phase_of("Successfully built idna") is None
    assert phase_of("Successfully built 0123456789ab") == "export"


def test_a_stage_beside_the_one_that_counts_does_not_end_what_conda_does() -> None:
    progress = fed(["#6 [stage-1 2/9] RUN conda", "#6 1.0 Solving environment: ...working..."])
    assert not progress.note("#7 [certificates 2/3] RUN b", 3.0)
    assert progress.view().phase == "solve"
    assert progress.note("#8 [stage-1 3/9] RUN c", 4.0)
    assert progress.view().phase == "steps"


def test_the_platform_of_a_stage_is_read_over() -> None:
    view = fed(["#7 [linux/arm64 stage-1  3/12] RUN a", "#8 [linux/arm64 4/5] RUN b"]).view()
    assert (view.step, view.steps) == (3, 12)


def test_a_build_inside_a_build_is_not_taken_for_the_build() -> None:
    inner = ["#5 [nonsense 3/90] RUN x", "Step 9/99 : RUN y"]
    assert fed(["Step 1/3 : FROM base", "Step 2/3 : RUN x", *inner]).view().steps == 3
    assert fed(["#5 [stage-0 1/3] FROM base", *(f"#6 0.1 {line}" for line in inner)]).view().steps == 3


def test_a_pull_by_the_engine_is_the_base() -> None:
    assert phase_of("3.11: Pulling from library/python") == phase_of("0a1b2c3d4e5f: Pulling fs layer") == "base"


@pytest.mark.parametrize("line", ["Step " + "1" * 5000 + "/9 : x", "#1 [a 1/" + "9" * 5000 + "] x", "Step 0/0 : x"])
def test_numbers_that_are_none_of_a_step_are_not_believed(line: str) -> None:
    assert fed([line]).view().step is None


@pytest.mark.parametrize("unit", ["[", "[1", "1", "1/", "#1 [", " ", "a: "])
def test_a_line_of_any_length_is_read_at_once(unit: str) -> None:
    line = (unit * 16384)[:16384]
    started = time.process_time()
    fed([line, f"#1 [{line}", f"#1 0.1 {line}"])
    assert time.process_time() - started < 0.2  # it was seconds once


def test_a_clock_that_goes_back_takes_no_time_away() -> None:
    progress = Progress()
    progress.note("Step 1/3 : FROM base", 100.0)
    progress.note("Step 2/3 : RUN x", 50.0)
    assert progress.seconds(40.0) == {"base": 0.0, "steps": 0.0}


def test_a_line_that_changes_nothing_says_so() -> None:
    progress = Progress()
    assert progress.note("Step 1/3 : FROM base", 0.0)
    assert not progress.note("Step 1/3 : FROM base", 1.0)
    assert not progress.note("something else", 2.0)


def test_the_largest_stage_counts() -> None:
    progress = fed(["#5 [certificates 1/2] FROM base", "#6 [stage-1 2/9] RUN a", "#7 [certificates 2/2] RUN b"])
    assert (progress.view().step, progress.view().steps) == (2, 9)


def test_a_step_that_prints_steps_of_its_own_is_not_believed_beyond_its_number() -> None:
    assert fed(["Step 9/3 : nonsense"]).view().step is None


@given(st.lists(st.text() | st.sampled_from(BUILDX + CLASSIC) | st.from_regex(r"(#\d+ )?\[?\w* ?\d+/\d+\]? .*")))
def test_any_output_is_read(lines: list[str]) -> None:
    view = fed(lines).view()
    assert view.phase in PHASES
    assert (view.step or 0) <= (view.steps or 0)
    assert all(phase_of(line) in {None, *PHASES} for line in lines)


def test_an_estimate_is_the_median_of_the_last_good_builds() -> None:
    assert estimate([]) is None
    assert estimate([3.0]) == 3.0
    assert estimate([10.0, 1.0, 11.0, 12.0, 9.0, 500.0]) == 10.0


def test_what_remains_is_never_negative() -> None:
    assert remaining(None, 5.0) is None
    assert remaining(10.0, 4.0) == 6.0
    assert remaining(10.0, 40.0) == 0.0
