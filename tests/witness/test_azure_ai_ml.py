"""Our `load_environment` and `Environment` beside those of azure-ai-ml: the same files, the same values."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import azure_ai_ml_cases as cases
import pytest
from registered_sources import Registered
from witness import Case, Outcome, Witness, ours

from envkiln.cache.canonical import canonical_text
from envkiln.cache.export import Target
from envkiln.cache.names import conda_environment_name
from envkiln.daemon import azure_ai_ml as azure_ai_ml_module

CONDA = "# why\nname: pytorch\nchannels: [defaults, pytorch]\ndependencies:\n- python=3.7\n- pip:\n  - numpy\n"
ROUTES = (
    "inference_config:\n"
    "  liveness_route: {path: /live, port: 5001}\n"
    "  readiness_route: {path: /ready, port: 5001}\n"
    "  scoring_route: {path: /score, port: 5002}\n"
)
CONTEXT = {"context/Dockerfile": "FROM base:1\n", "context/sub/b.txt": "b", "context/A.txt": "a"}
YAML = [
    {"environment.yml": "name: a\nimage: base:1\n"},
    {"environment.yml": "name: a\nversion: 3\nimage: base:1\nconda_file: conda.yml\n", "conda.yml": CONDA},
    {"environment.yml": "name: a\nversion: 1.0\nimage: base:1\nconda_file: sub/conda.yml\n", "sub/conda.yml": CONDA},
    {"environment.yml": "name: a\nimage: base:1\nconda_file:\n  name: b\n  dependencies: [python=3.9, 3.10, yes]\n"},
    {"environment.yml": f"name: a\nimage: base:1\n{ROUTES}"},
    {"environment.yml": "name: a\nimage: base:1\nos_type: Linux\ndescription: d\ntags: {a: b}\n"},
    {"environment.yml": "name: a\nbuild: {path: context}\n", **CONTEXT},
    {"environment.yml": "name: a\nbuild: {path: context, dockerfile_path: sub/b.txt}\ndatastore: blobs\n", **CONTEXT},
    {"environment.yml": "$schema: https://x/environment.schema.json\nname: a\nversion: '1'\nimage: base:1\n"},
]
LONG = "a" * 50 + "==1.0; python_version < '3.8' and platform_system == 'Windows' and extra == 'x'"
FROM_FILE = {"image": "b:1", "conda_file": "conda.yml"}
MADE: list[tuple[dict[str, str], dict[str, Any], dict[str, Any] | None]] = [
    ({}, {"image": "base:1"}, None),
    ({}, {"image": "base:1", "name": "a", "version": "2", "description": "d", "tags": {"a": "b"}}, None),
    ({"conda.yml": CONDA}, {"image": "base:1", "conda_file": "conda.yml"}, None),
    ({"conda.yml": f"dependencies:\n- pip:\n  - {LONG!r}\n  - ä\n"}, FROM_FILE, None),
    (
        {"conda.yml": "dependencies: [&a python, *a, {pip: &b [x]}, {pip: *b}]\n"},
        {"image": "b:1", "conda_file": "conda.yml"},
        None,
    ),
    (CONTEXT, {}, {"path": "context"}),
    (CONTEXT, {}, {"path": "context", "dockerfile_path": "Dockerfile"}),
    (
        {**CONTEXT, "context/.amlignore": "sub/\n*.log\n", "context/d/y.log": "2"},
        {},
        {"path": "context"},
    ),
    ({**CONTEXT, "context/.gitignore": "*\n!A.txt\n"}, {}, {"path": "context"}),
    ({**CONTEXT, "context/.gitignore": "# c\n\nsub\n", "context/.amlignore": ""}, {}, {"path": "context"}),
    ({**CONTEXT, "context/link": "link:A.txt", "context/dir": "link:sub"}, {}, {"path": "context"}),
    ({**CONTEXT, "context/.git/HEAD": "ref", "context/Z": "", "context/z2": ""}, {}, {"path": "context"}),
]
INFERENCE = {
    "liveness_route": {"path": "/", "port": 5001},
    "readiness_route": {"path": "/", "port": 5001},
    "scoring_route": {"path": "/score", "port": 5001},
}
MADE.append(({"conda.yml": CONDA}, {"image": "b:1", "conda_file": "conda.yml", "inference_config": INFERENCE}, None))
WRONG_YAML = [
    "image: base:1\n",
    "name: a\nimage: base:1\ncolour: red\n",
    "name: a\nimage: base:1\nproperties: {c: d}\n",
    "name: a\nimage: 3\n",
    "name: a\nimage: base:1\ntags: [a]\n",
    "name: a\nimage: base:1\nos_type: mac\n",
    "name: a\nimage: base:1\ninference_config: {liveness_route: {path: /}}\n",
    "name:\nimage: base:1\n",
    "channels: [defaults]\ndependencies: [python]\n",
]
WRONG_MADE = [{"name": "a"}, {"name": "a", "image": "b:1", "version": 3}, {"version": "3", "image": "b:1"}]


BUILT_ELSEWHERE = [files for files in YAML if "build" not in files["environment.yml"]]
OVERRIDDEN: list[Any] = [YAML[0], [{"image": "other:2"}, {"tags.a": "b"}, {"version": "7"}]]
EXPORTED = ("conda", "pip files", "requirements", "odd texts", "v2", "v2 image only", "v1", "v1 managed")

Told = Callable[..., Outcome]


@pytest.fixture(scope="module")
def told(azure_ai_ml: Witness) -> Told:
    """What the client did with a case: all of them are run in one process."""
    calls: list[tuple[Case, list[Any]]] = [
        *((cases.from_yaml, [files]) for files in YAML),
        *((cases.from_yaml, [{"environment.yml": text}]) for text in WRONG_YAML),
        *((cases.from_yaml, [Registered(source).files(Target.V2)]) for source in EXPORTED),
        (cases.from_yaml, OVERRIDDEN),
        *((cases.made, list(given)) for given in MADE),
        *((cases.dumped, [files]) for files in BUILT_ELSEWHERE),
        *((cases.judged, [arguments]) for arguments in WRONG_MADE),
    ]
    outcomes = azure_ai_ml.tell(calls)
    known = {_key(case, given): outcome for (case, given), outcome in zip(calls, outcomes, strict=True)}
    return lambda case, *given: known[_key(case, given)]


def _key(case: Case, given: Sequence[Any]) -> str:
    return json.dumps([case.__name__, list(given)])


def mine(case: Case, *given: Any) -> Outcome:
    return ours(case, azure_ai_ml_module, given)


@pytest.mark.parametrize("files", YAML, ids=lambda files: files["environment.yml"])
def test_what_is_loaded_is_what_the_client_loads(told: Told, files: dict[str, str]) -> None:
    assert told(cases.from_yaml, files).error is None
    assert mine(cases.from_yaml, files).value == told(cases.from_yaml, files).value


def test_fields_can_be_overridden_as_with_the_client(told: Told) -> None:
    assert told(cases.from_yaml, *OVERRIDDEN).error is None
    assert mine(cases.from_yaml, *OVERRIDDEN).value == told(cases.from_yaml, *OVERRIDDEN).value


@pytest.mark.parametrize("given", MADE, ids=str)
def test_what_is_made_has_the_name_and_version_that_the_client_gives_it(told: Told, given: tuple[Any, ...]) -> None:
    theirs = told(cases.made, *given)
    assert theirs.error is None
    assert mine(cases.made, *given).value == theirs.value


@pytest.mark.parametrize("files", BUILT_ELSEWHERE, ids=lambda files: files["environment.yml"])
def test_what_is_dumped_is_loaded_again_as_with_the_client(told: Told, files: dict[str, str]) -> None:
    assert told(cases.dumped, files).error is None
    assert mine(cases.dumped, files).value == told(cases.dumped, files).value


@pytest.mark.parametrize("text", WRONG_YAML)
def test_what_the_client_refuses_is_refused_for_the_same_fields(told: Told, text: str) -> None:
    theirs = told(cases.from_yaml, {"environment.yml": text}).error
    found = mine(cases.from_yaml, {"environment.yml": text})
    assert theirs is not None
    assert found.error is not None
    for said in re.findall(r"'([A-Z][^']*\.)'", found.error[1]):
        assert said in theirs[1]


@pytest.mark.parametrize("arguments", WRONG_MADE, ids=str)
def test_what_cannot_be_made_is_refused_with_the_client_s_words(told: Told, arguments: dict[str, Any]) -> None:
    theirs, found = told(cases.judged, arguments).error, mine(cases.judged, arguments).error
    assert theirs is not None
    assert found is not None
    assert found[1] in theirs[1]


@pytest.mark.parametrize("source", EXPORTED)
def test_the_client_loads_an_exported_version_with_what_its_names_are_made_of(told: Told, source: str) -> None:
    registered = Registered(source)
    loaded = told(cases.from_yaml, registered.files(Target.V2))
    assert loaded.error is None
    assert (loaded.value["name"], loaded.value["version"]) == ("it", "3")
    assert loaded.value["image"] == registered.version.base_image
    conda = loaded.value["conda_file"]
    name = conda_environment_name(canonical_text(conda)) if conda else None
    assert name == registered.version.conda_environment
