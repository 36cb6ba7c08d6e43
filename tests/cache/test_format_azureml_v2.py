import pytest

from envkiln.cache.definition import EnvironmentDefinition, Format
from envkiln.cache.errors import DefinitionError
from envkiln.cache.formats import read_definition
from envkiln.cache.source import MemoryTree

SCHEMA = "$schema: https://azuremlschemas.azureedge.net/latest/environment.schema.json\n"
FILES = {
    "e/c/conda.yml": b"name: x\ndependencies: [python=3.9, pip: [-r r.txt]]\nplatforms: [linux]\n",
    "e/c/r.txt": b"numpy\n",
    "e/list.yml": b"- a\n",
    "e/ctx/Dockerfile": b"FROM ubuntu\n",
    "e/ctx/docker/gpu": b"FROM cuda\n",
    "e/ctx/a.txt": b"a",
}


def read(text: str) -> EnvironmentDefinition:
    return read_definition(MemoryTree({**FILES, "e/any.yml": (SCHEMA + text).encode()}), "e/any.yml")


def refused(text: str) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        read(text)
    assert caught.value.hint
    return caught.value


def test_an_image_alone_has_no_conda_part() -> None:
    definition = read("name: a\nversion: 1.0\nimage: mcr.microsoft.com/azureml/x:1\ndescription: d\ntags: {a: b}\n")
    assert definition.format is Format.AZUREML_V2
    assert definition.declared_name == "a"
    assert str(definition.base_image) == "mcr.microsoft.com/azureml/x:1"
    assert definition.conda is None
    assert definition.context is None
    assert definition.warnings == ()


def test_a_conda_file_is_read_from_its_path_and_other_keys_pass() -> None:
    definition = read("name: a\nimage: b\nconda_file: c/conda.yml\n")
    assert definition.conda is not None
    assert definition.conda.canonical == (
        "dependencies:\n- python=3.9\n- pip:\n  - -r r.txt\nname: ''\nplatforms:\n- linux\n"
    )
    assert [(file.path, file.source) for file in definition.extra_files] == [("r.txt", "e/c/r.txt")]
    assert definition.directory == "e"


def test_a_conda_file_can_be_written_inline() -> None:
    definition = read("name: a\nimage: b\nconda_file:\n  dependencies: [python=3.9, pip: [-r c/r.txt]]\n")
    assert definition.conda is not None
    assert definition.conda.canonical == "dependencies:\n- python=3.9\n- pip:\n  - -r c/r.txt\nname: ''\n"
    assert [file.path for file in definition.extra_files] == ["c/r.txt"]


@pytest.mark.parametrize(
    ("build", "directory", "dockerfile"),
    [
        ("{path: ctx}", "e/ctx", "Dockerfile"),
        ("{path: ./ctx/}", "e/ctx", "Dockerfile"),
        ("{path: ctx, dockerfile_path: docker/gpu}", "e/ctx", "docker/gpu"),
        ("{path: ., dockerfile_path: ctx/Dockerfile}", "e", "ctx/Dockerfile"),
        ("{path: .., dockerfile_path: e/ctx/Dockerfile}", "", "e/ctx/Dockerfile"),
    ],
)
def test_a_build_context_is_read(build: str, directory: str, dockerfile: str) -> None:
    context = read(f"name: a\nbuild: {build}\n").context
    assert context is not None
    assert (context.directory, context.dockerfile) == (directory, dockerfile)
    assert dockerfile in {file.path for file in context.files}


ROUTE = "{path: /, port: 1}"
ROUTES = f"name: a\nimage: b\ninference_config: {{liveness_route: {ROUTE}, readiness_route: {ROUTE}, scoring_route: "


