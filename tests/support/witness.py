"""Azure ML's own clients as witnesses: the same case is run with theirs, in a process of theirs, and with ours.

On `pythonpath` (pyproject.toml): test files import it as `witness`.
"""

import inspect
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from witness_program import CLIENTS, run_case

from envkiln.daemon import azureml_sdk

PROJECT = Path(__file__).resolve().parents[2]
_PYTHON = PROJECT / "build" / "witness" / "bin" / "python"
_PATIENCE_S = 240.0

Case = Callable[..., Any]
"""Takes the client and arguments that JSON can carry; returns what JSON can carry. At the top of a module that
imports nothing but the standard library."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a case did: `error` is (type, message) or None, `logged` are the warnings."""

    value: Any
    error: tuple[str, str] | None
    printed: str
    logged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Witness:
    """One client: `azureml-core` or `azure-ai-ml`. Importing one takes a second: ask for many cases at once."""

    client: str

    def __post_init__(self) -> None:
        assert self.client in CLIENTS

    def tell(self, calls: Iterable[tuple[Case, Sequence[Any]]]) -> list[Outcome]:
        """Return what each (case, arguments) does with the real client, in order."""
        named = [(inspect.getsourcefile(case), case.__name__, list(given)) for case, given in calls]
        asked = json.dumps({"client": self.client, "calls": named})
        program = Path(__file__).with_name("witness_program.py")
        environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        done = subprocess.run(
            [str(_PYTHON), str(program)],
            input=asked,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_S,
            env=environ,
        )
        assert done.returncode == 0, done.stderr
        return [_outcome(found) for found in json.loads(done.stdout)]


def ours(case: Case, client: Any, arguments: Sequence[Any] = ()) -> Outcome:
    """Return what a case does with `client`, a module of ours, in this process."""
    return _outcome(run_case(case, client, json.loads(json.dumps(list(arguments)))))


def install() -> None:
    """Make build/witness, where it is not there yet."""
    subprocess.run([str(PROJECT / "scripts" / "witness")], check=True)


def _outcome(found: dict[str, Any]) -> Outcome:
    error = tuple(found["error"]) if found["error"] else None
    return Outcome(found["value"], error, found["printed"], tuple(found["logged"]))


def same_as_ours(witness: Witness, calls: Sequence[tuple[Case, Sequence[Any]]], client: Any = azureml_sdk) -> None:
    """Assert that every call does the same with the real client and with ours.

    Errors are compared up to what ours add to help; of what is printed and logged the words count, not the order of
    the two.
    """
    for (case, given), theirs in zip(calls, witness.tell(calls), strict=True):
        assert _comparable(ours(case, client, given)) == _comparable(theirs), (case.__name__, given)


def _comparable(outcome: Outcome) -> Outcome:
    if outcome.error is None:
        return outcome
    kind, message = outcome.error
    # The last line of the client's own text is the end of a JSON. Some of its sentences have a row of spaces in them.
    message = re.sub(r"(?<=\n\})\n.*", "", message, flags=re.DOTALL)
    return replace(outcome, error=(kind, re.sub(r"(?<=\S) {2,}(?=\S)", " ", message)))
