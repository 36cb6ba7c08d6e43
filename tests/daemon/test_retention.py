"""Which images go and which stay, and why."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envkiln.daemon.engine_values import Layer
from envkiln.daemon.retention import HeldImage, Protected, Retention, plan

NOW = 1_800_000_000.0
DAY = 86_400.0
NOTHING_KEPT = Retention(0, 0)


def name_of(number: int) -> str:
    return f"azureml/azureml_{number:032x}"


def held(number: int, *, days: float = 100.0, **changes: Any) -> HeldImage:
    """An image made `days` ago, of 10 bytes, with its address as its only tag."""
    name = name_of(number)
    image = HeldImage(
        f"sha256:{number}",
        name,
        frozenset({f"{name}:latest"}),
        NOW - days * DAY,
        10,
        (Layer(f"l{number}", 10),),
        environments=frozenset({"a"}),
    )
    return replace(image, **changes)


def going(*images: HeldImage, protected: Protected | None = None, policy: Retention = NOTHING_KEPT) -> list[str]:
    return [verdict.image.id for verdict in plan(images, protected or Protected(), policy, NOW).going]


def reason(image: HeldImage, protected: Protected, policy: Retention = NOTHING_KEPT) -> str:
    (verdict,) = plan([image], protected, policy, NOW).staying
    return verdict.reason


IMAGE = held(1)
ALIASED = replace(IMAGE, references=IMAGE.references | {"train:latest"})


@pytest.mark.parametrize(
    ("image", "protected", "why"),
    [
        (IMAGE, Protected(needed={IMAGE.name: "train"}), "train needs it"),
        (IMAGE, Protected(busy=frozenset({IMAGE.name})), "is being built, tagged or pushed"),
        (IMAGE, Protected(registered=frozenset({IMAGE.name})), "is a registered version"),
        (IMAGE, Protected(registered=None), "the registered versions cannot be read"),
        (IMAGE, Protected(containers=frozenset({IMAGE.id})), "a container uses it"),
        (IMAGE, Protected(pinned=(IMAGE.name,)), f"is pinned ({IMAGE.name})"),
        (IMAGE, Protected(pinned=("azureml_0*1",)), "is pinned (azureml_0*1)"),
        (IMAGE, Protected(pinned=("other", "a")), "is pinned (a)"),
        (ALIASED, Protected(pinned=("train",), ours=frozenset({"train:latest"})), "is pinned (train)"),
        (ALIASED, Protected(), "has the tag train:latest, which is not from here"),
        (
            ALIASED,
            Protected(ours=frozenset({"train:latest"}), claimed=frozenset({"train:latest"})),
            "has the tag train:latest of an environment",
        ),
        (IMAGE, Protected(blind="root is away"), "root is away"),
    ],
)
def test_what_is_protected_stays_and_says_why(image: HeldImage, protected: Protected, why: str) -> None:
    assert reason(image, protected) == why
    assert reason(image, protected, Retention(0, 0, budget=0, need=1000)) == why


def test_what_nobody_needs_goes() -> None:
    assert going(IMAGE) == [IMAGE.id]
    assert going(ALIASED, protected=Protected(ours=frozenset({"train:latest"}))) == [IMAGE.id]


def test_a_tag_for_a_registry_is_one_of_ours() -> None:
    pushed = replace(IMAGE, references=IMAGE.references | {f"registry.example:5000/team/{IMAGE.name}:latest"})
    assert going(pushed) == [IMAGE.id]


def test_the_last_images_of_each_environment_stay() -> None:
    images = [held(number, days=100 - number, environments=frozenset({"ab"[number % 2]})) for number in range(8)]
    assert going(*images, policy=Retention(2, 0)) == ["sha256:0", "sha256:1", "sha256:2", "sha256:3"]


def test_the_last_image_is_the_one_used_last() -> None:
    old = held(1, days=100, used=NOW - DAY)
    new = held(2, days=50)
    assert going(old, new, policy=Retention(1, 0)) == [new.id]


def test_an_image_of_several_environments_stays_for_one_of_them() -> None:
    shared = held(1, days=100, environments=frozenset({"a", "b"}))
    assert going(shared, held(2, days=1), policy=Retention(1, 0)) == []


def test_what_was_used_a_short_while_ago_stays() -> None:
    policy = Retention(0, 30 * DAY)
    assert going(held(1, days=31), policy=policy) == ["sha256:1"]
    assert going(held(1, days=29), policy=policy) == []
    assert going(held(1, days=31, used=NOW - 29 * DAY), policy=policy) == []
    assert going(held(1, days=-5), policy=policy) == [], "the clock was set back"


def test_a_budget_takes_what_was_used_longest_ago() -> None:
    images = [held(number, days=10 - number) for number in range(4)]
    images[0] = replace(images[0], used=NOW)
    policy = Retention(5, 30 * DAY, budget=25)
    result = plan(images, Protected(), policy, NOW)
    assert [verdict.image.id for verdict in result.going] == ["sha256:1", "sha256:2"]
    assert result.going[0].reason == "over the budget of 25B; not used for 9d"
    assert (result.used, result.frees) == (40, 20)


def test_a_full_disk_takes_as_much_as_is_needed() -> None:
    images = [held(number, days=10 - number) for number in range(4)]
    result = plan(images, Protected(), Retention(5, 30 * DAY, need=11), NOW)
    assert [verdict.image.id for verdict in result.going] == ["sha256:0", "sha256:1"]
    assert result.going[0].reason == "the disk is nearly full; not used for 10d"


def test_a_shared_layer_counts_once_and_is_free_with_the_last_image_that_has_it() -> None:
    common = Layer("common", 100)
    images = [held(number, layers=(common, Layer(f"l{number}", 10))) for number in (1, 2)]
    result = plan(images, Protected(), NOTHING_KEPT, NOW)
    assert result.used == 120
    assert [verdict.frees for verdict in result.going] == [10, 110]
    kept = plan(images, Protected(shared=frozenset({"common"})), NOTHING_KEPT, NOW)
    assert (kept.used, kept.frees) == (20, 20)


def test_a_budget_takes_nothing_that_would_free_nothing() -> None:
    common = Layer("common", 100)
    base = held(1, layers=(common,))
    on_top = held(2, days=1, layers=(common, Layer("l2", 10)))
    needed = Protected(needed={base.name: "a"})
    twin = held(3, days=200, layers=(common,))
    policy = Retention(9, 0, budget=50)
    assert going(base, on_top, twin, protected=needed, policy=policy) == [on_top.id]


def test_an_image_whose_tag_was_taken_over_goes() -> None:
    before = replace(held(1, days=2), id="sha256:before", references=frozenset())
    assert going(before, held(1, days=1), protected=Protected(needed={IMAGE.name: "a"})) == ["sha256:before"]


def test_an_image_that_has_lost_its_tag_stays_where_it_will_get_it_back() -> None:
    lost = replace(IMAGE, references=frozenset())
    assert reason(lost, Protected(needed={IMAGE.name: "a"})) == "it gets its tag back"
    assert going(lost) == [IMAGE.id]


def test_an_image_that_a_build_has_not_tagged_yet_stays() -> None:
    young = replace(held(1, days=0), id="sha256:young", references=frozenset())
    assert reason(young, Protected()) == "was made a moment ago"
    assert going(young, held(1, days=1), protected=Protected(needed={IMAGE.name: "a"})) == []


def test_a_young_image_of_another_envkiln_stays() -> None:
    young = held(1, days=0, environments=frozenset())
    assert reason(young, Protected()) == "was made a moment ago"
    assert going(replace(young, created=NOW - 3600)) == [young.id]


LAYERS = [Layer(f"l{number}", size) for number, size in enumerate((1, 2, 4, 8, 16, 32))]
REFERENCES = ["train:latest", "mine:1"]
IMAGES = st.lists(
    st.builds(
        lambda number, days, used, tagged, more, layers, environments: held(
            number,
            days=days,
            used=None if used is None else NOW - used * DAY,
            references=frozenset(([f"{name_of(number)}:latest"] if tagged else []) + more),
            layers=tuple(layers),
            environments=frozenset(environments),
        ),
        st.integers(0, 9),
        st.integers(-1, 50),
        st.none() | st.integers(-1, 50),
        st.booleans(),
        st.lists(st.sampled_from(REFERENCES), max_size=1),
        st.lists(st.sampled_from(LAYERS), max_size=4, unique=True),
        st.sets(st.sampled_from("abc")),
    ),
    unique_by=lambda image: image.id,
)
NAMES = st.sets(st.integers(0, 9).map(name_of), max_size=3)
PROTECTED = st.builds(
    lambda needed, building, registered, pinned, containers, claimed, shared: Protected(
        dict.fromkeys(needed, "x"),
        frozenset(building),
        registered,
        tuple(pinned),
        frozenset(f"sha256:{number}" for number in containers),
        frozenset({"train:latest"}),
        frozenset(claimed),
        frozenset(shared),
    ),
    NAMES,
    NAMES,
    st.none() | NAMES.map(frozenset),
    st.lists(st.sampled_from(["a", "train", name_of(3)]), max_size=1),
    st.sets(st.integers(0, 9), max_size=2),
    st.sets(st.just("train:latest")),
    st.sets(st.sampled_from([layer.id for layer in LAYERS]), max_size=2),
)
POLICIES = st.builds(
    Retention,
    st.integers(0, 3),
    st.integers(0, 40).map(lambda days: days * DAY),
    st.none() | st.integers(0, 64),
    st.integers(0, 64),
)


@given(IMAGES, PROTECTED, POLICIES)
def test_whatever_is_planned(images: list[HeldImage], protected: Protected, policy: Retention) -> None:
    result = plan(images, protected, policy, NOW)
    gone = {verdict.image.id for verdict in result.going}
    left = [verdict.image for verdict in result.staying]
    assert sorted([*gone, *(image.id for image in left)]) == sorted(image.id for image in images)
    assert all(verdict.reason for verdict in (*result.going, *result.staying))
    for image in (verdict.image for verdict in result.going):
        assert image.id not in protected.containers
        assert image.name not in protected.busy
        assert protected.registered is not None
        if image.references:
            assert image.name not in {*protected.needed, *protected.registered}
            assert "mine:1" not in image.references
            assert not image.references & protected.claimed
    assert plan(reversed(images), protected, policy, NOW) == result
    assert result.used - result.frees == _bytes(left, protected)


@given(IMAGES, PROTECTED, POLICIES)
def test_what_is_left_is_left_alone_by_the_next_plan(
    images: list[HeldImage], protected: Protected, policy: Retention
) -> None:
    policy = replace(policy, need=0)
    left = [verdict.image for verdict in plan(images, protected, policy, NOW).staying]
    assert plan(left, protected, policy, NOW).going == ()


@given(IMAGES, PROTECTED, POLICIES)
def test_over_the_budget_only_what_is_protected_is_left(
    images: list[HeldImage], protected: Protected, policy: Retention
) -> None:
    result = plan(images, protected, policy, NOW)
    if policy.budget is None or result.used - result.frees <= policy.budget:
        return
    free = [it.image for it in plan(images, protected, NOTHING_KEPT, NOW).going]
    fixed = {layer.id for image in images if image not in free for layer in image.layers} | protected.shared
    left = {verdict.image.id for verdict in result.staying}
    for image in free:
        assert image.id not in left or all(layer.id in fixed for layer in image.layers)


@given(IMAGES, PROTECTED, st.integers(1, 3))
def test_the_last_of_an_environment_stay_without_a_budget(
    images: list[HeldImage], protected: Protected, count: int
) -> None:
    result = plan(images, protected, Retention(count, 0), NOW)
    for environment in "abc":
        known = [it for it in images if environment in it.environments and it.references]
        left = [it.image for it in result.staying if it.image in known]
        assert len(left) >= min(count, len(known))


def _bytes(images: list[HeldImage], protected: Protected) -> int:
    layers = {layer for image in images for layer in image.layers}
    return sum(layer.size for layer in layers if layer.id not in protected.shared)