# The messages of azure-ai-ml 1.35.2, observed; the build part and `azureml:` are envkiln's own.
@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("image: b\n", "name: Missing data for required field.", 1),
        ("name: a\n", "Docker image or Dockerfile is required for environments", 1),
        ("name: a\nconda_file: c/conda.yml\n", "Docker image or Dockerfile is required for environments", 1),
        ("name: a\nimage: b\nbuild: {path: ctx}\n", "Docker image or Dockerfile should be provided not both", 4),
        ("name: a\nimage: b\nfoo: 1\n", "foo: Unknown field.", 4),
        ("name: 3\nimage: b\n", "name: Not a valid string.", 2),
        ("name:\nimage: b\n", "name: Field may not be null.", 2),
        ("name: a\nimage: 3\n", "image: Not a valid string.", 3),
        ("name: a\nimage: b\ntags: [a]\n", "tags: Not a valid mapping type.", 4),
        ("name: a\nimage: b\nversion: [1]\n", "Type <class 'list'> is not supported for version.", 4),
        ("name: a\nimage: b\nos_type: mac\n", "Value 'mac' passed is not in set ['linux', 'windows']", 4),
        ("name: a\nimage: b\ndependencies: [c]\n", "It looks like you are trying to specify a conda file", 4),
        ("name: a\nimage: UPPER\n", "'UPPER' is not an image reference", 3),
        ("name: a\nimage: '{{b}}:1'\n", "'{{b}}:1' is not an image reference", 3),
        ("name: a\nimage: azureml:b:1\n", "'azureml:b:1' refers to a registered environment", 3),
        ("name: a\nimage: azureml://registries/r\n", "'azureml://registries/r' refers to a registered", 3),
        (
            "name: a\nimage: b\nconda_file: no.yml\n",
            "Can't find directory or file in resolved absolute path: e/no.yml",
            4,
        ),
        ("name: a\nimage: b\nconda_file: c\n", "Can't find directory or file in resolved absolute path: e/c", 4),
        ("name: a\nimage: b\nconda_file: https://x/y.yml\n", "the conda file 'https://x/y.yml' is remote", 4),
        ("name: a\nimage: b\nconda_file: ../../x.yml\n", "the path '../../x.yml' leads out", 4),
        ("name: a\nimage: b\nconda_file: [a]\n", "conda_file: Not a valid string.", 4),
        ("name: a\nimage: b\nconda_file:\n", "conda_file: Field may not be null.", 4),
        ("name: a\nimage: b\nconda_file: {dependencies: }\n", "`dependencies` is empty", 4),
        ("name: a\nbuild: {path: ctx}\nconda_file: c/conda.yml\n", "Not allowed to specify conda_file", 4),
        ("name: a\nbuild:\n", "build: Field may not be null.", 3),
        ("name: a\nbuild: ctx\n", "build: Invalid input type.", 3),
        ("name: a\nbuild: {}\n", "Missing Docker build context location", 3),
        ("name: a\nbuild: {path: ctx, args: 1}\n", "args: Unknown field.", 3),
        ("name: a\nbuild: {path: nope}\n", "Can't find directory or file in resolved absolute path: e/nope", 3),
        (
            "name: a\nbuild: {path: 'https://github.com/a/b'}\n",
            "the build context 'https://github.com/a/b' is remote",
            3,
        ),
        ("name: a\nbuild: {path: 'git@github.com:a/b'}\n", "the build context 'git@github.com:a/b' is remote", 3),
        ("name: a\nbuild: {path: c}\n", "Missing Dockerfile path: there is no file 'e/c/Dockerfile'", 3),
        ("name: a\nbuild: {path: c, dockerfile_path: ../ctx/Dockerfile}\n", "Missing Dockerfile path: '../ctx", 3),
        ("name: a\nimage: b\ninference_config: {}\n", "liveness_route: Missing data for required field.", 4),
        (
            f"{ROUTES}{{path: 1, port: 1}}}}\n",
            "path: Not a valid string.",
            4,
        ),
        (
            f"{ROUTES}{{path: /, port: x}}}}\n",
            "port: Not a valid integer.",
            4,
        ),
    ],
)
def test_what_is_wrong_is_said_as_the_client_says_it(text: str, message: str, line: int) -> None:
    error = refused(text)
    assert error.message.startswith(message)
    assert (error.file, error.line) == ("e/any.yml", line)


def test_a_conda_file_that_is_no_mapping_is_an_error_in_that_file() -> None:
    error = refused("name: a\nimage: b\nconda_file: list.yml\n")
    assert error.place == "e/list.yml:1:1"


def test_what_does_not_enter_the_image_is_judged_and_dropped() -> None:
    routes = ", ".join(f"{name}_route: {ROUTE}" for name in ("liveness", "readiness", "scoring"))
    plain = read("name: a\nimage: b\n")
    rich = read(
        f"name: a\nimage: b\nversion: 2\nos_type: Linux\ninference_config: {{{routes}}}\n"
        "creation_context: {}\ndatastore: d\nproperties: {}\n"
    )
    assert rich == plain


def test_windows_is_warned_about() -> None:
    (warning,) = read("name: a\nimage: b\nos_type: windows\n").warnings
    assert warning.startswith("e/any.yml:4: ")
