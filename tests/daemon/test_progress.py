"""Where a build is, by what it prints."""

from hypothesis import given
from hypothesis import strategies as st

from envkiln.daemon.estimate import estimate, remaining
from envkiln.daemon.messages import ProgressView
from envkiln.daemon.progress import PHASES, Progress, phase_of

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
