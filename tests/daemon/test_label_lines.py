"""Labels written into a Dockerfile."""

import pytest

from envkiln.daemon.label_lines import with_labels

TEXT = b"FROM scratch\nCOPY a b\n"


def test_all_labels_become_one_instruction_at_the_end() -> None:
    text, left = with_labels(TEXT, {"a": "1", "b.c": "two words"})
    assert text == TEXT + b'\n\nLABEL "a"="1" \\\n  "b.c"="two words"\n'
    assert left == {}


def test_quotes_dollars_and_backslashes_are_escaped() -> None:
    text, _ = with_labels(TEXT, {"a": r'say "$HOME" \n'})
    assert text.endswith(rb'LABEL "a"="say \"\$HOME\" \\n"' + b"\n")


def test_a_long_label_stands_on_short_lines() -> None:
    text, left = with_labels(TEXT, {"a": "x" * 200_000})
    assert left == {}
    assert max(map(len, text.splitlines())) < 10_000
    assert text.count(b"x") == 200_000


def test_a_label_with_a_line_break_is_left_to_the_builder() -> None:
    text, left = with_labels(TEXT, {"a": "1", "b": "x\ny"})
    assert b'LABEL "a"="1"' in text
    assert left == {"b": "x\ny"}


@pytest.mark.parametrize(
    "text", [b"# escape=`\nFROM scratch\n", b"#syntax=x\n# Escape = `\nFROM a\n", b"FROM a\nRUN b \\\n"]
)
def test_a_text_that_cannot_take_an_instruction_is_left_alone(text: bytes) -> None:
    assert with_labels(text, {"a": "1"}) == (text, {"a": "1"})
