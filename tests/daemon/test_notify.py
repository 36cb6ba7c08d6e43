"""The notifier: each notice to its channels, without waiting for any of them."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from values import BROKEN, SETTINGS, Story, definition, image, name_of, sighting

from envkiln.daemon.events import Looked, Now, Problem
from envkiln.daemon.notices import Notice
from envkiln.daemon.notify import QUEUED, Notifier, NotifyError, channels_of
from envkiln.daemon.step import step

OLD = definition("python=3.11")
WANTS_DESKTOP = replace(SETTINGS, notify_on=("failed", "recovered"))


class Fake:
    """A channel that keeps what it gets once it is `open`, and raises what `error` says."""

    name = "the fake"

    def __init__(self) -> None:
        self.got: list[Notice] = []
        self.open = asyncio.Event()
        self.error: Exception | None = None
        self.closed = False

    async def send(self, notice: Notice) -> None:
        await self.open.wait()
        if self.error is not None:
            raise self.error
        self.got.append(notice)

    async def close(self) -> None:
        self.closed = True


class Scene:
    """A notifier whose desktop is a fake, and a ready environment."""

    def __init__(self) -> None:
        self.fake = Fake()
        self.said: list[str] = []
        self.notifier = Notifier(self.said.append, make_desktop=lambda: self.fake)
        story = Story()
        story.connect(image(name_of(OLD), "a:latest"))
        self.state = story.state
        self.see(OLD)

    def see(self, found: object) -> None:
        event = Looked((sighting("a", found, WANTS_DESKTOP),))  # type: ignore[arg-type]
        before = self.state
        self.state, _ = step(before, event, Now(1e9, 1e3))
        self.notifier.observe(event, before, self.state)


async def reached(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 -- whatever the condition is about
            await asyncio.sleep(0)


def test_a_channel_that_hangs_holds_up_nobody_and_what_does_not_fit_is_counted() -> None:
    async def play() -> None:
        scene = Scene()
        for number in range(QUEUED + 51):
            scene.see(Problem(str(number)))
            await asyncio.sleep(0)
        assert scene.notifier.problems == ("the fake: too many notices wait; 50 dropped",)
        assert scene.said == ["the fake: too many notices wait; 1 dropped"]
        scene.fake.open.set()
        await reached(lambda: len(scene.fake.got) == QUEUED + 1 and not scene.notifier.problems)
        assert [notice.reason for notice in scene.fake.got] == [str(number) for number in range(QUEUED + 1)]
        await scene.notifier.close()

    asyncio.run(play())


def test_a_failure_is_said_once_and_is_over_when_a_notice_arrives() -> None:
    async def play() -> None:
        scene = Scene()
        scene.fake.open.set()
        for error in (NotifyError("it is off", hint="turn it on"), ValueError("https://s3cret")):
            scene.fake.error = error
            scene.see(BROKEN)
            await reached(lambda: scene.notifier.problems)
            scene.see(OLD)
            await asyncio.sleep(0)
            scene.fake.error = None
            scene.see(BROKEN)
            await reached(lambda: not scene.notifier.problems)
            scene.see(OLD)
            await asyncio.sleep(0)
        assert scene.said == ["the fake: it is off (turn it on)", "the fake: internal error: ValueError"]
        await scene.notifier.close()

    asyncio.run(play())


def test_who_closes_waits_for_nobody() -> None:
    async def play() -> None:
        scene = Scene()
        scene.see(BROKEN)
        async with asyncio.timeout(60):
            await scene.notifier.close()
        assert scene.fake.closed
        assert scene.fake.got == []
        await Notifier().close()

    asyncio.run(play())


def test_the_settings_choose_the_channels() -> None:
    desktop = Fake()
    everything = replace(
        SETTINGS, notify_webhook="http://h/s3cret", notify_command=("x",), sources={"notify_webhook": "f:3"}
    )

    assert list(channels_of(SETTINGS, desktop)) == [desktop]
    assert list(channels_of(replace(SETTINGS, notify_desktop=False), desktop)) == []
    names = [channel.name for channel in channels_of(everything, desktop)]
    assert names == ["the fake", "the webhook of f:3", "the command"]


def test_environments_with_the_same_receiver_share_its_queue() -> None:
    one = replace(SETTINGS, notify_webhook="http://h/", sources={"notify_webhook": "f:3"})
    same = replace(one, notify_on=("ready",), sources={"notify_webhook": "f:9"})
    signed = replace(one, notify_webhook_secret_file=Path("/s"))

    assert {*channels_of(one, None)} == {*channels_of(same, None)}
    assert {*channels_of(one, None)} != {*channels_of(signed, None)}
