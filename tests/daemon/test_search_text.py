"""A search for text in all environments at once finds what a search in each one finds."""

from hypothesis import given
from hypothesis import strategies as st

from envkiln.daemon.search_text import SearchText

TEXTS = st.text("aAßb\n0", max_size=6)


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.none() | TEXTS)), st.text("aAßb\n0\0", max_size=3))
def test_a_search_finds_what_has_the_text_in_any_case(changes: list[tuple[str, str | None]], wanted: str) -> None:
    search, texts = SearchText(), dict[str, str]()
    for id_, text in changes:
        if text is None:
            search.drop(id_)
            texts.pop(id_, None)
        else:
            search.set(id_, text)
            texts[id_] = text
        assert list(search.find(wanted)) == [it for it in sorted(texts) if wanted.casefold() in texts[it].casefold()]


def test_nothing_is_found_across_two_environments() -> None:
    search = SearchText()
    search.set("a", "one")
    search.set("b", "two")
    assert list(search.find("etw")) == []
    assert list(search.find("e\0t")) == []
    assert list(search.find("O")) == ["a", "b"]
