"""Ask and follow, with a real service and a real engine: what is told while things happen."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from running import Gate, World, until

from envkiln.daemon.client import Client, ServiceDown

MakeWorld = Callable[..., World]


class Follower:
    """Reads `/v1/events` in a thread."""

    def __init__(self, client: Client, last_id: str | None = None) -> None:
        self.heard: list[tuple[str | None, str, dict[str, Any]]] = []
        self._ended = False
        self._stream = client.events(last_id)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(ServiceDown):
            for entry in self._stream:
                self.heard.append(entry)
                if self._ended:
                    return

    def end(self) -> None:
        self._ended = True

    def states(self, id_: str) -> list[str]:
        views = [data for _, kind, data in list(self.heard) if kind == "environment"]
        states = [view["state"] for view in views if view["environment"] == id_]
        return [state for number, state in enumerate(states) if number == 0 or states[number - 1] != state]

    def kinds(self) -> list[str]:
        return [kind for _, kind, _ in list(self.heard)]


@contextmanager
def following(world: World, last_id: str | None = None) -> Iterator[Follower]:
    follower = Follower(world.client, last_id)
    until(lambda: follower.heard or last_id, "a snapshot")
    yield follower
    follower.end()


def test_a_follower_sees_a_build_from_the_save_to_the_image(make_world: MakeWorld, gate: Gate) -> None:
    world = make_world()
    world.up()
    with following(world) as follower:
        world.write("a/Dockerfile", world.dockerfile("RUN echo first", gate.step))
        until(lambda: any(kind == "progress" for kind in follower.kinds()), follower.kinds)
        progress = next(data for _, kind, data in follower.heard if kind == "progress")
        assert progress["environment"] == "a"
        assert progress["progress"]["phase"]
        # A page that is open names the build that runs: it began after the environment was said to be building.
        named = [view["build"] for _, kind, view in follower.heard if kind == "environment"]
        assert named[-1] == progress["build"]
        gate.open()
        until(lambda: "ready" in follower.states("a"), lambda: follower.states("a"))
        assert follower.states("a")[-2:] == ["building", "ready"]
        builds = [data["state"] for _, kind, data in follower.heard if kind == "build"]
        assert builds == ["running", "built"]


def test_a_follower_that_comes_back_hears_what_it_missed_and_nothing_twice(make_world: MakeWorld) -> None:
    world = make_world()
    world.write("a/Dockerfile", world.dockerfile("RUN true"))
    world.up()
    world.until_state("a", "ready")
    with following(world) as first:
        world.write("b/env.yml", "dependencies: 1\n")
        until(lambda: first.states("b"), first.kinds)
        last_id = [id_ for id_, _, _ in first.heard if id_][-1]
        missed_from = len(first.heard)
        world.write("c/env.yml", "dependencies: 1\n")
        until(lambda: first.states("c"), first.kinds)
        with following(world, last_id) as second:
            until(lambda: second.states("c"), second.kinds)
            assert "snapshot" not in second.kinds()
            assert second.heard[: len(first.heard) - missed_from] == first.heard[missed_from:]
    world.stop()
    world.up()
    with following(world, last_id) as third:
        until(lambda: "snapshot" in third.kinds(), third.kinds)


def test_a_build_is_cancelled_and_stays_so_until_it_is_asked_for(make_world: MakeWorld, gate: Gate) -> None:
    world = make_world()
    world.write("a/Dockerfile", world.dockerfile(gate.step))
    world.up()
    world.until_state("a", "building")
    until(lambda: gate.waiting)
    world.answer("cancel", "a")
    view = world.until_state("a", "failed")
    assert "cancelled" in view["reason"]
    until(lambda: gate.waiting == 0)
    until(lambda: _newest(world, "a")["state"] == "cancelled", lambda: _newest(world, "a"))
    gate.open()
    world.client.build("a")
    world.until_state("a", "ready")
    newest = _newest(world, "a")
    assert (newest["state"], newest["forced"]) == ("built", True)


def test_a_pause_holds_over_a_restart(make_world: MakeWorld) -> None:
    world = make_world()
    world.up()
    world.answer("pause")
    world.write("a/Dockerfile", world.dockerfile("RUN true"))
    # At first it may be queued for another reason: the engine is being asked.
    until(lambda: "paused" in world.view("a").get("reason", ""), lambda: world.view("a"))
    world.stop()
    world.up()
    until(lambda: "paused" in world.view("a").get("reason", ""), lambda: world.view("a"))
    assert world.command("wait", "a", "--timeout", "0.5").returncode == 5
    world.answer("resume")
    world.until_state("a", "ready")
    assert len(world.logs()) == 1


def test_what_was_saved_is_counted(make_world: MakeWorld) -> None:
    world = make_world()
    text = world.dockerfile("RUN true")
    world.up()
    world.write("a/Dockerfile", text)
    first = world.until_state("a", "ready")
    world.write("a/Dockerfile", f"{text}RUN echo more\n")
    second = world.until_state("a", "ready", image_is_not=first["image"])
    world.write("a/Dockerfile", text)
    world.until_state("a", "ready", image_is_not=second["image"])
    stats = json.loads(world.answer("stats", "--json"))["stats"]
    assert (stats["misses"], stats["hits"], stats["builds_saved"]) == (2, 1, 1)
    assert 0 < stats["seconds_saved"] <= stats["build_seconds"]
    assert stats["image_bytes"] > 0
    assert [sample["log_bytes"] >= 0 for sample in stats["disk"]] == [True], "one an hour, the first at once"
    world.stop()
    assert json.loads(world.answer("stats", "--json"))["stats"]["disk"] == stats["disk"]
    world.up()
    world.until_state("a", "ready")
    again = json.loads(world.answer("stats", "--json"))["stats"]
    assert (again["misses"], again["hits"], again["disk"]) == (2, 1, stats["disk"])


def test_what_changed_since_the_last_image_is_told(make_world: MakeWorld, testbed: Any) -> None:
    world = make_world()
    world.up()
    world.write("a/env.yml", world.conda(testbed.channel, "python", "six=1.16.0"))
    first = world.until_state("a", "ready")
    world.write("a/env.yml", world.conda(testbed.channel, "python", "six=1.17.0"))
    world.until_state("a", "ready", image_is_not=first["image"])
    detail = world.client.environment("a")
    assert detail is not None
    assert any("six" in change and "1.17.0" in change for change in detail["changes"]), detail["changes"]
    assert "six=1.17.0" in detail["definition"]
    assert [build["state"] for build in detail["builds"]] == ["built", "built"]
    assert {"solve", "download"} & detail["builds"][0]["phases"].keys()


def _newest(world: World, id_: str) -> dict[str, Any]:
    builds: list[dict[str, Any]] = json.loads(world.answer("history", id_, "--json"))["builds"]
    return builds[0]
