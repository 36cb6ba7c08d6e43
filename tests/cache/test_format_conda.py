import hashlib

import pytest

from envkiln.cache.definition import EnvironmentDefinition, Format
from envkiln.cache.errors import DefinitionError
from envkiln.cache.formats import read_definition
from envkiln.cache.source import EntryKind, MemoryTree


def read(text: str, **files: bytes) -> EnvironmentDefinition:
    tree = MemoryTree({"e/env.yml": text.encode(), **{f"e/{name}": data for name, data in files.items()}})
    return read_definition(tree, "e/env.yml")


def refused(text: str, files: dict[str, bytes] | None = None) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        read_definition(MemoryTree({"e/env.yml": text.encode(), **(files or {})}), "e/env.yml")
    assert caught.value.hint
    return caught.value


def test_the_content_is_not_changed() -> None:
    definition = read("dependencies: [numpy, pip: [a]]\n")
    assert definition.format is Format.CONDA
    assert definition.directory == "e"
    assert definition.declared_name is None
    assert definition.conda is not None
    assert definition.conda.canonical == "dependencies:\n- numpy\n- pip:\n  - a\nname: ''\n"


def test_the_declared_name_is_known_and_does_not_count() -> None:
    one, other = read("name: a\ndependencies: [python=3.9]\n"), read("name: b\ndependencies: [python=3.9]\n")
    assert (one.declared_name, other.declared_name) == ("a", "b")
    assert one.conda is not None
    assert other.conda is not None
    assert one.conda.canonical == other.conda.canonical


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("chanels: [a]\ndependencies: [b]\nchannels: []\n", "Environment error: unknown chanels key in", 1),
        ("", "Environment error: not a valid YAML structure", 1),
        ("- a\n", "Environment error: not a valid YAML structure", 1),
        ("name: a\ndependencies:\n", "`dependencies` is empty", 2),
        ("name: a\ndependencies: b\n", "`dependencies` must be a list, this is a text", 2),
        ("dependencies:\n- a\n-\n", "a dependency must be a text, this is empty", 3),
        ("dependencies:\n- yes\n", "a dependency must be a text, this is true or false", 2),
        ("dependencies:\n- 2020-01-01\n", "a dependency must be a text, this is a date", 2),
        ("dependencies:\n- a\n- pip:\n", "`pip:` has no packages", 3),
        ("dependencies:\n- a\n- pip: b\n", "`pip:` must be a list, this is a text", 3),
        ("dependencies:\n- a\n- pip:\n  - b\n  - c: d\n", "a pip item must be a text, this is a mapping", 5),
        ("channels: a\ndependencies: [b]\n", "`channels` must be a list of texts", 1),
        ("channels:\ndependencies: [b]\n", "`channels` must be a list of texts", 1),
        ("channels: [1]\ndependencies: [b]\n", "a channel must be a text, this is a number", 1),
        ("name: [a]\ndependencies: [b]\n", "`name` must be a text", 1),
        ("variables: [a]\ndependencies: [b]\n", "`variables` must be a mapping", 1),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, message: str, line: int) -> None:
    error = refused(text)
    assert error.message.startswith(message)
    assert (error.file, error.line) == ("e/env.yml", line)
    assert error.column is not None


def test_a_misspelt_key_is_recognised() -> None:
    error = refused("chanels: [a]\ndependencies: [b]\n")
    assert error.message == "Environment error: unknown chanels key in environment specification"
    assert error.hint == "did you mean 'channels'?"


@pytest.mark.parametrize(
    ("item", "warning"),
    [
        ("- a={{version}}", "unfilled template"),
        ("- a=${{version}}", "unfilled template"),
        ("- <your package>", "unfilled template"),
        ("- 3.10", "the bare number 3.1 "),
        ("- pip: ['a=={{version}}']", "unfilled template"),
        ("- pip: ['-e .']", "'-e .' installs a local directory"),
        ("- pip: ['--find-links wheels']", "looks into a local directory"),
        ("- pip: ['./package']", "'./package' is a local directory"),
    ],
)
def test_what_will_not_do_what_is_meant_is_warned_about_with_its_line(item: str, warning: str) -> None:
    (text,) = read(f"dependencies:\n- python=3.9\n{item}\n", **{"package/setup.py": b""}).warnings
    assert text.startswith("e/env.yml:3: ")
    assert warning in text


