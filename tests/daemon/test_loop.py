"""The single writer: events in their order, effects handed out, and a Tick when a time has come."""

import asyncio

from values import PROBLEM, definition, name_of, sighting

from envkiln.daemon.events import Effect, EngineConnected, Event, ImagesListed, Looked, StartBuild, Tick
from envkiln.daemon.loop import Loop
from envkiln.daemon.state import Refusal, State

NAME = name_of(definition())


def run(state: State, posted: list[Event], *, until: type[Tick] | None = None) -> tuple[Loop, list[object]]:
    """Run a loop on `posted`, which another thread hands in, and on to the first event of type `until`."""
    seen: list[object] = []

    def post_all(loop: Loop) -> None:
        for event in posted:
            loop.post(event)

    async def main() -> Loop:
        loop = Loop(state, seen.append)
        reached = asyncio.Event()

        def observe(event: Event, before: State, after: State) -> None:
            assert after is loop.state
            assert before is not after
            seen.append(event)
            if until is None or isinstance(event, until):
                reached.set()

        loop.observe(observe)
        running = asyncio.create_task(loop.run())
        await asyncio.to_thread(post_all, loop)
        await loop.drained()
        async with asyncio.timeout(60):
            await reached.wait()
        running.cancel()
        return loop

    return asyncio.run(main()), seen


def test_events_are_applied_in_order_and_effects_are_handed_out_before_anybody_is_told() -> None:
    posted: list[Event] = [EngineConnected("engine"), ImagesListed({}, 0.0), Looked((sighting("a"),))]
    loop, seen = run(State(), posted)
    started: Effect = StartBuild(NAME, "a", forced=False)
    assert seen == [posted[0], posted[1], started, posted[2]]
    assert loop.state.builds.keys() == {NAME}


def test_a_time_that_has_come_brings_a_tick_even_when_it_has_passed() -> None:
    state = State(refusals={"a:latest": Refusal(NAME, PROBLEM, retry_at=0.0)})
    loop, seen = run(state, [Looked(())], until=Tick)
    assert Tick() in seen
    assert loop.state.refusals == {}
