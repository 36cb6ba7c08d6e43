"""One holder of a name on the whole machine."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from values import definition, name_of

from envkiln.daemon.name_lock import name_lock, remove_free_locks

NAME = name_of(definition())
OTHER = name_of(definition("other"))
HOLDER = """
import asyncio, sys
from pathlib import Path
from envkiln.daemon.name_lock import name_lock

async def main():
    async with name_lock(Path(sys.argv[1]), sys.argv[2]):
        print("held", flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


def hold(directory: Path) -> "subprocess.Popen[bytes]":
    """Start a process that holds the lock until its standard input ends."""
    command = [sys.executable, "-c", HOLDER, str(directory), NAME]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


async def taken(directory: Path, name: str = NAME) -> bool:
    """Take the lock and return whether somebody else had it first."""
    async with asyncio.timeout(60), name_lock(directory, name) as waited:
        return waited


def test_a_free_name_is_taken_at_once_and_is_free_again(tmp_path: Path) -> None:
    assert not asyncio.run(taken(tmp_path))
    assert not asyncio.run(taken(tmp_path))
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size == 0
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("killed", [False, True])
def test_another_process_is_waited_for_until_it_lets_go_or_dies(tmp_path: Path, killed: bool) -> None:
    async def wait_for_it(holder: "subprocess.Popen[bytes]") -> bool:
        assert not await taken(tmp_path, OTHER)
        waiting = asyncio.create_task(taken(tmp_path))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.01)
        if killed:
            holder.send_signal(signal.SIGKILL)
        assert holder.stdin is not None
        holder.stdin.close()
        return await waiting

    with hold(tmp_path) as holder:
        assert asyncio.run(wait_for_it(holder))


def test_whoever_is_cancelled_while_waiting_holds_nothing(tmp_path: Path) -> None:
    async def cancelled() -> bool:
        async with name_lock(tmp_path, NAME):
            waiting = asyncio.create_task(taken(tmp_path))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            assert waiting.cancelled()
        return await taken(tmp_path)

    assert not asyncio.run(cancelled())


def test_an_error_inside_lets_go(tmp_path: Path) -> None:
    async def failing() -> None:
        async with name_lock(tmp_path, NAME):
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        asyncio.run(failing())
    assert not asyncio.run(taken(tmp_path))


def count(directory: Path) -> int:
    """Return the number of lock files."""
    return len(list(directory.iterdir()))


def test_a_lock_file_that_nobody_holds_is_removed_when_it_is_old(tmp_path: Path) -> None:
    async def main() -> None:
        async with name_lock(tmp_path, OTHER), name_lock(tmp_path, NAME):
            pass
        assert count(tmp_path) == 2
        async with name_lock(tmp_path, OTHER):
            remove_free_locks(tmp_path, before=0.0)
            assert count(tmp_path) == 2, "they are young"
            remove_free_locks(tmp_path, before=float("inf"))
            assert count(tmp_path) == 1, "one is held"
        assert not await taken(tmp_path)

    asyncio.run(main())
