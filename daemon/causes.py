"""Why a build failed, read from the end of its log."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from envkiln.daemon.cause_rules import RULES, Rule
from envkiln.daemon.log_lines import cleaned

TAIL = 200
"""How many last lines of a log are looked at."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a build failed and what to do; `passing` says whether it may go away with nothing changed."""

    message: str
    hint: str | None = None
    passing: bool = False


_PREFIX = re.compile(r"^(?:#\d+ )?(?:\d+\.\d{2,3} )?")
_DAMAGED = re.compile(r"CondaVerificationError|appears to be corrupted|InvalidArchiveError")
_ITEM = re.compile(r"^\s+- +(\S.*?)\s*$")
_EXIT = re.compile(r"exit code:? (\d+)|non-zero code: (\d+)")
# What builders say around the output of a step; nothing of it tells why the step failed.
_NOISE = re.compile(
    r"^(?:-+|\[notice\].*|\s*\d+ \| .*|> \[.*|Dockerfile:\d+|\S+/Dockerfile:\d+|ERROR: (?:failed to (?:build"
    r"|solve)|process).*"
    r"|(?:Removing intermediate container|---> ).*|The command .* returned a non-zero code.*|CANCELED|DONE.*"
    r"|CACHED|\[.*|\.\.\.|sha256:.*|View build details.*)?$"
)


def explain_failure(lines: Sequence[str]) -> Cause:
    """Return why the build with these log lines failed, as well as they tell. Pure."""
    tail = [_PREFIX.sub("", _middle_cut(cleaned(line))) for line in lines[-TAIL:]]
    for rule in RULES:
        for index in reversed(range(len(tail))):
            if match := rule.pattern.search(tail[index]):
                return _cause(rule, match, tail[index + 1 :])
    return _generic(tail)


def is_damaged_cache(lines: Sequence[str]) -> bool:
    """Whether a build failed over a damaged conda package cache, which a fresh one heals."""
    return any(_DAMAGED.search(line) for line in lines[-TAIL:])


def _cause(rule: Rule, match: re.Match[str], below: Sequence[str]) -> Cause:
    found = next((group for group in match.groups() if group), "")
    message = rule.message.format(_short(found))
    if rule.listed and (items := list(_items(below))):
        message += f": {_short(', '.join(items))}"
    # Nothing was captured: the sentence ends before its detail.
    return Cause(re.sub(r"(?:: *| \(\)| for *)$", "", message), rule.hint, rule.passing)


def _items(below: Sequence[str]) -> Iterator[str]:
    """The `  - package` lines that conda prints below some of its messages, until the list ends."""
    started = False
    for line in below[:40]:
        if match := _ITEM.match(line):
            started = True
            yield match[1]
        elif started and line.strip():
            return


def _generic(tail: Sequence[str]) -> Cause:
    said = next((line for line in reversed(tail) if not _NOISE.match(line.strip())), None)
    code = next((match for line in reversed(tail) if (match := _EXIT.search(line))), None)
    how = f"a step of the build failed with exit code {code[1] or code[2]}" if code else "the build failed"
    if said is None:
        # Only the builder spoke: its last word is all there is.
        said = next((line for line in reversed(tail) if line.strip(" -")), None)
    return Cause(f"{how}: {_short(said.strip())}" if said else how, "the build's log has the details")


def _middle_cut(line: str) -> str:
    """No cause needs a longer line, and some patterns take time that grows with its square."""
    return line if len(line) <= 1000 else f"{line[:500]} … {line[-500:]}"


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:199]}…"
