"""A registered version as text: what is written is read back, and what is damaged is said with its line."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from versions import VERSION, version

from envkiln.cache.errors import DefinitionError
from envkiln.cache.registered_version import StoredFile, VersionError
from envkiln.cache.version_file import decode_version, encode_version, fits_inline

FILE = "versions/pytorch/1.yml"
PARTS = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8)
PATHS = st.lists(PARTS.filter(lambda part: part not in (".", "..")), min_size=1, max_size=3).map("/".join)
INLINE = st.text(max_size=60).filter(lambda text: fits_inline(text.encode(errors="surrogatepass")))
CONTENTS = st.one_of(
    st.builds(lambda text: {"text": text}, INLINE),
    st.builds(lambda digit: {"sha256": digit * 64}, st.sampled_from("0123456789abcdef")),
    st.builds(lambda target: {"target": target}, PARTS),
    st.just({"directory": True}),
)


@given(
    files=st.dictionaries(PATHS, st.tuples(CONTENTS, st.booleans()), max_size=5),
    main=INLINE,
    description=INLINE,
    archived=st.booleans(),
    number=st.integers(1, 2**31 - 1),
)
def test_what_is_written_is_read_back_as_it_was(
    files: dict[str, tuple[dict[str, object], bool]], main: str, description: str, archived: bool, number: int
) -> None:
    stored = [
        StoredFile(path, **content, executable=executable)  # type: ignore[arg-type]
        for path, (content, executable) in files.items()
        if path != "env.yml"
    ]
    solid = {file.path for file in stored if not file.directory} | {"env.yml"}
    stored = [file for file in stored if not any(file.path.startswith(f"{path}/") for path in solid)]
    stored.append(StoredFile("env.yml", main))
    written = version(
        number=number,
        files=tuple(sorted(stored, key=lambda file: file.path)),
        description=description,
        archived=archived,
    )
    assert decode_version(encode_version(written), FILE) == written


def test_a_definition_reads_in_it_as_it_was_written() -> None:
    text = encode_version(version(files=(StoredFile("env.yml", "# why\ndependencies:\n- python=3.11\n"),))).decode()
    assert "    text: |\n      # why\n      dependencies:\n      - python=3.11\n" in text


def test_equal_versions_have_equal_bytes() -> None:
    assert encode_version(version()) == encode_version(version())


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("version", 0, "0 is not a version"),
        ("version", True, "`version` must be a whole number"),
        ("name", "a/b", "is not a name to register by"),
        ("image", "azureml/azureml_1", "is not the name of an image"),
        ("content", "sha256:1", "is not sha256: and 64 hex digits"),
        ("format", "poetry", "the format 'poetry' is not known"),
        ("main", "other.yml", "the main file 'other.yml' is not among the files"),
        ("archived", "yes", "`archived` must be true or false"),
        ("description", 1, "`description` must be a text"),
        ("layout", 2, "the layout 2 is not known here"),
        ("author", "me", "the key 'author' is not known here"),
        ("files", [], "`files` must be a mapping"),
        ("files", {"../env.yml": {"text": ""}}, "is not a path below the environment"),
        ("files", {"env.yml": {"text": "", "directory": True}}, "one of text, sha256, link or directory"),
        ("files", {"env.yml": {"sha256": "1"}}, "is not a SHA-256"),
        ("files", {"env.yml": {"text": 1}}, "`text` must be a text"),
        ("files", {"env.yml": {"text": "", "executable": 1}}, "`executable` must be true or false"),
        ("files", {"env.yml": "text"}, "this is not a registered version"),
        ("files", {"env.yml": {"directory": True}}, "the main file 'env.yml' is not among the files"),
        ("files", {"env.yml": {"text": ""}, "a": {"text": ""}}, "not sorted by path"),
        (
            "files",
            {"a": {"link": "/etc"}, "a/b": {"text": ""}, "env.yml": {"text": ""}},
            "below another file or a link",
        ),
    ],
)
def test_a_damaged_version_is_an_error_at_its_line(key: str, value: object, says: str) -> None:
    plain = yaml.safe_load(encode_version(VERSION))
    plain[key] = value
    with pytest.raises(DefinitionError) as caught:
        decode_version(yaml.safe_dump(plain, sort_keys=False).encode(), FILE)
    assert says in caught.value.message
    assert caught.value.place.startswith(f"{FILE}:")
    assert caught.value.hint


@pytest.mark.parametrize("key", ["layout", "name", "version", "image", "recipe", "content", "format", "main", "files"])
def test_what_is_missing_is_named(key: str) -> None:
    plain = yaml.safe_load(encode_version(VERSION))
    del plain[key]
    with pytest.raises(DefinitionError, match=f"`{key}` is missing"):
        decode_version(yaml.safe_dump(plain).encode(), FILE)


def test_a_merge_that_left_a_conflict_says_so_at_its_line() -> None:
    with pytest.raises(DefinitionError, match=rf"{FILE}:3:1: the file has a git conflict marker"):
        decode_version(b"layout: 1\nname: a\n<<<<<<< ours\n", FILE)


def test_a_version_that_could_not_be_read_again_is_not_written() -> None:
    long = tuple(StoredFile(f"f{number:05}", "x" * 200) for number in range(6000))
    with pytest.raises(VersionError, match="more than 524288"):
        encode_version(version(main="f00000", files=long))
    with pytest.raises(VersionError, match="is not UTF-8"):
        encode_version(version(main="a\udcff", files=(StoredFile("a\udcff", ""),)))
