import hashlib

import pytest

from envkiln.cache.definition import BuildContext, Format
from envkiln.cache.errors import DefinitionError
from envkiln.cache.formats import read_definition
from envkiln.cache.source import EntryKind, MemoryTree, RecordingTree, SourceEntry, SourceTree

DOCKERFILE = b"FROM ubuntu:22.04\n"


class Tree(MemoryTree):
    """A tree that also has links, special files and empty directories, given as {path: entry}."""

    def __init__(self, files: dict[str, bytes], others: dict[str, SourceEntry]) -> None:
        super().__init__(files)
        self._others = others

    def entries(self, directory: str) -> list[SourceEntry]:
        prefix = f"{directory}/" if directory else ""
        found = {entry.name: entry for path, entry in self._others.items() if path == prefix + entry.name}
        if directory in self._others and self._others[directory].kind is EntryKind.DIRECTORY:
            return []
        found.update({entry.name: entry for entry in super().entries(directory)})
        return [found[name] for name in sorted(found)]


def context(tree: SourceTree, path: str = "Dockerfile") -> BuildContext:
    definition = read_definition(tree, path)
    assert definition.format is Format.DOCKERFILE
    assert definition.context is not None
    return definition.context


def kept(files: dict[str, bytes], path: str = "Dockerfile") -> set[str]:
    found = context(MemoryTree({path: DOCKERFILE, **files}), path)
    return {file.path for file in found.files if file.kind is not EntryKind.DIRECTORY}


def test_every_file_of_the_directory_is_in_the_context() -> None:
    tree = MemoryTree(
        {"e/Dockerfile": DOCKERFILE, "e/b/run.sh": b"x", "other": b""}, executable=frozenset({"e/b/run.sh"})
    )
    found = context(tree, "e/Dockerfile")
    assert (found.directory, found.dockerfile) == ("e", "Dockerfile")
    assert [(file.path, file.source, file.kind, file.executable) for file in found.files] == [
        ("Dockerfile", "e/Dockerfile", EntryKind.FILE, False),
        ("b", "e/b", EntryKind.DIRECTORY, False),
        ("b/run.sh", "e/b/run.sh", EntryKind.FILE, True),
    ]
    assert found.files[2].content == hashlib.sha256(b"x").hexdigest()


def test_a_named_dockerfile_is_the_main_file() -> None:
    assert context(MemoryTree({"gpu.Dockerfile": DOCKERFILE}), "gpu.Dockerfile").dockerfile == "gpu.Dockerfile"


def test_links_and_empty_directories_are_entries_and_links_are_not_followed() -> None:
    tree = Tree(
        {"Dockerfile": DOCKERFILE},
        {
            "link": SourceEntry("link", EntryKind.SYMLINK, target="../out"),
            "empty": SourceEntry("empty", EntryKind.DIRECTORY),
        },
    )
    found = {file.path: (file.kind, file.content) for file in context(tree).files}
    assert found["link"] == (EntryKind.SYMLINK, "../out")
    assert found["empty"] == (EntryKind.DIRECTORY, "")


def test_a_special_file_is_an_error_unless_it_is_ignored() -> None:
    others = {"pipe": SourceEntry("pipe", EntryKind.SPECIAL)}
    with pytest.raises(DefinitionError) as caught:
        context(Tree({"Dockerfile": DOCKERFILE}, others))
    assert "'pipe'" in caught.value.message
    assert caught.value.hint
    assert context(Tree({"Dockerfile": DOCKERFILE, ".dockerignore": b"pipe\n"}, others)).files


def test_git_directories_are_left_out_everywhere() -> None:
    assert kept({".git/config": b"", "a/.git/config": b"", "a/.gitkeep": b"", ".dockerignore": b"!.git\n"}) == {
        "Dockerfile",
        ".dockerignore",
        "a/.gitkeep",
    }


def test_the_amlignore_wins_over_the_gitignore() -> None:
    files = {".amlignore": b"*.log\n", ".gitignore": b"*.txt\n", "a.log": b"", "b.txt": b""}
    assert kept(files) == {"Dockerfile", ".amlignore", ".gitignore", "b.txt"}
    del files[".amlignore"]
    assert kept(files) == {"Dockerfile", ".gitignore", "a.log"}


def test_a_pattern_for_a_directory_leaves_out_what_is_below_it() -> None:
    files = {".amlignore": b"/*\n!/src/\n!src/b\n", "data/deep/x": b"", "src/a": b"", "src/b": b"", "x": b""}
    assert kept(files) == {"Dockerfile", "src/a", "src/b"}


def test_only_the_gitignore_of_the_root_counts() -> None:
    assert "a/b.txt" in kept({"a/.gitignore": b"*\n", "a/b.txt": b""})


def test_the_last_pattern_that_matches_decides() -> None:
    files = {".gitignore": b"data/*\n!data/keep.txt\n/build/\n", "data/a": b"", "data/keep.txt": b"", "build/x": b""}
    assert kept(files) == {"Dockerfile", ".gitignore", "data/keep.txt"}
    assert "sub/build/x" in kept({**files, "sub/build/x": b""})


