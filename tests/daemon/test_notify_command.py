"""The command hook: what it gets, how it ends."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from running import processes_with, until
from values import SETTINGS

from envkiln.daemon.config import load_config
from envkiln.daemon.notices import Notice
from envkiln.daemon.notify import NotifyError
from envkiln.daemon.notify_command import Command, variables

NOTICE = Notice("failed", "gpu/a b;$(c)", "failed", "azureml/azureml_1", "no\nway", "loosen it", 12.5, SETTINGS)


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def send(command: Command) -> None:
    async def work() -> None:
        try:
            await command.send(NOTICE)
        finally:
            # asyncio sees in the next rounds that the pipes of a killed program are closed.
            for _ in range(20):
                await asyncio.sleep(0)

    asyncio.run(work())


def test_a_command_gets_its_words_variables_and_the_message(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    program = script(tmp_path / "hook", f'(printf "%s\\0" "$@"; env -0; printf "\\0"; cat) >"{seen}"')
    send(Command((program, "a b", "$HOME", "")))

    *held, message = seen.read_bytes().split(b"\0")
    assert held[:3] == [b"a b", b"$HOME", b""]
    for expected in (
        b"ENVKILN_EVENT=failed",
        b"ENVKILN_ENVIRONMENT=gpu/a b;$(c)",
        b"ENVKILN_STATE=failed",
        b"ENVKILN_IMAGE=azureml/azureml_1",
        b"ENVKILN_REASON=no\nway (loosen it)",
    ):
        assert expected in held
    assert json.loads(message)["id"] == NOTICE.id


def test_secrets_of_other_channels_do_not_reach_a_command() -> None:
    given = variables(NOTICE, {"PATH": "/bin", "ENVKILN_NOTIFY_WEBHOOK_SECRET": "s", "ENVKILN_STATE_DIR": "/s"})

    assert {"PATH", "ENVKILN_STATE_DIR", "ENVKILN_EVENT"} <= set(given)
    assert "ENVKILN_NOTIFY_WEBHOOK_SECRET" not in given


def test_a_command_may_ask_envkiln() -> None:
    given = variables(NOTICE, {})
    config = load_config(roots_from_flags=(), flags={}, environ=given, user_file=Path("/u"), read=lambda _: None)

    assert config.roots == ()


def test_a_command_that_fails_is_told_with_its_last_line(tmp_path: Path) -> None:
    program = script(tmp_path / "hook", 'echo no; echo "cannot reach https://ada:s3cret@host/" >&2; echo; exit 3')
    with pytest.raises(NotifyError, match=r"it ended with exit code 3: cannot reach https://\*\*\*@host/"):
        send(Command((program,)))


def test_a_program_that_does_not_exist_is_told() -> None:
    with pytest.raises(NotifyError, match="there is no program 'envkiln-has-no-such'"):
        send(Command(("envkiln-has-no-such",)))


def test_a_program_may_be_below_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    script(tmp_path / "hook", "touch ~/done")
    send(Command(("~/hook",)))

    assert (tmp_path / "done").exists()


def test_a_command_that_does_not_end_is_stopped_with_all_it_started(tmp_path: Path) -> None:
    program = script(tmp_path / "hook", "sleep 61.234 >/dev/null 2>&1 & sleep 61.234")
    with pytest.raises(NotifyError, match=r"did not end within 0\.5 s and was stopped"):
        send(Command((program,), limit_s=0.5))

    until(lambda: not processes_with("sleep 61.234"), "it has ended")


def test_a_command_ends_with_a_service_that_is_killed() -> None:
    program = (
        "import asyncio, sys; from envkiln.daemon.notify_command import Command\n"
        "from envkiln.daemon.notices import Notice\n"
        "notice = Notice('ready', 'a', 'ready', None, 'x', None, 1.0, None)\n"
        "asyncio.run(Command(('sleep', '62.345')).send(notice))"
    )
    with subprocess.Popen([sys.executable, "-P", "-c", program], env=dict(os.environ)) as process:
        try:
            until(lambda: processes_with("sleep 62.345"), "it runs")
        finally:
            process.kill()
    until(lambda: not processes_with("sleep 62.345"), "it has ended")
