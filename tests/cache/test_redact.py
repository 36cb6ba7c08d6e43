"""What leaves a text before it is stored or shown, and what stays."""

import pytest

from envkiln.cache.redact import redact


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--index-url https://user:secret@host/simple", "--index-url https://***@host/simple"),
        ("https://secret@host/simple", "https://***@host/simple"),
        ("https://user:p@ss@word@host/simple", "https://***@host/simple"),
        ("git+https://secret@host/repo.git@v1#egg=x", "git+https://***@host/repo.git@v1#egg=x"),
        ("https://host/x.whl?sv=1&sig=secret&se=2", "https://host/x.whl?sv=1&sig=***&se=2"),
        ("https://host/x?TOKEN=secret", "https://host/x?TOKEN=***"),
        ("https://conda.host/t/secret-1/channel", "https://conda.host/t/***/channel"),
        ("- https://a:secret@host/t/secret/c\n- 'https://secret@host'\n", "- https://***@host/t/***/c\n- 'https://***@host'\n"),
    ],
)  # fmt: skip
def test_credentials_are_replaced(text: str, expected: str) -> None:
    assert redact(text) == expected
    assert redact(redact(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "numpy==1.26; python_version < '3.12'",
        "name @ https://host/name-1.whl",
        "git+https://host/repo.git@main",
        "git@host:repo.git",
        "https://host/path?tokens=3&keyboard=qwerty",
        "/home/t/some/file",
        "FROM base@sha256:" + "1" * 64,
        "",
    ],
)
def test_text_without_credentials_is_left_alone(text: str) -> None:
    assert redact(text) == text


def test_a_long_text_takes_no_long_time() -> None:
    assert redact("https://" * 20_000 + "?" * 20_000)
