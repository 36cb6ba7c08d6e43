"""Text on narrow terminals, and who wants it plain."""

import io

import pytest

from envkiln.daemon import terminal


@pytest.mark.parametrize(
    ("text", "width", "fitted"),
    [
        ("abc", 3, "abc"),
        ("環境です", 8, "環境です"),
        ("e\u0301te\u0301", 3, "e\u0301te\u0301"),
        ("", 0, ""),
    ],
)
def test_what_fits_stays(text: str, width: int, fitted: str) -> None:
    assert terminal.fit(text, width) == fitted


def test_what_is_too_long_is_cut_by_its_display_width() -> None:
    for text in ("abcdefghij", "環境環境環境", "a環境環境環境"):
        for width in range(1, 9):
            cut = terminal.fit(text, width)
            assert terminal.display_width(cut) <= width
            assert cut.endswith(("…", "."))


def test_padding_counts_wide_characters_twice() -> None:
    assert terminal.pad("環境", 6) == "環境  "


@pytest.mark.parametrize(
    ("environ", "plain"), [({"TERM": "dumb"}, True), ({"ENVKILN_PLAIN": "1"}, True), ({"ENVKILN_PLAIN": "0"}, False)]
)
def test_who_asks_for_plain_output_gets_it(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], plain: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert terminal.is_plain() is plain
    assert terminal.is_plain(asked=True)


def test_no_colour_in_a_pipe_nor_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tty(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert terminal.has_colour(Tty())
    assert not terminal.has_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not terminal.has_colour(Tty())


def test_a_terminal_without_a_size_has_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    with open("/dev/null", encoding="utf-8") as null:  # noqa: PTH123 -- a stream with a descriptor

        class Tty(io.StringIO):
            def isatty(self) -> bool:
                return True

            def fileno(self) -> int:
                return null.fileno()

        assert terminal.width_of(Tty()) == 80
    monkeypatch.setenv("COLUMNS", "33")
    assert terminal.width_of(Tty()) == 33
