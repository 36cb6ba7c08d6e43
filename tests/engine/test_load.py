"""Hundreds ask at once while a build runs: everybody is answered, in time, and the build does not notice."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

from running import Gate, World

ENVIRONMENTS = 10_000
READERS = 200
FOLLOWERS = 50
READS_EACH = 10
LIMIT_S = 60.0


async def request(stream: tuple[asyncio.StreamReader, asyncio.StreamWriter], target: str) -> tuple[int, bytes]:
    reader, writer = stream
    writer.write(f"GET {target} HTTP/1.1\r\nHost: envkiln\r\n\r\n".encode())
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    status = int(head.split()[1])
    length = int(head.split("content-length:")[1].split()[0])
    return status, await reader.readexactly(length)


async def read(socket: Path, number: int) -> list[float]:
    """Ask a few questions one after the other; how long each took."""
    stream = await asyncio.open_unix_connection(str(socket))
    taken = []
    targets = ("/v1/environments/many/e{0:05}", "/v1/environments?text=e{0:05}", "/v1/service", "/v1/builds")
    for turn in range(READS_EACH):
        target = targets[(number + turn) % len(targets)].format((number * 37 + turn) % (ENVIRONMENTS - 1))
        started = time.perf_counter()
        status, body = await request(stream, target)
        taken.append(time.perf_counter() - started)
        assert status == 200, (target, body)
        json.loads(body)
    stream[1].close()
    return taken


async def follow(socket: Path, until: str, heard: asyncio.Semaphore) -> int:
    """Follow the events until `until` stands in one; the number of events."""
    reader, writer = await asyncio.open_unix_connection(str(socket), limit=16 * 1024 * 1024)
    writer.write(b"GET /v1/events HTTP/1.1\r\nHost: envkiln\r\n\r\n")
    await writer.drain()
    events, begun = 0, False
    while line := await reader.readline():
        events += line.startswith(b"event: ")
        if not begun and line.startswith(b"id: "):
            begun = True
            heard.release()  # the snapshot is there
        if until.encode() in line and b'"ready"' in line:
            break
    writer.close()
    return events


async def load(socket: Path, id_: str, finish: Callable[[], None]) -> list[float]:
    heard = asyncio.Semaphore(0)
    followers = [asyncio.create_task(follow(socket, f'"environment":"{id_}"', heard)) for _ in range(FOLLOWERS)]
    for _ in followers:
        await heard.acquire()
    # Some that ask and never read the answer: nobody waits for them.
    idle = [await asyncio.open_unix_connection(str(socket)) for _ in range(10)]
    for _, writer in idle:
        writer.write(b"GET /v1/events HTTP/1.1\r\nHost: envkiln\r\n\r\n")
    taken = await asyncio.gather(*(read(socket, number) for number in range(READERS)))
    finish()
    assert min(await asyncio.gather(*followers)) >= 2
    for _, writer in idle:
        writer.close()
    return [seconds for each in taken for seconds in each]


def test_two_hundred_readers_and_fifty_followers_are_answered_while_a_build_runs(
    make_world: Callable[..., World], gate: Gate
) -> None:
    world = make_world()
    text = world.dockerfile(gate.step)
    settings = (world.root / "envkiln.toml").read_text()
    world.write("envkiln.toml", f'{settings}\n[[pattern]]\nmatch = "many/*"\nbuild = false\n')
    for number in range(ENVIRONMENTS - 1):
        world.write(f"many/e{number:05}/env.yml", f"dependencies:\n- p{number}\n")
    world.write("one/Dockerfile", text)
    world.up()
    world.until_state("one", "building")
    taken = asyncio.run(asyncio.wait_for(load(world.paths.socket, "one", gate.open), LIMIT_S))
    assert len(taken) == READERS * READS_EACH
    world.until_state("one", "ready")