@pytest.mark.parametrize(
    "item", ["python", "python=3.9", "conda-forge::python >=3", "'python>3,<4'", "sel(win): python"]
)
def test_a_python_is_recognised(item: str) -> None:
    assert read(f"dependencies:\n- numpy<2,>1\n- {item}\n").warnings == ()


@pytest.mark.parametrize("item", ["numpy", "python-dateutil", "ipython"])
def test_a_missing_python_is_warned_about(item: str) -> None:
    assert read(f"dependencies:\n- {item}\n").warnings == (
        "e/env.yml:1: python is not among the dependencies: its version is left to chance",
    )


def test_local_files_of_the_pip_part_become_files_beside_the_specification() -> None:
    definition = read(
        "dependencies:\n- python\n- pip:\n  - -r a/b.txt\n  - --constraint=c.txt\n  - ./w.whl[x] ; python > '3'\n",
        **{
            "a/b.txt": b"-rd.txt\nnumpy\n# -r no.txt\nhttps://a/x.whl\n--requirement \\\n  'e f.txt'\n",
            "a/d.txt": b"-r b.txt\nw2.tar.gz --hash=sha256:0\n",
            "a/e f.txt": b"",
            "c.txt": b"\xef\xbb\xbfnumpy\r\n",
            "w.whl": b"wheel",
            "w2.tar.gz": b"sdist",
        },
    )
    assert definition.warnings == ()
    assert [file.path for file in definition.extra_files] == [
        "a/b.txt",
        "a/d.txt",
        "a/e f.txt",
        "c.txt",
        "w.whl",
        "w2.tar.gz",
    ]
    wheel = definition.extra_files[4]
    assert (wheel.source, wheel.kind) == ("e/w.whl", EntryKind.FILE)
    assert wheel.content == hashlib.sha256(b"wheel").hexdigest()


@pytest.mark.parametrize(
    "item",
    [
        "-r https://a/b.txt [--no-deps]",
        "git+https://a/b.git",
        "a @ https://b/c.whl",
        "-e git+https://a/b#egg=c",
        "a[b]",
    ],
)
def test_what_lies_elsewhere_stays_as_it_is(item: str) -> None:
    definition = read(f"dependencies:\n- python\n- pip:\n  - {item}\n")
    assert definition.extra_files == ()
    assert definition.warnings == ()


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("-r gone.txt", "the file 'e/gone.txt' is missing"),
        ("-c gone.txt", "the file 'e/gone.txt' is missing"),
        ("gone-1.0.whl", "the file 'e/gone-1.0.whl' is missing"),
        ("./gone", "there is no 'e/gone'"),
        ("-r sub", "the file 'e/sub' cannot be read"),
        ("-r", "-r names no file"),
        ("-r 'a", "cannot be split"),
        ("-r ../up.txt", "lies outside of the directory of the environment"),
        ("-r ../../up.txt", "leads out of the watched directory"),
        ("/abs/x.whl", "leads out of the watched directory"),
        ("-r Dockerfile", "cannot be called 'Dockerfile'"),
    ],
)
def test_a_local_file_that_cannot_be_laid_out_is_an_error_at_its_line(item: str, message: str) -> None:
    error = refused(
        f'dependencies:\n- python\n- pip:\n  - "{item}"\n',
        {"up.txt": b"", "e/sub/x": b"", "e/Dockerfile": b"FROM a\n"},
    )
    assert message in error.message
    assert (error.file, error.line) == ("e/env.yml", 4)


def test_an_error_in_a_requirements_file_has_the_line_of_that_file() -> None:
    error = refused("dependencies:\n- pip:\n  - -r a.txt\n", {"e/a.txt": b"numpy\n\n-r gone.txt\n"})
    assert (error.file, error.line) == ("e/a.txt", 3)


def test_a_specification_that_yaml_cannot_write_is_refused_or_named() -> None:
    assert read('dependencies: ["a\\u0001b", python]\n').conda is not None
