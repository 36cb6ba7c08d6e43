"""The command hook: a program that is run for each notice."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from envkiln.cache.redact import redact
from envkiln.daemon.child import run_child
from envkiln.daemon.journal import encoded
from envkiln.daemon.notices import Notice
from envkiln.daemon.notify import NotifyError
from envkiln.daemon.text import one_line

LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Command:
    """A program and its arguments, run without a shell. `source` says where it was configured."""

    words: tuple[str, ...]
    source: str = field(default="", compare=False)
    limit_s: float = field(default=LIMIT_S, compare=False)

    @property
    def name(self) -> str:
        return f"the command of {self.source}" if self.source else "the command"

    async def send(self, notice: Notice) -> None:
        first, *rest = self.words
        program = _found(first)
        if program is None:
            raise NotifyError(f"there is no program {first!r}", hint="name one that is in PATH, or its whole path")
        last = ""

        def take(line: str) -> None:
            nonlocal last
            last = line.strip() or last

        with tempfile.TemporaryFile() as stdin:
            stdin.write(encoded(notice.message) + b"\n")
            stdin.seek(0)
            try:
                async with asyncio.timeout(self.limit_s):
                    code = await run_child([program, *rest], variables(notice, os.environ), stdin, take)
            except TimeoutError:
                raise NotifyError(f"it did not end within {self.limit_s:g} s and was stopped") from None
        if code != 0:
            said = f": {one_line(redact(last))[:200]}" if last else ""
            raise NotifyError(f"it ended with exit code {code}{said}")

    async def close(self) -> None:
        pass


def _found(program: str) -> str | None:
    return shutil.which(str(Path(program).expanduser()) if program.startswith("~/") else program)


def variables(notice: Notice, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the program: ours, what the notice says, and not the secrets of other channels."""
    said = {
        "ENVKILN_EVENT": notice.kind,
        "ENVKILN_ENVIRONMENT": notice.environment,
        "ENVKILN_STATE": notice.state,
        "ENVKILN_IMAGE": notice.image or "",
        "ENVKILN_REASON": notice.body.replace("\0", ""),
    }
    return {name: value for name, value in environ.items() if not name.startswith("ENVKILN_NOTIFY_")} | said
