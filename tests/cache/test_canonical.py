import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from envkiln.cache.canonical import canonical_text

WORDS = (
    r"numpy|python=3.7|yes|n|null|~||a: b|a #b|- a|@a|1.0|0x1f|a:|{{a}}|sel(linux)|a b | a|=|<<|2020-01-01|%a|`a|'a'"
    '|é|\u2028|a\nb|a\tb|\ufeffa|a\r|"a"|*a|&a|!a|a, b|[a]|>a|? a|a\\|a\'b|\x07|\x85|😀'
)
words = st.sampled_from(WORDS.split("|"))
texts = words | st.text(max_size=12)
# PyYAML's own emitter and libyaml's differ in two kinds of keys, an empty one and one with a carriage return: the first
# writes `? ''` and `"\\r":`, the second the other form. No environment has such keys.
keys = texts.filter(lambda key: key and "\r" not in key)
scalars = texts | st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none() | st.dates()
items = scalars | st.dictionaries(keys, st.lists(scalars, max_size=3), max_size=2)
specifications = st.dictionaries(
    st.sampled_from(["name", "channels", "dependencies", "variables", "prefix"]) | keys,
    st.lists(items, max_size=4) | scalars | st.dictionaries(keys, scalars, max_size=3),
    max_size=5,
)


class PlainDumper(yaml.SafeDumper):
    """PyYAML's own safe dumper, without anchors."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def reference(specification: dict[str, object]) -> str:
    text: str = yaml.dump(
        {**specification, "name": ""}, Dumper=PlainDumper, sort_keys=True, default_flow_style=False, width=10**9
    )
    return text


@settings(max_examples=300)
@given(specifications)
def test_the_text_is_what_pyyaml_writes(specification: dict[str, object]) -> None:
    assert canonical_text(specification) == reference(specification)


@settings(max_examples=100)
@given(st.lists(words, min_size=1), st.lists(words, min_size=1))
def test_the_usual_shape_is_what_pyyaml_writes(channels: list[str], packages: list[str]) -> None:
    specification = {"channels": channels, "dependencies": ["python=3.7", {"pip": packages}, *packages]}
    assert canonical_text(specification) == reference(specification)


def test_what_is_written_twice_has_no_anchor() -> None:
    packages = ["a", "b"]
    text = canonical_text({"dependencies": [{"pip": packages}, {"pip": packages}]})
    assert text == "dependencies:\n- pip:\n  - a\n  - b\n- pip:\n  - a\n  - b\nname: ''\n"


def test_the_given_name_replaces_the_own_one_in_its_place() -> None:
    assert canonical_text({"prefix": "p", "name": "x", "channels": ["c"]}, name="y") == (
        "channels:\n- c\nname: y\nprefix: p\n"
    )
