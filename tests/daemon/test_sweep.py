"""Images are taken away tag by tag, and each is looked at once more before."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
from held_engine import HeldEngine, image_of_ours

from envkiln.daemon.builder import EngineUnavailable
from envkiln.daemon.engine_values import EngineImage, ImageHistory
from envkiln.daemon.inventory import Use, take_inventory
from envkiln.daemon.name_lock import free_lock
from envkiln.daemon.retention import HeldImage
from envkiln.daemon.sweep import Sweep

IMAGE = image_of_ours(1, "train:latest")
ADDRESS = IMAGE.references[0]
NAME = IMAGE.labels["envkiln.name"]


def held(engine: HeldEngine) -> HeldImage:
    (image,) = take_inventory(engine, {}).images
    return image


def test_the_address_goes_last(tmp_path: Path) -> None:
    engine = HeldEngine(IMAGE)
    assert Sweep(engine, tmp_path, lambda _: None).remove(held(engine)) is None
    assert engine.told == ["remove train:latest", f"remove {ADDRESS}"]
    assert engine.all == {}


def test_an_image_without_a_tag_goes_by_its_id(tmp_path: Path) -> None:
    engine = HeldEngine(replace(IMAGE, references=()))
    assert Sweep(engine, tmp_path, lambda _: None).remove(held(engine)) is None
    assert engine.told == [f"remove {IMAGE.id}"]


def test_an_image_that_somebody_else_removed_is_gone(tmp_path: Path) -> None:
    engine = HeldEngine(IMAGE)
    image = held(engine)
    engine.all.clear()
    assert Sweep(engine, tmp_path, lambda _: None).remove(image) is None
    assert engine.told == []


def test_an_image_that_got_another_tag_meanwhile_stays(tmp_path: Path) -> None:
    engine = HeldEngine(IMAGE)
    image = held(engine)
    engine.tag(IMAGE.id, "mine:1")
    engine.told.clear()
    assert Sweep(engine, tmp_path, lambda _: None).remove(image) == "its tags were changed meanwhile"
    assert engine.told == []


def test_an_image_that_a_container_uses_meanwhile_stays(tmp_path: Path) -> None:
    engine = HeldEngine(IMAGE)
    image = held(engine)
    engine.containers.add(IMAGE.id)
    assert Sweep(engine, tmp_path, lambda _: None).remove(image) == "a container uses it"
    assert engine.told == []


def test_an_image_that_is_needed_meanwhile_stays(tmp_path: Path) -> None:
    engine = HeldEngine(IMAGE)
    assert Sweep(engine, tmp_path, lambda _: "a needs it").remove(held(engine)) == "a needs it"
    assert engine.told == []


def test_an_image_that_is_being_built_by_another_process_stays(tmp_path: Path) -> None:
    engine = HeldEngine(IMAGE)
    with free_lock(tmp_path, held(engine).name) as ours:
        assert ours
        assert Sweep(engine, tmp_path, lambda _: None).remove(held(engine)) == "is being built"
    assert engine.told == []


@pytest.mark.parametrize(("trouble", "goes"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EACCES, False)])
def test_a_disk_that_is_too_full_for_a_lock_is_made_room_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: int, goes: bool
) -> None:
    def fail(*_: object) -> int:
        raise OSError(trouble, "no")

    engine = HeldEngine(IMAGE)
    image = held(engine)
    monkeypatch.setattr(os, "open", fail)
    sweep = Sweep(engine, tmp_path, lambda _: None)
    if goes:
        assert sweep.remove(image) is None
        return
    with pytest.raises(OSError, match="no"):
        sweep.remove(image)
    assert set(engine.all) == {IMAGE.id}


def test_what_the_engine_refuses_at_last_has_all_its_tags_again(tmp_path: Path) -> None:
    class Late(HeldEngine):
        """A container begins between the last look and the last tag."""

        def remove(self, reference: str) -> bool:
            self.containers.add(IMAGE.id)
            return super().remove(reference)

    engine = Late(IMAGE)
    why = Sweep(engine, tmp_path, lambda _: None).remove(held(engine))
    assert why == "the engine keeps it: conflict: a container is using it"
    assert set(engine.all[IMAGE.id].references) == set(IMAGE.references)


def test_a_sweep_that_ended_in_the_middle_goes_on(tmp_path: Path) -> None:
    engine = HeldEngine(IMAGE)
    engine.remove("train:latest")
    assert Sweep(engine, tmp_path, lambda _: None).remove(held(engine)) is None
    assert engine.all == {}


def test_an_engine_that_goes_away_is_an_error(tmp_path: Path) -> None:
    engine = HeldEngine(IMAGE)
    image = held(engine)
    engine.down = True
    with pytest.raises(EngineUnavailable):
        Sweep(engine, tmp_path, lambda _: None).remove(image)


def test_the_stage_of_a_build_is_in_the_inventory_while_nobody_has_put_something_on_top() -> None:
    class Stages(HeldEngine):
        def history(self, image_id: str) -> ImageHistory:
            closing = f"/bin/sh -c #(nop)  LABEL envkiln.stage={NAME}"
            return ImageHistory("RUN make mine" if image_id in self.derived else closing, ())

    stage = EngineImage("sha256:stage", (), {"envkiln.stage": NAME}, 1.0, 10)
    engine = Stages(stage)
    assert [(it.name, it.references) for it in take_inventory(engine, {}).images] == [(NAME, frozenset())]
    engine.derived.add(stage.id)
    assert take_inventory(engine, {}).images == ()


def test_only_ours_is_in_the_inventory_and_what_others_hold_is_shared() -> None:
    base = EngineImage("sha256:base", ("base:1",), {}, 1.0, 100)
    derived = replace(image_of_ours(2), id="sha256:derived", references=("somebodys:1",))
    engine = HeldEngine(IMAGE, base, derived)
    engine.derived.add(derived.id)
    engine.containers.add(base.id)
    found = take_inventory(engine, {IMAGE.labels["envkiln.name"]: Use(5.0, frozenset({"train"}))})
    (image,) = found.images
    assert (image.id, image.used, sorted(image.environments)) == (IMAGE.id, 5.0, ["train"])
    assert found.shared == {base.id, derived.id}
    assert found.containers == {base.id}
