"""Package sources of a machine, in both formats that apt knows."""

from debian import Source, parse_sources

ONE_LINE = """\
# deb http://old.example/debian bookworm main
deb [signed-by=/usr/share/keyrings/k.gpg] http://deb.debian.org/debian bookworm main contrib
deb-src http://deb.debian.org/debian bookworm main
"""

DEB822 = """\
Types: deb
# a comment inside a stanza
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/k.gpg

Types: deb-src
URIs: http://deb.debian.org/debian
Suites: bookworm
Components: main
"""


def test_one_line_sources_keep_their_options_and_leave_out_sources_of_sources() -> None:
    assert list(parse_sources(ONE_LINE)) == [
        Source("http://deb.debian.org/debian", "bookworm", "main contrib", "signed-by=/usr/share/keyrings/k.gpg")
    ]


def test_a_deb822_stanza_gives_one_source_per_suite() -> None:
    suites = [source.suite for source in parse_sources(DEB822)]
    assert suites == ["bookworm", "bookworm-updates"]


def test_a_source_is_written_as_one_line() -> None:
    source = next(parse_sources(DEB822))
    expected = "deb [signed-by=/usr/share/keyrings/k.gpg] http://deb.debian.org/debian bookworm main"
    assert source.line() == expected
