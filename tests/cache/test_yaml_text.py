from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from envkiln.cache.errors import DefinitionError
from envkiln.cache.yaml_text import MAX_BYTES, read_yaml


def value(text: str | bytes) -> Any:
    return read_yaml(text if isinstance(text, bytes) else text.encode(), "e.yml").value


def ordered(data: Any) -> str:
    """Return a text that is equal for equal data of equal types, whatever the order of keys: names do not see it."""
    if isinstance(data, dict):
        return "{" + ", ".join(sorted(f"{key!r}: {ordered(item)}" for key, item in data.items())) + "}"
    return "[" + ", ".join(map(ordered, data)) + "]" if isinstance(data, list) else repr(data)


def refused(text: str | bytes) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        value(text)
    assert caught.value.file == "e.yml"
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("# only a comment\n", None),
        ("\ufeffa: 1\n", {"a": 1}),
        ("a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
        ("a: 1\rb: 2\r", {"a": 1, "b": 2}),
        ("a: [3.10, 1e3, 0x1f, 010, 1_000, .5, ~, yes, No, 'yes']", None),
        ("a: &x [1]\nb: *x\n", {"a": [1], "b": [1]}),
        ("a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3\n", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
        ("a: '{{b}}'\n", {"a": "{{b}}"}),
        ("a: b={{c}}\n", {"a": "b={{c}}"}),
        ("a: !!str 1\nb: !!int '2'\n", {"a": "1", "b": 2}),
        ("{a: b}", {"a": "b"}),
        ("a: =\nb: <<\n", {"a": "=", "b": "<<"}),
        ("'a': \"\\u00e9\"\n", {"a": "é"}),
    ],
)
def test_what_is_read_is_what_the_safe_loader_reads(text: str, expected: Any) -> None:
    read = value(text)
    if expected is not None:
        assert read == expected
    if "=" not in text:  # PyYAML itself cannot construct a plain `=`
        assert ordered(read) == ordered(yaml.load(text.encode(), Loader=yaml.CSafeLoader))


@pytest.mark.parametrize(
    ("text", "says", "place", "hint"),
    [
        ("a: 1\nb: 2\na: 3\n", "'a' is there twice", "e.yml:3:1", "only the last"),
        ("a:\n  - b: 1\n    b: 2\n", "'b' is there twice", "e.yml:3:5", "only the last"),
        ("1: a\n1: b\n", "1 is there twice", "e.yml:2:1", "only the last"),
        ("- {{ a }}\n", "a key must be a text", "e.yml:1:4", "template"),
        ("a: {{ b }}/c\n", "expected", "e.yml:1:11", "template"),
        ("a: b\n\tc: d\n", "character", "e.yml:2:1", "tab"),
        ("a: *b\n", "undefined alias", "e.yml:1:4", "quoted"),
        ("a: *\n", "", "e.yml:1:5", ""),
        ("a: b: c\n", "mapping values are not allowed", "e.yml:1:5", "indentation"),
        ("a: 1\n---\nb: 2\n", "another document", "e.yml:2:1", "one document"),
        ("a: !!python/object:os.system b\n", "YAML tag", "e.yml:1:4", "plain value"),
        ("a: !secret b\n", "'!secret' is not known", "e.yml:1:4", "plain value"),
        ("a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> x\n", "conflict marker", "e.yml:2:1", "merge"),
        ("a: 2020-99-99\n", "'2020-99-99' is not a valid timestamp", "e.yml:1:4", ""),
        (b"a: 1\nb: \xff\n", "0xff is not UTF-8", "e.yml:2:4", "UTF-8"),
        ("a: 1\n".encode("utf-16"), "UTF-16", "e.yml:1:1", "iconv"),
        ("a: 1\nb: \x01\n", "U+0001 is not allowed", "e.yml:2:4", "remove"),
        ("a: [1, 2\n", "expected", "e.yml:2:1", ""),
        ("<<: 1\n", "`<<` needs a mapping", "e.yml:1:5", "anchor"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str | bytes, says: str, place: str, hint: str) -> None:
    error = refused(text)
    assert says in error.message
    assert error.place == place
    assert hint in (error.hint or "")


@pytest.mark.parametrize(
    "text", ["a: !!int ''", "a: !!float ''", "a: !!timestamp b", "a: !!seq b", "a: !!map b", "a: !!set b"]
)
def test_a_tag_that_does_not_fit_its_value_is_refused(text: str) -> None:
    assert refused(text).place == "e.yml:1:4"


def test_a_bomb_of_aliases_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "more than 100000 values" in refused("\n".join(lines)).message


def test_an_alias_of_itself_is_refused() -> None:
    assert "levels" in refused("a: &a [*a]\n").message


@pytest.mark.parametrize("text", ["[" * 50_000, "- " * 50_000, "{a: " * 5_000, "[" * 500, "? " * 3_000])
def test_deep_nesting_is_refused(text: str) -> None:
    refused(text)


def test_a_file_that_is_too_large_is_refused_before_it_is_parsed() -> None:
    assert f"more than the {MAX_BYTES}" in refused(b"#" * (MAX_BYTES + 1)).message


def test_the_place_of_a_value_is_known() -> None:
    document = read_yaml(b"a: 1\nb:\n  - c\n  - d: e\n", "e.yml")
    assert document.mark() == (1, 1)
    assert document.mark("b", 1, "d") == (4, 5)
    assert document.mark("b", 1, "missing") == (4, 5)
    assert document.mark("b", 9) == (2, 1)
    error = document.error("wrong", "b", 0, hint="mend it")
    assert (str(error), error.hint) == ("e.yml:3:5: wrong", "mend it")
    assert read_yaml(b"", "e.yml").mark("a") == (1, 1)


PIECES = ["a", ": ", ":", "\n", "  ", "- ", "[", "]", "{", "}", "{{", "}}", "&a ", "*a", "<<", "!!str ", "!", "|", ">"]
PIECES += [
    "'",
    '"',
    "#",
    "\t",
    "---\n",
    "...\n",
    "%",
    "@",
    "?",
    ",",
    "1.5",
    "yes",
    "~",
    "2020-01-01",
    "é",
    "\\",
    "\r",
    "=",
    "0",
]


def judge(data: bytes) -> None:
    """Hold the two promises: a value or a DefinitionError; a value is the safe loader's."""
    try:
        ours = read_yaml(data, "e.yml").value
    except DefinitionError:
        return
    try:
        theirs = yaml.load(data, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError):
        return
    assert ordered(ours) == ordered(theirs)


@settings(max_examples=400)
@given(st.binary(max_size=60))
def test_any_bytes_give_a_value_or_a_definition_error(data: bytes) -> None:
    judge(data)


@settings(max_examples=1000)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_any_text_that_looks_like_yaml_gives_a_value_or_a_definition_error(text: str) -> None:
    judge(text.encode())


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.dates() | st.text(max_size=8)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner), max_leaves=12
)


@settings(max_examples=200)
@given(values)
def test_what_pyyaml_writes_is_read_back(data: Any) -> None:
    assert ordered(value(yaml.safe_dump(data, sort_keys=False))) == ordered(data)
