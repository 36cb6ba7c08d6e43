import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envkiln.cache import formats
from envkiln.cache.definition import EnvironmentDefinition
from envkiln.cache.errors import DefinitionError
from envkiln.daemon import discover, disk_tree, reading, snapshot
from envkiln.daemon.candidates import Rules, find_candidates
from envkiln.daemon.discover import look
from envkiln.daemon.disk_tree import Fingerprint
from envkiln.daemon.snapshot import Found, Snapshot, snapshot_from_json, snapshot_to_json

CONDA = "channels: [defaults]\ndependencies:\n- python=3.8\n"
OTHER = "channels: [defaults]\ndependencies:\n- python=3.9\n"
V2 = "name: wrapped\nimage: ubuntu:22.04\nconda_file: {}\n"
SCHEMA = "$schema: https://azuremlschemas.azureedge.net/latest/environment.schema.json\n"
CONTEXT = "name: built\nbuild:\n  path: {}\n"

Write = Callable[[dict[str, str]], None]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "envs"
    root.mkdir()
    return root


@pytest.fixture
def write(root: Path) -> Write:
    return lambda texts: put(root, texts)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every file count as old enough to be remembered."""
    monkeypatch.setattr(disk_tree, "MARGIN_NS", 0)
    monkeypatch.setattr(disk_tree, "COARSE_MARGIN_NS", 0)


def put(root: Path, texts: dict[str, str]) -> None:
    for path, text in texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def ids(found: Snapshot) -> dict[str, str]:
    return {id_: it.file for id_, it in found.environments.items()}


def plain(found: Snapshot) -> dict[str, tuple[str, object]]:
    """What a look says, without fingerprints."""
    return {id_: (it.file, shown(it)) for id_, it in found.environments.items()}


def shown(found: Found) -> object:
    return str(found.result) if isinstance(found.result, DefinitionError) else found.result


@pytest.fixture
def unopened(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def refuse(*words: object, **_: object) -> None:
        raise AssertionError(f"opened: {words}")

    def arm() -> None:
        monkeypatch.setattr(discover, "read_candidate", refuse)
        monkeypatch.setattr(discover, "list_directory", refuse)

    return arm


class TestIds:
    def test_directories_files_and_the_root(self, root: Path, write: Write) -> None:
        write(
            {
                "env.yml": CONDA,
                "pytorch/environment.yml": CONDA,
                "vision/gpu/conda.yaml": CONDA,
                "vision/cpu.yml": CONDA,
                "plain/requirements.txt": "numpy\n",
                "image/Dockerfile": "FROM ubuntu\n",
                "ci.yml": "on: push\n",
                "README.md": "",
            }
        )
        assert ids(look(root)) == {
            "envs": "env.yml",
            "pytorch": "pytorch/environment.yml",
            "vision/gpu": "vision/gpu/conda.yaml",
            "vision/cpu.yml": "vision/cpu.yml",
            "plain": "plain/requirements.txt",
            "image": "image/Dockerfile",
        }

    def test_a_subdirectory_called_as_the_root_keeps_the_name(self, root: Path, write: Write) -> None:
        write({"env.yml": CONDA})
        first = look(root)
        assert ids(first) == {"envs": "env.yml"}
        write({"envs/env.yml": CONDA})
        expected = {"env.yml": "env.yml", "envs": "envs/env.yml"}
        assert ids(look(root, first)) == ids(look(root)) == expected
        assert ids(look(root, first, {"envs"})) == expected

    def test_two_standard_names(self, root: Path, write: Write) -> None:
        write({"a/env.yml": CONDA, "a/conda.yml": CONDA, "a/requirements.txt": "numpy\n"})
        assert ids(look(root)) == {"a": "a/env.yml", "a/conda.yml": "a/conda.yml"}

    def test_an_error_is_an_environment_too(self, root: Path, write: Write) -> None:
        write({"a/env.yml": "dependencies: [\n", "b/gpu.yml": "dependencies:\n- a\n- a: b: c\n"})
        found = look(root)
        assert set(found.environments) == {"a", "b/gpu.yml"}
        for it in found.environments.values():
            assert isinstance(it.result, DefinitionError)
            assert it.result.line
            assert it.result.hint


class TestBelonging:
    def test_the_conda_file_of_an_azureml_definition(self, root: Path, write: Write) -> None:
        write({"gpu.yml": V2.format("conda/gpu.yml"), "conda/gpu.yml": CONDA})
        assert ids(look(root)) == {"gpu.yml": "gpu.yml"}

    def test_beside_it(self, root: Path, write: Write) -> None:
        write({"a/azure.yml": V2.format("conda.yml"), "a/conda.yml": CONDA, "a/requirements.txt": "numpy\n"})
        assert ids(look(root)) == {"a/azure.yml": "a/azure.yml"}

    def test_it_is_free_again_without_the_definition(self, root: Path, write: Write) -> None:
        write({"gpu.yml": V2.format("conda/gpu.yml"), "conda/gpu.yml": CONDA})
        first = look(root)
        (root / "gpu.yml").unlink()
        assert ids(look(root, first, {"gpu.yml"})) == {"conda/gpu.yml": "conda/gpu.yml"}

    def test_a_slip_in_the_definition_does_not_free_it(self, root: Path, write: Write) -> None:
        write({"gpu.yml": V2.format("conda/gpu.yml"), "conda/gpu.yml": CONDA})
        first = look(root)
        write({"gpu.yml": V2.format("conda/gpu.yml") + "version: [\n"})
        second = look(root, first, {"gpu.yml"})
        assert ids(second) == {"gpu.yml": "gpu.yml"}
        assert isinstance(second.environments["gpu.yml"].result, DefinitionError)
        assert ids(look(root, second)) == {"gpu.yml": "gpu.yml"}

    def test_a_requirements_file_that_others_include_stays(self, root: Path, write: Write) -> None:
        write({"requirements.txt": "numpy\n", "dev/requirements.txt": "-r ../requirements.txt\npytest\n"})
        assert ids(look(root)) == {"envs": "requirements.txt", "dev": "dev/requirements.txt"}

    def test_a_build_context(self, root: Path, write: Write) -> None:
        write(
            {
                "c/Dockerfile": "FROM ubuntu\n",
                "c/config.yml": CONDA,
                "c/deep/er/config.yml": CONDA,
                "c/own/env.yml": CONDA,
                "c/own/gpu.yml": CONDA,
            }
        )
        assert ids(look(root)) == {"c": "c/Dockerfile", "c/own": "c/own/env.yml", "c/own/gpu.yml": "c/own/gpu.yml"}

    def test_a_context_that_comes_and_goes(self, root: Path, write: Write) -> None:
        write({"c/config.yml": CONDA, "c/deep/config.yml": CONDA})
        first = look(root)
        files = {"c/config.yml": "c/config.yml", "c/deep/config.yml": "c/deep/config.yml"}
        assert ids(first) == files
        write({"c/Dockerfile": "FROM ubuntu\n"})
        second = look(root, first, {"c/Dockerfile"})
        assert ids(second) == {"c": "c/Dockerfile"}
        (root / "c/Dockerfile").unlink()
        assert ids(look(root, second, {"c/Dockerfile"})) == files

    def test_the_context_of_an_azureml_definition(self, root: Path, write: Write) -> None:
        write({"gpu.yml": CONTEXT.format("docker"), "docker/Dockerfile": "FROM ubuntu\n", "docker/x.yml": CONDA})
        write({"gpu.yml": SCHEMA + CONTEXT.format("docker")})
        assert ids(look(root)) == {"gpu.yml": "gpu.yml"}

    def test_two_definitions_may_share_a_context(self, root: Path, write: Write) -> None:
        for name in ("cpu", "gpu"):
            text = f"{SCHEMA}name: {name}\nbuild:\n  path: .\n  dockerfile_path: {name}.Dockerfile\n"
            write({f"{name}.yml": text, f"{name}.Dockerfile": "FROM ubuntu\n"})
        assert ids(look(root)) == {"cpu.yml": "cpu.yml", "gpu.yml": "gpu.yml"}


class TestCandidates:
    def test_places_that_hold_no_definitions(self, root: Path, write: Write) -> None:
        for place in (".git", ".venv", "venv", "node_modules", "__pycache__", ".tox", "lib/site-packages", ".x"):
            write({f"{place}/env.yml": CONDA})
        write({"conda/conda-meta/history": "", "conda/env.yml": CONDA, "my/pyvenv.cfg": "", "my/sub/env.yml": CONDA})
        assert ids(look(root)) == {}

    def test_a_hidden_root_is_no_hidden_directory(self, tmp_path: Path) -> None:
        put(tmp_path / ".envs", {"a/env.yml": CONDA})
        assert ids(look(tmp_path / ".envs")) == {"a": "a/env.yml"}

    def test_files_of_editors(self, root: Path, write: Write) -> None:
        for name in ("env.yml~", ".#env.yml", "#env.yml#", ".env.yml.swp", "4913", "env.yml.tmp", ".gpu.yml"):
            write({name: CONDA})
        assert ids(look(root)) == {}

    def test_ignore_patterns(self, root: Path, write: Write) -> None:
        write({"old/env.yml": CONDA, "new/env.yml": CONDA, "new/old/env.yml": CONDA, "x-draft.yml": CONDA})
        rules = Rules(ignore=("/old/", "*-draft.yml"))
        assert ids(look(root, rules=rules)) == {"new": "new/env.yml", "new/old": "new/old/env.yml"}
        assert set(look(root, look(root, rules=rules), set()).environments) == {"old", "new", "new/old", "x-draft.yml"}

    def test_links(self, root: Path, write: Write, tmp_path: Path) -> None:
        write({"a/env.yml": CONDA})
        put(tmp_path, {"outside.yml": CONDA, "out/env.yml": CONDA})
        (root / "a/loop").symlink_to("..")
        (root / "linked").symlink_to("a")
        (root / "away").symlink_to("../out")
        (root / "b.yml").symlink_to("a/env.yml")
        (root / "dangling.yml").symlink_to("nothing")
        (root / "out.yml").symlink_to("../outside.yml")
        (root / "env.yml").symlink_to("../outside.yml")
        found = look(root)
        assert ids(found) == {"a": "a/env.yml", "b.yml": "b.yml", "envs": "env.yml"}
        assert "out of the watched directory" in str(found.environments["envs"].result)
        assert list(found.problems) == ["out.yml"]

    def test_a_fifo_is_none(self, root: Path) -> None:
        os.mkfifo(root / "env.yml")
        assert ids(look(root)) == {}

    def test_names_that_are_not_utf8(self, root: Path) -> None:
        place = Path(os.fsdecode(os.fsencode(root) + b"/\xff"))
        place.mkdir()
        (place / "env.yml").write_text(CONDA)
        found = look(root)
        assert ids(found) == {"\udcff": "\udcff/env.yml"}
        restored = snapshot_from_json(snapshot_to_json(found))
        assert restored is not None
        assert ids(look(root, restored)) == ids(found)

    @pytest.mark.usefixtures("settled")
    def test_a_definition_with_a_credential_is_not_kept_and_is_looked_at_again(self, root: Path, write: Write) -> None:
        text = "dependencies:\n- pip\n- pip:\n  - -r more.txt\nvariables: {A_TOKEN: canary-1}\n"
        wrapper = SCHEMA + "name: w\nimage: ubuntu:22.04\nconda_file: conda.yml\n"
        write({"a/env.yml": text, "a/more.txt": "-i https://user:canary-2@host/\n", "b/env.yml": CONDA})
        write({"c/v2.yml": wrapper, "c/conda.yml": "channels: [https://host/t/canary-3/c]\ndependencies: [python]\n"})
        found = look(root)
        kept = snapshot_to_json(found)
        assert b"canary" not in kept
        assert b"b/env.yml" in kept
        restored = snapshot_from_json(kept)
        assert restored is not None
        assert plain(look(root, restored)) == plain(found)
        assert look(root, restored).readers == found.readers

    def test_the_walk(self, root: Path, write: Write) -> None:
        write({"b/x.yml": "", "b/env.yml": "", "a/conda.yml": "", ".git/env.yml": ""})
        assert [(place, it.candidates) for place, it in find_candidates(root)] == [
            ("", ()),
            ("a", ("a/conda.yml",)),
            ("b", ("b/env.yml", "b/x.yml")),
        ]


class TestTrouble:
    def test_a_root_that_is_missing(self, root: Path, write: Write) -> None:
        write({"a/env.yml": CONDA})
        first = look(root)
        shutil.rmtree(root)
        second = look(root, first)
        assert second.missing
        assert "does not exist" in second.problems[""]
        assert not second.environments
        put(root, {"a/env.yml": CONDA})
        third = look(root, second, {"a/env.yml"})
        assert ids(third) == {"a": "a/env.yml"}
        assert not third.problems

    def test_a_directory_that_cannot_be_read(self, root: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        write({"a/env.yml": CONDA, "b/env.yml": CONDA})
        first = look(root)
        real = os.scandir

        def scandir(path: str) -> object:
            if path == f"{look_root}/a":
                raise PermissionError(13, "Permission denied", path)
            return real(path)

        look_root = os.path.realpath(root)
        with monkeypatch.context() as patch:
            patch.setattr("envkiln.daemon.candidates.os.scandir", scandir)
            fresh = look(root)
            assert ids(fresh) == {"b": "b/env.yml"}
            assert "Permission denied" in fresh.problems["a"]
            write({"a/new.yml": CONDA})
            later = look(root, first)
            assert ids(later) == ids(first)  # what was there is not known to be gone
            assert "a" in later.problems
        assert set(look(root, later).environments) == {"a", "a/new.yml", "b"}
        assert not look(root, later).problems

    @pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
    def test_a_file_that_cannot_be_read(self, root: Path, write: Write) -> None:
        write({"a/env.yml": CONDA})
        (root / "a/env.yml").chmod(0)
        assert "cannot be read" in str(look(root).environments["a"].result)


@pytest.mark.usefixtures("settled")
class TestUnchanged:
    def test_nothing_is_opened(self, root: Path, write: Write, unopened: Callable[[], None]) -> None:
        write({"a/env.yml": CONDA, "b/gpu.yml": V2.format("c.yml"), "b/c.yml": CONDA, "ci.yml": "on: push\n"})
        write({"c/Dockerfile": "FROM ubuntu\n", "c/src/x.py": "", "bad/env.yml": "dependencies: [\n"})
        first = look(root)
        unopened()
        second = look(root, first)
        assert {id_: it is second.environments[id_] for id_, it in first.environments.items()} == dict.fromkeys(
            ("a", "b/gpu.yml", "c", "bad"), True
        )

    def test_nothing_is_opened_after_a_restart(self, root: Path, write: Write, unopened: Callable[[], None]) -> None:
        write({"a/env.yml": CONDA, "b/gpu.yml": V2.format("c.yml"), "b/c.yml": CONDA, "ci.yml": "on: push\n"})
        write({"c/Dockerfile": "FROM ubuntu\n", "c/src/x.py": "", "bad/env.yml": "dependencies: [\n"})
        first = look(root)
        restored = snapshot_from_json(snapshot_to_json(first))
        assert restored is not None
        unopened()
        assert plain(look(root, restored)) == plain(first)
        assert restored.readers == first.readers
        assert restored.contexts == first.contexts

    def test_a_young_file_is_read_again(self, root: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(disk_tree, "MARGIN_NS", 3600 * 10**9)
        write({"a/env.yml": CONDA})
        first = look(root)
        stamp = (root / "a/env.yml").stat().st_mtime_ns
        write({"a/env.yml": OTHER})
        os.utime(root / "a/env.yml", ns=(stamp, stamp))
        assert plain(look(root, first)) == plain(look(root)) != plain(first)

    def test_a_file_replaced_while_it_is_read(self, root: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        write({"a/env.yml": CONDA})
        real = formats.read_definition

        def late(*words: object, **named: object) -> EnvironmentDefinition:
            write({"a/new": OTHER})
            (root / "a/new").rename(root / "a/env.yml")
            return real(*words, **named)  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr(reading, "read_definition", late)
            first = look(root)
        assert plain(look(root, first)) == plain(look(root)) != plain(first)


@pytest.mark.usefixtures("settled")
class TestScope:
    def test_only_what_is_affected_is_read(self, root: Path, write: Write) -> None:
        write({f"e{number}/env.yml": CONDA for number in range(20)})
        first = look(root)
        write({f"e{number}/env.yml": OTHER for number in range(20)})
        second = look(root, first, {"e3/env.yml"})
        assert [id_ for id_, it in second.environments.items() if it is not first.environments[id_]] == ["e3"]
        assert first.environments["e3"].result != second.environments["e3"].result

    def test_an_input_of_others(self, root: Path, write: Write) -> None:
        write({"gpu.yml": V2.format("conda/gpu.yml"), "conda/gpu.yml": CONDA})
        first = look(root)
        write({"conda/gpu.yml": OTHER})
        second = look(root, first, {"conda/gpu.yml"})
        assert plain(second) == plain(look(root)) != plain(first)

    def test_a_missing_input_that_appears(self, root: Path, write: Write) -> None:
        write({"gpu.yml": V2.format("conda/gpu.yml")})
        first = look(root)
        assert isinstance(first.environments["gpu.yml"].result, DefinitionError)
        write({"conda/gpu.yml": CONDA})
        for scope in ({"conda/gpu.yml"}, {"conda"}, {""}, None):
            assert plain(look(root, first, scope)) == plain(look(root)) != plain(first)

    def test_the_target_of_a_link(self, root: Path, write: Write) -> None:
        write({"real/.env": CONDA})
        (root / "env.yml").symlink_to("real/.env")
        first = look(root)
        assert ids(first) == {"envs": "env.yml"}
        write({"real/.env": OTHER})
        assert plain(look(root, first, {"real/.env"})) == plain(look(root)) != plain(first)

    def test_a_new_file_deep_in_a_context(self, root: Path, write: Write) -> None:
        write({"c/Dockerfile": "FROM ubuntu\n", "c/.config/deep/a.txt": ""})
        first = look(root)
        write({"c/.config/deep/b.txt": ""})
        second = look(root, first, {"c/.config/deep/b.txt"})
        assert plain(second) == plain(look(root)) != plain(first)
        shutil.rmtree(root / "c/.config")
        assert plain(look(root, second, {"c/.config"})) == plain(look(root)) != plain(second)

    def test_directories_that_move(self, root: Path, write: Write) -> None:
        write({"a/x/env.yml": CONDA, "a/y.yml": CONDA})
        first = look(root)
        (root / "a").rename(root / "b")
        second = look(root, first, {"a", "b"})
        assert ids(second) == {"b/x": "b/x/env.yml", "b/y.yml": "b/y.yml"}
        assert set(second.listings) == {"", "b", "b/x"}

    def test_a_place_nobody_looks_at(self, root: Path, write: Write) -> None:
        write({"a/env.yml": CONDA, ".git/x/env.yml": CONDA})
        first = look(root)
        assert ids(look(root, first, {".git/x/env.yml", "gone/with/the/wind.yml"})) == ids(first)


class TestJson:
    def test_other_versions_and_broken_text_are_nothing(
        self, root: Path, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write({"a/env.yml": CONDA})
        data = snapshot_to_json(look(root))
        assert snapshot_from_json(data) is not None
        other = data.replace(b'"a"', b"1")
        for broken in (b"", b"{}", b"[]", data[:-1], data[: len(data) // 2], b"\xff" + data, other):
            assert snapshot_from_json(broken) is None
        monkeypatch.setattr(snapshot, "VERSION", 99)
        assert snapshot_from_json(data) is None

    def test_another_root_is_looked_at_anew(self, root: Path, write: Write, tmp_path: Path) -> None:
        write({"a/env.yml": CONDA})
        put(tmp_path / "other", {"b/env.yml": CONDA})
        assert ids(look(tmp_path / "other", look(root), set())) == {"b": "b/env.yml"}


PLACES = [
    "env.yml", "a/env.yml", "a/gpu.yml", "a/requirements.txt", "a/b/env.yml", "a/Dockerfile", "a/b/x.yml", "c/w.yml",
    "Dockerfile", "a/b/Dockerfile", "a/b/c/azure.yml",
]  # fmt: skip
TEXTS = [
    CONDA, OTHER, "on: push\n", "", V2.format("../a/gpu.yml"), V2.format("gpu.yml"), "FROM ubuntu\n",
    SCHEMA + CONTEXT.format("../a"), SCHEMA + CONTEXT.format("b"), SCHEMA + CONTEXT.format("."),
]  # fmt: skip
CHANGES = st.lists(
    st.tuples(st.sampled_from(PLACES), st.one_of(st.none(), st.sampled_from(TEXTS))), min_size=1, max_size=4
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=st.lists(CHANGES, max_size=5))
def test_a_partial_look_says_what_a_full_one_says(
    rounds: list[list[tuple[str, str | None]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("root")
    last = look(root)
    for changes in rounds:
        for path, text in changes:
            if text is None:
                (root / path).unlink(missing_ok=True)
            else:
                put(root, {path: text})
        # Broken wrappers keep what was theirs, on purpose: compare with a full look that knows the same past.
        expected = look(root, last)
        last = look(root, last, {path for path, _ in changes})
        assert plain(last) == plain(expected)
        if not any(isinstance(it, Found) and isinstance(it.result, DefinitionError) for it in last.records.values()):
            assert plain(last) == plain(look(root))
        assert {id_ for id_, it in last.environments.items() if it.id != id_} == set()
        restored = snapshot_from_json(snapshot_to_json(last))
        assert restored is not None
        assert sorted(restored.readers) == sorted(last.readers)


def test_an_unchanged_look_costs_little_more_than_stat(root: Path, write: Write, unopened: Callable[[], None]) -> None:
    write({f"e{number}/env.yml": CONDA for number in range(50)})
    deadline = time.monotonic() + 60
    found = look(root)
    while not all(trusted(it.inputs) for it in found.environments.values()):
        assert time.monotonic() < deadline
        found = look(root, found)
    found = look(root, found)
    unopened()
    look(root, found)


def trusted(inputs: tuple[tuple[str, Fingerprint | None], ...]) -> bool:
    return all(key is not None and key.trusted for _, key in inputs)


def test_contexts_in_contexts_come_to_an_end(root: Path, write: Write) -> None:
    write({"env.yml": SCHEMA + CONTEXT.format("."), "Dockerfile": "FROM ubuntu\n", "a/b/Dockerfile": "FROM ubuntu\n"})
    assert ids(look(root)) == {"envs": "env.yml", "a/b": "a/b/Dockerfile"}


def test_a_specification_beside_a_user_managed_environment_is_none_of_its_own(root: Path, write: Write) -> None:
    managed = '{"name": "x", "docker": {"baseImage": "base:1"}, "python": {"userManagedDependencies": %s}}'
    write({"x/azureml_environment.json": managed % "true", "x/conda_dependencies.yml": CONDA})
    assert ids(look(root)) == {"x": "x/azureml_environment.json"}
    write({"x/azureml_environment.json": managed % "false"})
    assert ids(look(root)) == {"x": "x/azureml_environment.json"}
