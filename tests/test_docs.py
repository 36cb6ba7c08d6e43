"""Holds the documents and the code together: what is shown is what happens."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import click
import pytest
from doc_examples import MARK, PROJECT, with_real_output
from fake_service import FakeService

from envkiln.cache import identity
from envkiln.cache.definition import CondaSpecification, EnvironmentDefinition, Format, ImageReference
from envkiln.daemon.cli import COMMANDS, envkiln
from envkiln.daemon.errors import ExitCode
from envkiln.daemon.labels import labels_for
from envkiln.daemon.metrics import Metrics, exposition
from envkiln.daemon.routes import OPERATIONS
from envkiln.daemon.settings import SETTINGS
from envkiln.daemon.state import Phase

DOCUMENTS = sorted([PROJECT / "README.md", PROJECT / "CHANGELOG.md", *(PROJECT / "docs").glob("*.md")])
TEXTS = {path.relative_to(PROJECT).as_posix(): path.read_text() for path in DOCUMENTS}
RUN = [name for name, text in TEXTS.items() if MARK in text]
GROUP = cast("click.Group", envkiln)
# Shown for its message.
WRONG = ("status --jsn",)


def table(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the rows below the table row that starts with `| heading |`."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {heading} |")) + 2
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().strip("`") for cell in line.strip("|").split(" | ")])
    return rows


def command(name: str) -> click.Command:
    found = GROUP.get_command(click.Context(GROUP), name)
    assert found is not None, name
    return found


def public_options(name: str) -> list[click.Option]:
    return [it for it in command(name).params if isinstance(it, click.Option) and not it.hidden]


def shown_lines() -> Iterator[tuple[str, str]]:
    """Yield (document, words after `envkiln`) of every command line in a fence."""
    for name, text in TEXTS.items():
        for language, body in re.findall(r"^```(console|sh)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            for line in body.splitlines():
                if language == "console" and not line.startswith("$ "):
                    continue
                for piece in re.split(r"&&|\|\||[|;]|\$\(|\)", line.removeprefix("$ ")):
                    words = re.sub(r"\d?>\S+", "", piece).strip()
                    if words.startswith("envkiln "):
                        yield name, words.removeprefix("envkiln ")


@pytest.mark.parametrize("name", RUN)
def test_what_is_shown_is_what_is_printed(name: str) -> None:
    assert with_real_output(TEXTS[name]) == TEXTS[name], f"tests/support/doc_examples.py {name} writes it anew"


def test_the_pages_about_names_and_formats_are_run() -> None:
    assert {"docs/names.md", "docs/formats.md", "docs/built-image.md", "docs/exit-codes.md"} <= set(RUN)


def test_the_tour_shows_the_names_that_its_files_have() -> None:
    readme = TEXTS["README.md"]
    definition = (PROJECT / "examples" / "training" / "env.yml").read_text()
    settings = re.search(r"^\$ cat envs/envkiln.toml\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    name = re.search(r"^\$ envkiln name envs/training\n(.*?)(?=^[$`])", readme, re.MULTILINE | re.DOTALL)
    assert settings is not None
    assert name is not None
    assert f"$ cat envs/training/env.yml\n{definition}$" in readme
    page = (
        f"```yaml training/env.yml\n{definition}```\n"
        f"```toml envkiln.toml\n{settings[1]}```\n"
        f"```console\n$ envkiln name training\n{name[1]}```"
    )
    assert with_real_output(page) == page
    hashes = set(re.findall(r"azureml/azureml_([0-9a-f]{32})", readme))
    known = set(re.findall(r"\[([0-9a-f]{12})\]", readme))
    assert {it[:12] for it in hashes} <= known


def test_exit_codes() -> None:
    rows = table(TEXTS["docs/exit-codes.md"], "Code")
    assert [(int(row[0]), row[1]) for row in rows] == [(code.value, code.name) for code in ExitCode]


def test_recipes() -> None:
    constants = [
        identity.AZUREML,
        identity.EXTENDED,
        identity.IMAGE_ONLY,
        identity.BASE_DOCKERFILE,
        identity.CONTEXT,
    ]
    assert [row[0] for row in table(TEXTS["docs/names.md"], "Recipe")] == constants


def test_labels() -> None:
    conda = CondaSpecification("dependencies:\n- python\nname: ''\n", "a name")
    definition = EnvironmentDefinition(Format.CONDA, "env.yml", "", "a name", conda=conda)
    base = ImageReference("base", "tag", "sha256:" + "0" * 64)
    labels = labels_for(definition, identity.identify(definition, base), resolved=True)
    rows = table(TEXTS["docs/built-image.md"], "Label")
    assert sorted(row[0] for row in rows) == sorted(labels)


def test_formats_and_phases() -> None:
    formats = [row[0] for row in table(TEXTS["docs/formats.md"], "Format")]
    assert sorted(formats) == sorted(it.value for it in Format)
    phases = [row[0] for row in table(TEXTS["docs/design.md"], "Phase")]
    assert sorted(phases) == sorted(it.value for it in Phase)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_and_has_an_example(name: str) -> None:
    rows = {row[0]: row for row in table(TEXTS["README.md"], "Command")}
    assert f"envkiln {name}" in rows
    assert re.search(rf"Example: .*envkiln {name}\b", command(name).help or "")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_documented(name: str) -> None:
    row = next(row for row in table(TEXTS["README.md"], "Command") if row[0] == f"envkiln {name}")
    flags = {setting.flag for setting in SETTINGS}
    for option in public_options(name):
        assert option.help, option.opts
        here = TEXTS["docs/configuration.md"] if flags & set(option.opts) else row[2]
        for spelling in option.opts:
            assert f"`{spelling}`" in here or spelling in here.split("`"), spelling


def test_every_option_that_is_documented_exists() -> None:
    for row in table(TEXTS["README.md"], "Command"):
        name = row[0].removeprefix("envkiln ")
        known = {spelling for option in public_options(name) for spelling in option.opts}
        assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", row[2])) <= known


@pytest.mark.parametrize(("document", "line"), [it for it in shown_lines() if it[1] not in WRONG])
def test_every_command_line_that_is_shown_parses(
    document: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "envs").mkdir()
    context = GROUP.make_context("envkiln", shlex.split(line), resilient_parsing="--version" in line)
    words = [*context._protected_args, *context.args]
    name, found, rest = GROUP.resolve_command(context, words)
    assert found is not None, document
    found.make_context(name, rest, parent=context)


@pytest.mark.parametrize("document", TEXTS)
def test_every_command_in_the_text_exists(document: str) -> None:
    for line in re.findall(r"`envkiln ([^`\n]+)`", TEXTS[document]):
        words = line.split()
        if words[0].startswith("-"):
            continue
        assert words[0] in COMMANDS, line
        known = {spelling for option in command(words[0]).params for spelling in option.opts}
        for word in words[1:]:
            assert not word.startswith("-") or word in known, line


@pytest.mark.parametrize("document", TEXTS)
def test_links_lead_somewhere(document: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[document]):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        path = (PROJECT / document).parent / file if file else PROJECT / document
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, target


def test_the_design_names_every_module_and_no_other() -> None:
    named = set(re.findall(r"`(\w+\*?\w*\.py)`", TEXTS["docs/design.md"]))
    modules = {path.name for top in ("cache", "daemon") for path in (PROJECT / top).glob("[!_]*.py")}
    for name in named:
        assert any(re.fullmatch(name.replace("*", r"\w+"), module) for module in modules), name
    for module in modules:
        assert any(re.fullmatch(name.replace("*", r"\w+"), module) for name in named), module


def test_the_make_commands_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    for text in TEXTS.values():
        assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)) <= targets


def test_the_documents_name_nothing_of_where_they_were_written() -> None:
    for name, text in TEXTS.items():
        assert not re.search(r"/work/|/opt/|/tmp/|localhost:\d|127\.0\.0\.1", text), name
    picture = (PROJECT / "docs" / "terminal.svg").read_text()
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "").replace("https://www.textualize.io", "")


def test_the_page_about_the_api_has_every_operation() -> None:
    page = TEXTS["docs/api.md"]
    expected = [
        [
            f"{it.method} {it.path}",
            it.what,
            ", ".join(f"`{parameter.name}`" for parameter in it.parameters).strip("`"),
            it.answer.__name__ if it.answer else "",
        ]
        for it in OPERATIONS
    ]
    assert [[cell.strip("|` ") for cell in row] for row in table(page, "Operation")] == expected
    events = next(it.events for it in OPERATIONS if it.path == "/v1/events")
    assert {(row[0], row[1]) for row in table(page, "Event")} == {(kind, it.__name__) for kind, it in events}


def test_the_page_about_the_api_has_every_metric(tmp_path: Path) -> None:
    text, _ = exposition(Metrics(watches=lambda: 0), FakeService(tmp_path))
    served = set(re.findall(r"^# TYPE (\w+)", text.decode(), re.MULTILINE))
    shown = {row[0] for row in table(TEXTS["docs/api.md"], "Metric")}
    assert {name for name in served if not name.endswith("_created")} == shown


def test_the_tests_that_the_page_about_reliability_names_exist() -> None:
    named = re.findall(r"`(test_\w+)\.py::(test_\w+)`", TEXTS["docs/reliability.md"])
    assert named
    for file, test in named:
        (path,) = (PROJECT / "tests").rglob(f"{file}.py")
        assert re.search(rf"def {test}\(", path.read_text()), f"{file}: {test}"


def test_the_page_about_the_python_api_names_a_test_for_each_row() -> None:
    tests: dict[str, str] = {}
    for path in sorted((PROJECT / "tests").glob("*/test_*.py")):
        tests[path.name] = tests.get(path.name, "") + path.read_text()
    rows = table(TEXTS["docs/azureml-sdk.md"], "Azure ML")
    assert rows
    for row in rows:
        file, _, name = row[2].rstrip("|` ").partition("::")
        assert f"def {name}(" in tests.get(file, ""), row