@pytest.mark.parametrize(
    ("ignore", "path", "stays"),
    [
        ("*.log", "a.log", False),
        ("*.log", "sub/a.log", True),
        ("**/*.log", "sub/deep/a.log", False),
        ("**/cache", "sub/cache/deep/x", False),
        ("sub", "sub/deep/x", False),
        ("sub/", "sub", False),
        ("/sub", "sub/x", False),
        ("# comment\n\n", "# comment", True),
        ("sub\n!sub/x", "sub/x", True),
        ("sub\n!sub/deep/x", "sub/deep/x", True),
        ("sub\n!sub/deep/x", "sub/deep/y", False),
        ("*\n!**/keep", "a/b/keep", True),
        ("*\n!a/*/keep", "a/b/keep", True),
        ("!sub/x\nsub", "sub/x", False),
        ("*", "Dockerfile", True),
        ("*", ".dockerignore", True),
        ("a?c", "abc", False),
        ("[ab].txt", "a.txt", False),
    ],
)
def test_the_dockerignore_follows_dockers_rules(ignore: str, path: str, stays: bool) -> None:
    files = {".dockerignore": ignore.encode(), path: b"x"}
    if path in ("Dockerfile", ".dockerignore"):
        del files[path]
        files.setdefault(".dockerignore", ignore.encode())
    files["Dockerfile"] = DOCKERFILE
    assert (path in kept(files)) is stays


def test_the_dockerignore_of_the_dockerfile_wins() -> None:
    files = {"gpu.Dockerfile.dockerignore": b"a\n", ".dockerignore": b"b\n", "a": b"", "b": b""}
    assert kept(files, "gpu.Dockerfile") == {"gpu.Dockerfile", "gpu.Dockerfile.dockerignore", ".dockerignore", "b"}


def test_both_kinds_of_ignore_files_count() -> None:
    files = {".amlignore": b"a\n", ".dockerignore": b"b\n!a\n", "a": b"", "b": b"", "c": b""}
    assert kept(files) == {"Dockerfile", ".amlignore", ".dockerignore", "c"}


def test_a_dockerfile_in_an_ignored_directory_stays_in() -> None:
    tree = MemoryTree(
        {
            "env.yml": b"name: a\nbuild: {path: ctx, dockerfile_path: d/Dockerfile}\n",
            "ctx/d/Dockerfile": DOCKERFILE,
            "ctx/d/x": b"",
            "ctx/.amlignore": b"d/\n",
            "ctx/.dockerignore": b"*\n",
        }
    )
    found = read_definition(tree, "env.yml").context
    assert found is not None
    assert [file.path for file in found.files] == [".dockerignore", "d", "d/Dockerfile"]


@pytest.mark.parametrize(
    "ignores",
    [
        {".gitignore": b"node_modules/\n"},
        {".gitignore": b"node_modules/\n!/src/keep\n/other\n"},
        {".dockerignore": b"**/node_modules\n!README.md\n!src/**\n"},
        {".dockerignore": b"*\n!src\n"},
    ],
)
def test_an_ignored_directory_is_not_listed(ignores: dict[str, bytes]) -> None:
    files = {**ignores, "Dockerfile": DOCKERFILE, "node_modules/a/b": b"", "src/x": b""}
    tree = RecordingTree(MemoryTree(files))
    context(tree)
    assert "node_modules" not in tree.directories
    assert "src" in tree.directories


def test_only_the_dockerfile_and_ignore_files_are_read() -> None:
    class Closed(MemoryTree):
        def read(self, path: str) -> bytes:
            assert path.rpartition("/")[2].startswith(("Dockerfile", ".")), path
            return super().read(path)

        def digest(self, path: str) -> str:  # noqa: ARG002
            return "0" * 64

    assert len(context(Closed({"Dockerfile": DOCKERFILE, "secret": b"", "a/b": b""})).files) == 4


def test_a_deep_tree_is_no_problem() -> None:
    files = {"Dockerfile": DOCKERFILE, "/".join("d" * 1500): b""}
    assert len(context(MemoryTree(files)).files) == 1501


@pytest.mark.parametrize(
    ("data", "place", "message"),
    [
        (b"", "Dockerfile", "the Dockerfile is empty"),
        (b"# only\n\n", "Dockerfile", "the Dockerfile is empty"),
        (b"FROM a\n# \xe9\n", "Dockerfile:2", "Unexpected Dockerfile Format: byte 0xe9 is not UTF-8"),
        (b"FROM a\n" + b"#" * (1 << 20), "Dockerfile", "the Dockerfile has 1048583 bytes"),
    ],
)
def test_a_dockerfile_that_cannot_be_built_is_refused(data: bytes, place: str, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        context(MemoryTree({"Dockerfile": data}))
    assert caught.value.place == place
    assert caught.value.message.startswith(message)
    assert caught.value.hint


@pytest.mark.parametrize("name", [".amlignore", ".dockerignore"])
def test_a_pattern_that_is_none_is_an_error_at_its_line(name: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        context(MemoryTree({"Dockerfile": DOCKERFILE, name: b"a\n[z-a]\n"}))
    assert caught.value.place == f"{name}:2"
    assert caught.value.hint


def test_a_missing_dockerfile_has_the_message_of_azure_ml() -> None:
    with pytest.raises(DefinitionError) as caught:
        context(MemoryTree({"x": b""}))
    assert caught.value.message.startswith("Missing Dockerfile path")


def test_a_file_that_cannot_be_read_is_named() -> None:
    class Locked(MemoryTree):
        def digest(self, path: str) -> str:  # noqa: ARG002
            raise PermissionError(13, "Permission denied")

    with pytest.raises(DefinitionError) as caught:
        context(Locked({"Dockerfile": DOCKERFILE}))
    assert "'Dockerfile'" in caught.value.message
    assert caught.value.hint
