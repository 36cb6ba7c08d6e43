"""How far a build is, read from what it prints: pure, and never more than a hint.

Understood are the plain output of `docker buildx` (`#7 [stage-0 3/9] RUN ...`), that of the classic builder
(`Step 3/9 : RUN ...`), and what conda and pip say on their way.
"""

import re

from envkiln.daemon.messages import ProgressView

PHASES = ("context", "base", "solve", "download", "link", "pip", "steps", "export")
_TOOLS = ("solve", "download", "link", "pip")
_LONGEST_TEXT = 120
_LOOKED_AT = 500
"""Characters of a line that are looked at: a step may print a line of any length, and this runs on the event loop."""

# BuildKit pads the number of a step ([stage-1  2/12]) and names the platform where it is not the builder's own
# ([linux/arm64 stage-1 2/12]). Digits are limited: beyond some thousands of them `int` raises.
_OF = r"([0-9]{1,4})/([0-9]{1,4})"
_BUILDX_STEP = re.compile(rf"#[0-9]+ \[(?:([^\]]{{1,100}}?) +| *){_OF}\] (.*)")
_CLASSIC_STEP = re.compile(rf"Step {_OF} : (.*)")
AGE = re.compile(r"^(?:#\d+ )?(?:\d+\.\d+ )?")
# The first that fits counts. The web page uses them too: what they say must mean the same in JavaScript. Each stands
# at the beginning, and what it repeats is limited: no line makes one slow.
SIGNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (phase, re.compile(f"^(?:{'|'.join(signs)})"))
    for phase, *signs in (
        (
            "context",
            r"\[internal\] load (?:remote build context|build context|build definition|\.dockerignore)",
            "Sending build context",
        ),
        (
            "base",
            r"\[internal\] load metadata",
            r"(?:\S{1,200}: )?Pulling (?:from|fs layer)",
            r"resolve \S+@sha256",
            r"Step [0-9]{1,4}/[0-9]{1,4} : FROM",
            r"\[[^\]]{0,100}\b[0-9]{1,4}/[0-9]{1,4}\] FROM",
        ),
        (
            "export",
            "exporting (?:to (?:image|docker|oci|client)|layers|manifest|config|attestation)",
            "writing image sha256",
            "naming to",
            "unpacking to",
            "Successfully built [0-9a-f]{12}$",  # of the engine; pip says it of packages
            r"Successfully tagged \S+:\S+$",
        ),
        ("solve", "Collecting package metadata", "Solving environment", "Channels:", "Retrieving notices"),
        ("download", "Downloading and Extracting Packages", "The following packages will be downloaded"),
        ("link", "(?:Preparing|Verifying|Executing) transaction"),
        (
            "pip",
            "Installing pip dependencies",
            "Ran pip subprocess",
            r"Collecting \S",
            "Building wheels? for",
            "Installing collected packages",
            "Looking in indexes",
        ),
        ("steps", "Step [0-9]{1,4}/[0-9]{1,4} : ", r"\[[^\]]{0,100}\b[0-9]{1,4}/[0-9]{1,4}\] "),
    )
)


def phase_of(line: str) -> str | None:
    """Return the phase that a line of output begins, None for a line that says nothing about it."""
    said = AGE.sub("", line[:_LOOKED_AT])
    return next((phase for phase, sign in SIGNS if sign.search(said)), None)


class Progress:
    """Of one build: it is fed every line, and says where the build is."""

    def __init__(self) -> None:
        self._phase = ""
        self._since = 0.0
        self._seconds: dict[str, float] = {}
        self._steps: dict[str, tuple[int, int, str]] = {}
        """By stage: the highest step that began, of how many, and its instruction."""
        self._syntax: re.Pattern[str] | None = None
        """How this builder says its steps, once it has said one: a step may print what looks like the other's."""

    def note(self, line: str, now: float) -> bool:
        """Take a line said at `now` (seconds, of any clock); returns whether it changes what is shown."""
        shown = self._shown()
        self._note_step(line[:_LOOKED_AT])
        stepped = self._shown() != shown
        phase = phase_of(line)
        if phase is None or phase == self._phase or (not stepped and self._goes_on_despite(phase)):
            return stepped
        if self._phase:
            self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + max(0.0, now - self._since)
        self._phase, self._since = phase, now
        return True

    def view(self) -> ProgressView:
        """Return where the build is; the stage with the most steps is the one that counts."""
        phase, shown = self._phase or "context", self._shown()
        if shown is None:
            return ProgressView(phase=phase)
        step, steps, text = shown
        return ProgressView(phase=phase, step=step, steps=steps, text=text)

    def seconds(self, now: float) -> dict[str, float]:
        """Return how long each phase has taken until `now`."""
        if not self._phase:
            return {}
        running = self._seconds.get(self._phase, 0.0) + max(0.0, now - self._since)
        return self._seconds | {self._phase: running}

    def _shown(self) -> tuple[int, int, str] | None:
        return max(self._steps.values(), key=lambda it: (it[1], it[0]), default=None)

    def _goes_on_despite(self, phase: str) -> bool:
        """Stages run side by side: what begins in another one does not end what conda does in the one that counts."""
        return bool(self._phase) and (phase == "steps" or (phase in ("context", "base") and self._phase in _TOOLS))

    def _note_step(self, line: str) -> None:
        for syntax in (_BUILDX_STEP, _CLASSIC_STEP) if self._syntax is None else (self._syntax,):
            found = syntax.match(line)
            if found is None:
                continue
            *stages, step, steps, text = found.groups()
            stage, number, total = " ".join(stages[0].split()) if stages and stages[0] else "", int(step), int(steps)
            before = self._steps.get(stage)
            if not 1 <= number <= total or (before is not None and (before[0] >= number or before[1] != total)):
                continue  # seen, or a step's own output that looks like one
            self._syntax = syntax
            self._steps[stage] = (number, total, " ".join(text.split())[:_LONGEST_TEXT])
