"""What people do to a few environments, chosen by a seed, and what must hold whatever becomes of the service.

On `pythonpath` (pyproject.toml): test files import it as `workload`.
"""

import json
import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from running import PATIENCE_S, World, container_commands, image_id, processes_with, until

from envkiln.daemon.engine import Engine
from envkiln.daemon.known_images import find_known_image
from envkiln.daemon.labels import DEFINITION, NAME

_STEP_S = 0.3
_STATE_FILES = {"service.lock", "locks", "logs", "index", "steps"}


class Workload:
    """Edits of the environments of one world. `contents` is what each file says now, as a number."""

    def __init__(self, world: World, engine: Engine, seed: int, *, registry: str | None = None) -> None:
        """With the host of a `registry`, images are a few bytes, and are settled when they are pushed there."""
        self.world = world
        self.registry = registry
        self.contents: dict[str, int] = {}
        self._engine = engine
        self._random = random.Random(seed)  # noqa: S311 -- repeatable, not secret
        self._made = 0
        for id_ in ("a", "b"):
            self.save(id_, self._new())

    def save(self, id_: str, content: int, comment: str = "") -> None:
        """Write a definition whose image says `content` and takes a moment to build."""
        step = f'RUN python3 -c "import time; time.sleep({_STEP_S})" {self.world.mark}'
        text = self.world.dockerfile(f"ENV CONTENT={content}", step)
        if self.registry:
            text = f"FROM scratch\nENV CONTENT={content} MARK={self.world.mark}\nCOPY Dockerfile /Dockerfile\n"
        self.world.write(f"{id_}/Dockerfile", text + (f"# {comment}\n" if comment else ""))
        self.contents[id_] = content

    def edit(self) -> None:
        """Do one thing that somebody does: to a file, or to an image in the engine."""
        id_ = self._random.choice(sorted(self.contents))
        match self._random.randrange(8):
            case 0 | 1 | 2:
                self.save(id_, self._new())
            case 3:
                self.save(id_, self._random.randint(1, self._made))
            case 4:
                self.save(id_, self.contents[id_], comment="says nothing")
            case 5:
                self.save(self._random.choice("cde"), self._random.choice([self._new(), self.contents[id_]]))
            case 6 if len(self.contents) > 2:
                shutil.rmtree(self.world.root / id_)
                del self.contents[id_]
            case _:
                self._engine.remove(self.world.alias(id_))

    def edits(self) -> None:
        """Do one to three things at once."""
        for _ in range(self._random.randint(1, 3)):
            self.edit()

    def moment(self, longest_s: float) -> float:
        """Return a random number of seconds."""
        return self._random.uniform(0, longest_s)

    def settled(self) -> dict[str, Any]:
        """Wait until every environment is ready with the image of its file as it is; returns their views."""

        def views() -> dict[str, Any] | None:
            found = {view["environment"]: view for view in self._asked()}
            good = found.keys() == self.contents.keys() and all(self._is_true(view) for view in found.values())
            return found if good else None

        # What a killed service said to the others, that it builds this, counts until it is old.
        limit_s = 5 * PATIENCE_S if self.registry else PATIENCE_S
        return until(views, lambda: f"{self.contents} {self._asked()}\n{self.world.output()}", limit_s)

    def _asked(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.world.answer("status", "--json"))["environments"]
        return found

    def _is_true(self, view: dict[str, Any]) -> bool:
        # The alias follows once the image is ready.
        alias = self.world.alias(view["environment"])
        if view["state"] != "ready" or image_id(self._engine, alias) != view["image_id"]:
            return False
        if self.registry and (view["pushing"] or view["registry"] is None):
            return False
        image = self._engine.inspect(f"{view['image']}:latest")
        return image is not None and image.environment.get("CONTENT") == str(self.contents[view["environment"]])

    def _new(self) -> int:
        self._made += 1
        return self._made


def broken_promises(world: World, engine: Engine, views: dict[str, Any]) -> Iterator[str]:
    """Yield what does not hold, of a settled service with these views."""
    lines = world.answer("name", world.root, "--root", world.root, "--json").splitlines()
    named = {it["environment"]: it["image"] for it in map(json.loads, lines)}
    for id_, view in views.items():
        if named[id_] != view["image"]:
            yield f"{id_}: {view['image']} is not its name, {named[id_]} is"
        for build in json.loads(world.answer("history", id_, "--json"))["builds"]:
            if build["state"] == "running":
                yield f"{build['build']} is said to run"
    yield from _wrong_tags(world, engine)
    yield from _leftovers(world)


def left_tags(engine: Engine, registry: str) -> list[str]:
    """Return the references of a registry that the engine has: it needs them only while it pushes or pulls."""
    return [name for image in engine.images() for name in image.references if name.startswith(registry)]


def _wrong_tags(world: World, engine: Engine) -> Iterator[str]:
    for image in engine.images():
        if world.mark not in image.labels.get(DEFINITION, ""):
            continue
        for reference in image.references:
            name = reference.removesuffix(":latest")
            if name.startswith("azureml/azureml_") and image.labels.get(NAME, name) != name:
                yield f"{reference} is the tag of an image of {image.labels[NAME]}"


def _leftovers(world: World) -> Iterator[str]:
    state = world.paths.state
    for path in state.iterdir():
        if path.name not in _STATE_FILES and not path.name.startswith("index"):
            yield f"{path} is left"
        if path.name.endswith(".damaged"):
            yield "the index was damaged"
    noted = [path.name for path in state.glob("steps/*")]
    if noted:
        yield f"containers are noted: {noted}"
    for database in state.glob("index*/cache.db"):
        with closing(sqlite3.connect(database, timeout=60)) as connection:
            found = connection.execute("PRAGMA integrity_check").fetchall()
        if found != [("ok",)]:
            yield f"{database}: {found}"
    temporary = list(Path(world.environ["TMPDIR"]).iterdir())
    if temporary:
        yield f"temporary files are left: {temporary}"


def nothing_runs(world: World, engine: Engine) -> None:
    """Wait until no process and no container of this world's builds is left."""
    until(lambda: not processes_with(world.mark), lambda: processes_with(world.mark))
    until(lambda: not any(world.mark in line for line in container_commands(engine)), "its containers are gone")


def built_names(engine: Engine, world: World) -> set[str]:
    """Return the names of this world that were built at some time and whose image the engine has now."""
    names = {f"azureml/azureml_{log.parent.name}" for log in world.logs()}
    return {name for name in names if find_known_image(engine, name) is not None}
