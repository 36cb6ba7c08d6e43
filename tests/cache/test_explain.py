"""What changed, in words."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envkiln.cache.canonical import canonical_text
from envkiln.cache.explain import changes


def conda(*packages: object, channels: tuple[str, ...] = ("conda-forge",), **others: object) -> str:
    return canonical_text({"channels": list(channels), "dependencies": list(packages), **others})


def test_equal_texts_have_no_changes() -> None:
    assert changes(conda("python"), conda("python")) == ()


def test_packages_that_come_and_go() -> None:
    said = changes(conda("python", "pytorch"), conda("python", "numpy=2.2"))
    assert said == ("added numpy=2.2", "removed pytorch")


def test_a_package_in_another_version() -> None:
    assert changes(conda("python=3.11", "six"), conda("python=3.12", "six>=1")) == (
        "python: 3.11 -> 3.12",
        "six: any -> >=1",
    )


def test_packages_of_pip_are_told_apart() -> None:
    old, new = conda("pip", {"pip": ["idna==3.1"]}), conda("pip", {"pip": ["idna==3.2", "six"]})
    assert changes(old, new) == ("pip: idna: 3.1 -> 3.2", "pip: added six")


def test_order_counts() -> None:
    old, new = conda("a", channels=("x", "y")), conda("a", channels=("y", "x"))
    assert changes(old, new) == ("channel order changed: y, x",)
    assert changes(conda("a", "b"), conda("b", "a")) == ("package order changed: b, a",)


def test_variables_are_named_without_their_values() -> None:
    old, new = conda("a", variables={"TOKEN": "old", "SAME": "1"}), conda("a", variables={"TOKEN": "new", "SAME": "1"})
    assert changes(old, new) == ("variables: TOKEN changed",)


def test_instructions_that_come_and_go() -> None:
    assert changes("FROM base:1\nRUN a\n", "FROM base:2\nRUN a\nRUN b\n") == (
        "removed: FROM base:1",
        "added: FROM base:2",
        "added: RUN b",
    )


@pytest.mark.parametrize("lines", [200, 900, 3000])
def test_long_texts_that_differ_in_every_line_are_compared_at_once(lines: int) -> None:
    old = "\n".join(f"RUN ./install_{number}.sh --prefix /opt/{number}" for number in range(lines))
    started = time.process_time()
    said = changes(old, old.replace("/opt", "/usr"))
    assert time.process_time() - started < 0.5  # 200 lines took seconds once
    assert said[-1] == f"and {2 * lines - 50} more"


def test_lines_in_another_order_are_a_change() -> None:
    assert changes("RUN a\nRUN b", "RUN b\nRUN a")
    long = [f"RUN {number}" for number in range(3000)]
    assert changes("\n".join(long), "\n".join(reversed(long))) == ("the order of the lines changed",)


@pytest.mark.parametrize("text", ["a: &a [*a]\n", "a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n"])
def test_a_text_with_aliases_is_compared_by_lines(text: str) -> None:
    text += "dependencies: []\n"
    assert changes(text, f"{text}z: 1\n") == ("added: z: 1",)


def test_no_credential_is_told() -> None:
    old, new = conda("a"), conda("a", {"pip": ["--index-url https://me:secret@host/simple"]})
    assert "secret" not in " ".join(changes(old, new))


def test_very_many_changes_are_counted() -> None:
    said = changes(conda("a"), conda(*(f"p{number}" for number in range(100))))
    assert said[-1] == "and 51 more"


@given(st.text(), st.text())
def test_any_two_texts_have_an_answer(before: str, after: str) -> None:
    assert (changes(before, after) == ()) == (before == after)


@given(
    st.lists(st.sampled_from(["a", "a=1", "a=2", "b", "b>1"]), max_size=4),
    st.lists(st.sampled_from(["a", "a=1", "a=2", "b", "b>1"]), max_size=4),
)
def test_packages_changed_if_and_only_if_something_is_said(old: list[str], new: list[str]) -> None:
    assert (changes(conda(*old), conda(*new)) == ()) == (old == new)
