"""How one image is obtained: look, ask, build, and look again."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from values import definition, identity_of

from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.cache.source import MemoryTree
from envkiln.daemon.builder import BuildFailed, BuildRequest, EngineUnavailable, Log
from envkiln.daemon.engine import Engine
from envkiln.daemon.engine_values import EngineImage, ImageHistory
from envkiln.daemon.events import Answer, BuildEnded, Ending, RegistryAnswered, RegistryImage
from envkiln.daemon.labels import labels_for
from envkiln.daemon.obtain import Obtainer

FOUND = definition()
IDENTITY = identity_of(FOUND)
NAME = IDENTITY.image
LABELS = labels_for(FOUND, IDENTITY, resolved=False)
THERE = RegistryImage(NAME, f"registry.example/{NAME}", "sha256:2", "sha256:1", (), 10)
REQUEST = BuildRequest(FOUND, IDENTITY, MemoryTree({}), LABELS)


class FakeEngine(Engine):
    """An engine that holds at most one image; `down` makes every question fail."""

    def __init__(self, *, there: bool = False, down: bool = False) -> None:
        super().__init__("unix:///nowhere")
        self.image: EngineImage | None = None
        self.lost: list[EngineImage] = []
        self.down = down
        if there:
            self.add()

    def add(self, labels: dict[str, str] = LABELS) -> None:
        self.image = EngineImage("sha256:1", (f"{NAME}:latest",), labels, 1.0, 10)

    def inspect(self, reference: str) -> EngineImage | None:
        if self.down:
            raise EngineUnavailable("the engine does not answer")
        return self.image if self.image and reference in self.image.references else None

    def labelled(self, key: str, value: str) -> list[EngineImage]:
        return [image for image in self.lost if image.labels.get(key) == value]

    def history(self, image_id: str) -> ImageHistory:
        image = next(image for image in (self.image, *self.lost) if image and image.id == image_id)
        return ImageHistory(f"LABEL envkiln.name={image.labels['envkiln.name']}", ())

    def tag(self, image_reference: str, target_reference: str) -> None:
        (image,) = (image for image in self.lost if image.id == image_reference)
        self.image = replace(image, references=(*image.references, target_reference))


class FakeBuilder:
    """Does what a test says, and counts."""

    name = "fake"

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act
        self.built = 0

    async def build(self, request: BuildRequest, log: Log) -> None:
        assert request is REQUEST
        log("Step 1")
        self.built += 1
        self._act()


class FakeRegistry:
    def __init__(self, answer: Answer, pull: Callable[[], None] = lambda: None) -> None:
        self._answer = answer
        self._pull = pull
        self.asked = 0
        self.late = False
        """Somebody else is quicker."""
        self.notes: list[str] = []

    async def ask(self, name: str, platform: str | None) -> RegistryAnswered:
        assert (name, platform) == (NAME, None)
        self.asked += 1
        there = self._answer is Answer.YES
        return RegistryAnswered(name, self._answer, THERE if there else None)

    async def pull(self, image: RegistryImage) -> None:
        assert image == THERE
        self._pull()

    async def claim(self, name: str) -> RegistryAnswered | None:
        self.notes.append(f"claimed {name}")
        return RegistryAnswered(name, Answer.PENDING) if self.late else None

    def built(self, name: str) -> None:
        self.notes.append(f"built {name}")

    def abandon(self, name: str) -> None:
        self.notes.append(f"abandoned {name}")

    async def release(self, name: str) -> None:
        self.notes.append(f"released {name}")

    async def push(self, name: str, platform: str | None) -> RegistryImage:
        raise NotImplementedError


class Kitchen:
    def __init__(self, locks: Path) -> None:
        self.engine = FakeEngine()
        self.builder = FakeBuilder(self.engine.add)
        self.registry = FakeRegistry(Answer.NO)
        self.lines: list[str] = []
        self.locks = locks

    async def obtained(self, *, forced: bool = False, shares: bool = False) -> BuildEnded:
        obtainer = Obtainer(self.engine, self.registry, self.locks)
        return await obtainer.obtain(self.builder, REQUEST, self.lines.append, forced=forced, shares=shares)

    def obtain(self, *, forced: bool = False, shares: bool = False) -> BuildEnded:
        return asyncio.run(self.obtained(forced=forced, shares=shares))


@pytest.fixture
def kitchen(tmp_path: Path) -> Kitchen:
    return Kitchen(tmp_path / "locks")


def raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def test_what_nobody_has_is_built_and_looked_at(kitchen: Kitchen) -> None:
    ended = kitchen.obtain()
    assert (ended.name, ended.ending, ended.problem) == (NAME, Ending.BUILT, None)
    assert ended.image is not None
    assert ended.image.id == "sha256:1"
    assert kitchen.lines == ["Step 1"]


def test_an_image_that_is_there_needs_no_build_and_no_question(kitchen: Kitchen) -> None:
    kitchen.engine.add()
    assert kitchen.obtain().ending is Ending.FOUND
    assert (kitchen.builder.built, kitchen.registry.asked) == (0, 0)


def test_an_image_that_is_not_believed_is_built_over(kitchen: Kitchen) -> None:
    kitchen.engine.add({"envkiln.name": "azureml/azureml_" + "0" * 32})
    assert kitchen.obtain().ending is Ending.BUILT


def test_a_forced_build_asks_nobody(kitchen: Kitchen) -> None:
    kitchen.engine.add()
    assert kitchen.obtain(forced=True).ending is Ending.BUILT
    assert (kitchen.builder.built, kitchen.registry.asked) == (1, 0)


def test_an_image_of_the_registry_is_pulled(kitchen: Kitchen) -> None:
    kitchen.registry = FakeRegistry(Answer.YES, kitchen.engine.add)
    assert kitchen.obtain().ending is Ending.FOUND
    assert kitchen.builder.built == 0
    assert kitchen.lines == [f"pulling {THERE.reference}"]


def test_a_pull_that_brings_something_else_is_followed_by_a_build(kitchen: Kitchen) -> None:
    kitchen.registry = FakeRegistry(Answer.YES, lambda: kitchen.engine.add({}))
    assert kitchen.obtain().ending is Ending.BUILT


def test_a_registry_that_does_not_answer_has_not_said_no(kitchen: Kitchen) -> None:
    kitchen.registry = FakeRegistry(Answer.UNKNOWN)
    ended = kitchen.obtain()
    assert (ended.ending, kitchen.builder.built) == (Ending.UNANSWERED, 0)


def test_what_somebody_else_is_building_is_waited_for(kitchen: Kitchen) -> None:
    kitchen.registry = FakeRegistry(Answer.PENDING)
    ended = kitchen.obtain()
    assert (ended.ending, kitchen.builder.built) == (Ending.UNANSWERED, 0)
    assert ended.said == RegistryAnswered(NAME, Answer.PENDING)


def test_a_build_that_will_be_pushed_is_told_of(kitchen: Kitchen) -> None:
    assert kitchen.obtain(shares=True).ending is Ending.BUILT
    assert kitchen.registry.notes == [f"claimed {NAME}", f"built {NAME}"]


def test_who_is_late_by_a_moment_does_not_build(kitchen: Kitchen) -> None:
    kitchen.registry.late = True
    assert kitchen.obtain(shares=True).ending is Ending.UNANSWERED
    assert kitchen.builder.built == 0


@pytest.mark.parametrize(
    ("error", "note"), [(BuildFailed("no"), "released"), (asyncio.CancelledError(), "abandoned")], ids=repr
)
def test_nobody_waits_for_a_build_that_failed(kitchen: Kitchen, error: BaseException, note: str) -> None:
    kitchen.builder = FakeBuilder(raising(error))
    with suppress(asyncio.CancelledError):
        kitchen.obtain(shares=True)
    assert kitchen.registry.notes == [f"claimed {NAME}", f"{note} {NAME}"]


def test_a_build_whose_image_is_not_there_afterwards_has_failed(kitchen: Kitchen) -> None:
    kitchen.builder = FakeBuilder(lambda: None)
    ended = kitchen.obtain()
    assert (ended.ending, ended.passing, ended.image) == (Ending.FAILED, True, None)
    assert ended.problem is not None
    assert ended.problem.message == "the build ended well, but the engine has no image of that name"


class AwayError(EnvkilnError):
    turn = Turn.SURROUNDINGS


@pytest.mark.parametrize(
    ("error", "ending", "passing"),
    [
        (BuildFailed("no such package", hint="correct it"), Ending.FAILED, False),
        (BuildFailed("the mirror is away", passing=True), Ending.FAILED, True),
        (EngineUnavailable("gone"), Ending.INTERRUPTED, False),
        (EnvkilnError("a file is missing"), Ending.FAILED, False),
        (AwayError("the registry is away"), Ending.FAILED, True),
        (OSError(28, "No space left on device"), Ending.FAILED, True),
    ],
    ids=repr,
)
def test_every_error_is_an_answer(kitchen: Kitchen, error: Exception, ending: Ending, passing: bool) -> None:
    kitchen.builder = FakeBuilder(raising(error))
    ended = kitchen.obtain()
    assert (ended.ending, ended.passing) == (ending, passing)
    assert ended.problem is not None
    assert ended.problem.message


@pytest.mark.parametrize("forced", [False, True])
def test_an_engine_that_does_not_answer_is_never_taken_for_a_no(kitchen: Kitchen, forced: bool) -> None:
    kitchen.engine.down = True
    assert kitchen.obtain(forced=forced).ending is Ending.INTERRUPTED
    assert kitchen.builder.built == (1 if forced else 0)


def test_a_cancelled_build_is_cancelled_and_leaves_the_lock_free(kitchen: Kitchen) -> None:
    kitchen.builder = FakeBuilder(raising(asyncio.CancelledError()))
    with pytest.raises(asyncio.CancelledError):
        kitchen.obtain()
    kitchen.builder = FakeBuilder(kitchen.engine.add)
    assert kitchen.obtain().ending is Ending.BUILT


@pytest.mark.parametrize("forced", [False, True])
def test_two_at_once_make_one_build(kitchen: Kitchen, forced: bool) -> None:
    async def both() -> tuple[BuildEnded, BuildEnded]:
        return await asyncio.gather(kitchen.obtained(forced=forced), kitchen.obtained(forced=forced))

    endings = {ended.ending for ended in asyncio.run(both())}
    assert endings == {Ending.BUILT, Ending.FOUND}
    assert kitchen.builder.built == 1


def test_an_image_of_ours_that_lost_its_name_gets_it_back_and_nothing_is_built(kitchen: Kitchen) -> None:
    kitchen.engine.lost = [
        EngineImage("sha256:old", (), LABELS, 1.0, 10),
        EngineImage("sha256:new", ("alias:latest",), LABELS, 2.0, 10),
        EngineImage("sha256:other", (), {**LABELS, "envkiln.name": "azureml/azureml_0"}, 3.0, 10),
    ]
    ended = kitchen.obtain()
    assert (ended.ending, ended.image and ended.image.id) == (Ending.FOUND, "sha256:new")
