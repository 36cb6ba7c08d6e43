"""How far a build is, read from what it prints: pure, and never more than a hint.

Understood are the plain output of `docker buildx` (`#7 [stage-0 3/9] RUN ...`), that of the classic builder
(`Step 3/9 : RUN ...`), and what conda and pip say on their way.
"""

import re

from envkiln.daemon.messages import ProgressView

PHASES = ("context", "base", "solve", "download", "link", "pip", "steps", "export")
_LONGEST_TEXT = 120

_BUILDX_STEP = re.compile(r"#(\d+) \[(?:([\w.-]+) )?(\d+)/(\d+)\] (.*)")
_CLASSIC_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)")
_AGE = re.compile(r"^(?:#\d+ )?(?:\d+\.\d+ )?")
# The first that fits counts. A line of conda or pip stands anywhere in a step's output.
_SIGNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("context", re.compile(r"\[internal\] load (remote build context|build context|build definition|\.dockerignore)|Sending build context")),
    ("base", re.compile(r"\[internal\] load metadata|^Pulling from |: Pulling fs layer|^resolve \S+@sha256|Step \d+/\d+ : FROM|\d/\d+\] FROM")),
    ("export", re.compile(r"^(exporting |writing image|naming to|unpacking to|Successfully (built|tagged) [\w/.:-]+$)")),
    ("solve", re.compile(r"^(Collecting package metadata|Solving environment|Channels:|Retrieving notices)")),
    ("download", re.compile(r"^(Downloading and Extracting Packages|The following packages will be downloaded)")),
    ("link", re.compile(r"^(Preparing|Verifying|Executing) transaction")),
    ("pip", re.compile(r"^(Installing pip dependencies|Ran pip subprocess|Collecting \S|Installing collected packages|Looking in indexes)")),
    ("steps", re.compile(r"Step \d+/\d+ : |\[[^\]]*\d+/\d+\] ")),
)  # fmt: skip


def phase_of(line: str) -> str | None:
    """Return the phase that a line of output begins, None for a line that says nothing about it."""
    said = _AGE.sub("", line)
    return next((phase for phase, sign in _SIGNS if sign.search(said)), None)


class Progress:
    """Of one build: it is fed every line, and says where the build is."""

    def __init__(self) -> None:
        self._phase = ""
        self._since = 0.0
        self._seconds: dict[str, float] = {}
        self._steps: dict[str, tuple[int, int, str]] = {}
        """By stage: the highest step that began, of how many, and its instruction."""

    def note(self, line: str, now: float) -> bool:
        """Take a line said at `now` (seconds, of any clock); returns whether it changes what is shown."""
        stepped = self._note_step(line)
        phase = phase_of(line)
        # Stages run side by side: a step that begins in one does not end what conda does in another.
        if phase is None or phase == self._phase or (phase == "steps" and self._phase and not stepped):
            return stepped
        if self._phase:
            self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = phase, now
        return True

    def view(self) -> ProgressView:
        """Return where the build is; the stage with the most steps is the one that counts."""
        phase = self._phase or "context"
        if not self._steps:
            return ProgressView(phase=phase)
        step, steps, text = max(self._steps.values(), key=lambda it: (it[1], it[0]))
        return ProgressView(phase=phase, step=step, steps=steps, text=text)

    def seconds(self, now: float) -> dict[str, float]:
        """Return how long each phase has taken until `now`."""
        if not self._phase:
            return {}
        running = self._seconds.get(self._phase, 0.0) + max(0.0, now - self._since)
        return self._seconds | {self._phase: running}

    def _note_step(self, line: str) -> bool:
        buildx, classic = _BUILDX_STEP.match(line), _CLASSIC_STEP.match(line)
        if buildx is not None:
            stage, (step, steps), text = buildx[2] or "", (buildx[3], buildx[4]), buildx[5]
        elif classic is not None:
            stage, (step, steps), text = "", (classic[1], classic[2]), classic[3]
        else:
            return False
        if len(steps) > 4 or int(step) > int(steps):
            return False  # a step's own output that looks like one
        before = self._steps.get(stage)
        if before is not None and before[0] >= int(step):
            return False
        self._steps[stage] = (int(step), int(steps), " ".join(text.split())[:_LONGEST_TEXT])
        return True
