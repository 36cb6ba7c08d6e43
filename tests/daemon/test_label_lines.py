"""Labels written into a Dockerfile."""

import pytest

from envkiln.daemon.label_lines import with_labels, with_last_instruction

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


def test_a_text_with_its_own_escape_character_gets_labels_with_that() -> None:
    text, left = with_labels(b"# escape=`\nFROM a\n", {"a": 'say "`$x`" \\n', "b": "2"})
    assert text == b'# escape=`\nFROM a\n\n\nLABEL "a"="say `"```$x```" \\n" `\n  "b"="2"\n'
    assert left == {}


def test_a_text_that_ends_in_the_middle_of_a_line_gets_labels_on_their_own() -> None:
    assert with_labels(b"FROM a\nRUN b \\\n", {"a": "1"}) == (b'FROM a\nRUN b \n\nLABEL "a"="1"\n', {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"FROM a\n", b"FROM a\n\n\nLABEL a=b\n"),
        (b"FROM a\nRUN b \\\n", b"FROM a\nRUN b \n\nLABEL a=b\n"),
        (b"# escape=`\nFROM a\nRUN dir c:\\ `\n", b"# escape=`\nFROM a\nRUN dir c:\\ \n\nLABEL a=b\n"),
        (b"# escape=`\nFROM a\nRUN dir c:\\", b"# escape=`\nFROM a\nRUN dir c:\\\n\nLABEL a=b\n"),
        (b"FROM a\nRUN echo \\\\", b"FROM a\nRUN echo \\\\\n\nLABEL a=b\n"),
    ],
)
def test_the_last_instruction_stands_on_its_own_line_behind_any_text(text: bytes, expected: bytes) -> None:
    assert with_last_instruction(text, "LABEL a=b") == expected
