"""Runs the examples of a document: its files are written, its commands run, their output put in place.

In a document with MARK, a fence such as ```` ```yaml env.yml ```` is a file, and every line `$ COMMAND` of a
```` ```console ```` fence is run; what it prints stands below it. `<!-- new directory -->` begins with an empty
directory `envs` again. To write the output of today into a document:

    .venv/bin/python tests/support/doc_examples.py docs/names.md
"""

import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from envkiln.daemon.cli import main

PROJECT = Path(__file__).resolve().parents[2]
MARK = "<!-- examples: tests/test_docs.py runs them -->"
_FENCE = re.compile(r"<!-- new directory -->|^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


def with_real_output(text: str) -> str:
    """Return the document `text` with the output that its commands have now."""
    with tempfile.TemporaryDirectory() as directory, _private_state(Path(directory)):
        here = _new(Path(directory), 0)
        number = 0

        def replaced(match: re.Match[str]) -> str:
            nonlocal here, number
            info, body = match["info"], match["body"]
            if info is None:
                number += 1
                here = _new(Path(directory), number)
            elif info == "console":
                return f"```console\n{''.join(_session(body, here))}```"
            elif " " in info:
                path = here / info.partition(" ")[2]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(body)
            return match[0]

        return _FENCE.sub(replaced, text)


def commands(text: str) -> list[str]:
    """Return every command line that the document shows, continued lines joined."""
    joined = text.replace("\\\n", " ")
    return re.findall(r"^\s*\$ (.+)$", joined, re.MULTILINE)


def _new(directory: Path, number: int) -> Path:
    # The name counts: it is the id of an environment at the root.
    here = directory / str(number) / "envs"
    here.mkdir(parents=True)
    return here


def _session(body: str, here: Path) -> Iterator[str]:
    for line in body.splitlines():
        if line.startswith("$ "):
            yield f"{line}\n"
            yield _output(line[2:], here).replace(f"{here.resolve()}/", "/home/ada/envs/")


def _output(command: str, here: Path) -> str:
    with chdir(here):
        words = shlex.split(command)
        if words[0] != "envkiln" or set(command) & set("|&;<>$"):
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            done = subprocess.run(
                ["bash", "-c", command],
                env=os.environ | {"PATH": path},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            return done.stdout
        printed = io.StringIO()
        with redirect_stdout(printed), redirect_stderr(printed):
            main(words[1:])
        return printed.getvalue()


@contextmanager
def _private_state(directory: Path) -> Iterator[None]:
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("ENVKILN_", "XDG_", "DOCKER_"))]:
        del os.environ[name]
    home = directory / "home"
    home.mkdir()
    os.environ |= {"HOME": str(home), "ENVKILN_STATE_DIR": str(directory / "state"), "LC_ALL": "C"}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        document = Path(name)
        document.write_text(with_real_output(document.read_text()))
