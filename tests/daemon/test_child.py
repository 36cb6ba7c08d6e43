"""Programs that work for the daemon end with it."""

import subprocess
import sys

from running import processes_with, until

PROGRAM = """
import asyncio
from envkiln.daemon.child import run_child
environment = {"PATH": "/bin:/usr/bin"}
asyncio.run(run_child(["sleep", "54.987"], environment, open("/dev/null", "rb"), print))
"""


def test_a_killed_daemon_takes_its_build_along() -> None:
    with subprocess.Popen([sys.executable, "-P", "-c", PROGRAM]) as process:
        try:
            until(lambda: any(line.startswith("sleep 54.987") for line in processes_with("sleep 54.987")), "it runs")
        finally:
            process.kill()
    until(lambda: not processes_with("sleep 54.987"), "it has ended")
