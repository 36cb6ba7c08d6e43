"""Background processes that outlive the script: start, find, stop."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from steps import TestbedError, last_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def running_pid(pidfile: Path, mark: str) -> int | None:
    """The process named by a pid file, if it lives and its command line holds `mark`.

    The mark guards against a number that now belongs to somebody else's process.
    """
    try:
        pid = int(pidfile.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError):
        return None
    return pid if mark.encode() in command and state != "Z" else None


def start(command: Sequence[str | Path], log: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own; its output is appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(env),
            cwd="/",
            start_new_session=True,
        )


def wait_until(
    ready: Callable[[], bool],
    process: subprocess.Popen[bytes],
    log: Path,
    what: str,
    seconds: float,
) -> None:
    """Wait for a started process to answer; raise with the end of its log if it does not."""
    deadline = time.monotonic() + seconds
    while not ready():
        ended = process.poll()
        if ended is not None or time.monotonic() > deadline:
            if ended is None:
                process.terminate()
                why = f"did not answer within {seconds:.0f} s"
            else:
                why = f"ended with {ended}"
            said = last_lines(log.read_text(errors="replace"))
            raise TestbedError(f"{what} {why}; the end of its log:\n{said}", f"whole log: {log}")
        time.sleep(0.05)
    # It is meant to outlive us: without this, Python warns about it at exit.
    process.returncode = 0


def stop(pidfile: Path, mark: str, seconds: float = 30.0) -> bool:
    """Ask a process to end, insist after `seconds`; tells whether there was one."""
    pid = running_pid(pidfile, mark)
    if pid is None:
        return False
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + seconds
        while running_pid(pidfile, mark) == pid and time.monotonic() < deadline:
            time.sleep(0.05)
    return True
