"""`CondaDependencies` and the client's: the same calls have the same results."""

import json
import random
from collections.abc import Sequence
from typing import Any

import yaml
from conda_cases import changed, constants, created, merged, python_of, read, saved, saved_below, specification
from witness import PROJECT, Case, Witness, same_as_ours

PYTHONS = (
    *("python", "python=3", "python=3.9", "python==3.9", "python = 3.9", "python =3.9", "python= 3.9", "python 3.9"),
    *("python>=3.9", "python>3.6,<3.9", "python>=3.6,<=3.9.1", "python~=3.9", "python!=3.9", "python<3.9"),
    *("Python=3.9", "PYTHON", "python3=3.9", "python-dateutil=2.8", "pythonX", "python;3.9", "python,3.9"),
    *("conda-forge::python=3.9", "conda-forge::python", "python=3.9.1=h123_0", "python=3.9.*", "python=3.9.1.2"),
    *("python=3.10a1", "python=3.10.0b2", "python=3.10rc1", "python=3.9|3.10", "python[version=3.9]", "python=3.9 "),
    *("python=3.9.", "python=.9", "python=310", "python=13.10.12", "python@3.9", "python=a3.9", "python\t=3.9"),
)
TEXTS = (
    "dependencies: [python=3.9, {pip: [x, -r y.txt, '# z']}]\nchannels: [a]\nname: b\nprefix: /c\nvariables: {D: e}\n",
    "# comment\nname: x # more\ndependencies:\n    - python=3.9\n    - 'a: b'\n",
    "dependencies: [python=3.9, {pip: [a]}, b, {pip: [c]}]\n",
    "dependencies: [{'sel(linux)': numpy}, python=3.9]\n",
    "name: only\n",
    "foo: 1\n",
    "",
    "- a\n",
    "text\n",
)
PIP = "add_pip_package"
OPTION = "set_pip_option"
CHANGES: tuple[tuple[list[Any] | None, list[list[Any]]], ...] = (
    (None, [["add_conda_package", it] for it in ("a", "b=1", "a", "A", "c::d", "python=3.9", "python==3.8", "-x")]),
    (["a", "a", "b"], [["remove_conda_package", it] for it in ("a", "none")]),
    (["python=3.9"], [["remove_conda_package", "python"], ["remove_conda_package", "python=3.9"]]),
    (["a", "conda-forge::python=3.9"], [["add_conda_package", "python=3.8"]]),
    (["a", "python=3.9", "python=3.7"], [["set_python_version", "3.8"]]),
    (["a"], [["set_python_version", "python=3.8"]]),
    ([], [["set_python_version", "3"]]),
    (None, [[PIP, it] for it in ("six==1", "Six==2", "six[x]>=3", "a_b", "a-b==1", "azureml-defaults==1.0")]),
    (None, [[PIP, it] for it in ("a;x<3", "a", "a ==1", "a b", "./a.whl", "./b.whl", "git+https://x/a", "!!")]),
    (None, [[PIP, it] for it in ("http://x/a-1-py3-none-any.whl", "b", "https://y/a-2-py3-none-any.whl", "a==3")]),
    (None, [[PIP, "six==1"], ["remove_pip_package", "Six"], ["remove_pip_package", "six==2"]]),
    (None, [[PIP, "--pre"], ["remove_pip_package", "--pre"], [OPTION, "x"], ["remove_pip_option", "x"]]),
    (None, [[OPTION, it] for it in ("--pre", "--pre", "-i x", "-i y", "--x=1", "--x=2")]),
    (None, [[OPTION, "--a 1"], [OPTION, "--b 1"], [OPTION, "--a 2"], ["remove_pip_option", "--b"]]),
    (None, [["set_pip_index_url", it] for it in ("--index-url x", "--extra-index-url y", "https://z")]),
    (["a"], [["set_pip_requirements", ["x", "--pre", "# c", "x==1"]]]),
    (["a"], [["remove_pip_package", "x"], ["remove_pip_option", "--x"], ["remove_channel", "x"]]),
    (["a", {"pip": ["p"]}, {"pip": ["q"]}], [[PIP, "r"], [OPTION, "--s"], ["remove_pip_package", "p"]]),
    (["a", {"pip": ["p"]}, {"pip": ["q"]}], [["set_pip_requirements", ["z"]]]),
    (["a", {"pip": ["p", "q"]}, {"pip": ["q"]}], [[PIP, "p==2"], [PIP, "q==2"], ["remove_pip_package", "q"]]),
    (["a", {"pip": ["--x 1"]}, {"pip": ["q"]}], [[OPTION, "--x 2"], ["remove_pip_option", "--x"]]),
    (None, [["add_channel", "c"], ["add_channel", "c"], ["remove_channel", "anaconda"], ["remove_channel", "none"]]),
    (["a"], [["add_channel", "c"]]),
    (["a"], [["add_tensorflow_pip_package", "gpu", "1.13"], ["add_tensorflow_conda_package", "gpu", "1.13"]]),
    (["a"], [["add_tensorflow_pip_package", "gpu"], ["add_tensorflow_pip_package"], ["add_cntk_package", "gpu"]]),
    (["a", "tensorflow=1"], [["add_tensorflow_conda_package", "gpu"], ["add_tensorflow_conda_package", "x"]]),
)
CREATED: tuple[dict[str, Any], ...] = (
    {},
    {"pip_packages": ["numpy", "azureml-sdk"], "conda_packages": ["scipy"], "python_version": "3.7"},
    {"pip_packages": [], "conda_packages": ["python=3.6", "scipy", "scipy"]},
    {"pip_indexurl": "https://x/simple", "conda_packages": ["scipy"]},
    {"pip_packages": ["-r x.txt"]},
)
MERGED: tuple[list[str], ...] = (
    ["a", "b>=1", "a==2"],
    ["a>=1", "a<2", "a"],
    ["A", "a", "a[x]", "a[y]==1", "--pre", "git+https://x"],
    ["a ; python_version<'3'", "a"],
    [],
)


def test_which_python_is_recognised_and_what_becomes_of_the_rest(azureml_core: Witness) -> None:
    same_as_ours(azureml_core, [(python_of, [item]) for item in PYTHONS])


ODD = (
    "dependencies: [python=3.9, 1.10]\nname: 3\n",
    "dependencies: [python=3.9, 'é=1', 'a: b', '#x', '@y', '', 'yes']\r\nname: x\r\n",
    "\ufeffdependencies: [python=3.9]\n",
    "dependencies: &a [python=3.9]\nchannels: *a\n",
    "dependencies: [python=3.9, {a: b}, [c], ~]\nchannels:\n",
    "--- \ndependencies: !!seq [python=3.9, !!str 5]\n...\n",
    "dependencies: [python=3.9]\n---\nx: 1\n",
    "dependencies: []\n",
    "name: x\nname: y\n",
    "name:\n\t- x\n",
)


def test_published_specifications_and_odd_ones_come_out_alike(azureml_core: Witness) -> None:
    published = json.loads((PROJECT / "tests" / "cache" / "names.json").read_text(encoding="utf-8"))
    texts = [yaml.safe_dump(it["spec"]) for it in published["conda_environment_names"]]
    texts += [path.read_text(encoding="utf-8") for path in sorted((PROJECT / "examples").glob("*/*env*.yml"))]
    same_as_ours(azureml_core, [(specification, [text]) for text in (*texts, *ODD)])


def test_a_specification_is_read_alike(azureml_core: Witness) -> None:
    same_as_ours(azureml_core, [(read, [text]) for text in TEXTS])


def test_every_change_has_the_same_result(azureml_core: Witness) -> None:
    same_as_ours(azureml_core, [(changed, list(change)) for change in CHANGES])


def any_change(chance: random.Random) -> list[Any]:
    """Some dependencies, and some calls that change them."""
    packages = ("a", "a=1", "b==2", "c[x]>=1", "python=3.9", "python=3.10.1", "--x 1", "http://h/a-1-py3-none-any.whl")
    options = ("--x 1", "--x 2", "--y", "-i u", "a")
    calls: dict[str, Sequence[Any]] = {
        "add_conda_package": packages,
        "remove_conda_package": packages,
        PIP: packages,
        "remove_pip_package": packages,
        OPTION: options,
        "remove_pip_option": options,
        "set_python_version": ("3.8", "3.11.2"),
        "add_channel": ("c", "d"),
        "remove_channel": ("c", "anaconda"),
        "set_pip_requirements": (["a", "--x 1"], []),
    }
    # Several lists, and one package twice in a list, are among CHANGES: there the client's rules are odd.
    lines = chance.sample(packages, k=chance.randrange(4))
    block = {"pip": chance.sample(("a", "b==2", "c[x]>=1", "--x 1", "--y", "-i u"), k=chance.randrange(4))}
    dependencies = chance.choice([None, lines, [*lines, block], [block, *lines]])
    return [dependencies, [[name, chance.choice(calls[name])] for name in chance.choices(list(calls), k=6)]]


def test_any_changes_have_the_same_result(azureml_core: Witness) -> None:
    chance = random.Random(2026)  # noqa: S311 -- the same cases every time
    same_as_ours(azureml_core, [(changed, any_change(chance)) for _ in range(400)])


def test_a_new_specification_is_the_same(azureml_core: Witness) -> None:
    calls: list[tuple[Case, list[Any]]] = [(created, [given]) for given in CREATED]
    same_as_ours(azureml_core, [*calls, *((merged, [lines]) for lines in MERGED), (constants, [])])


def test_it_is_saved_in_the_same_places(azureml_core: Witness) -> None:
    paths = ("a.yml", "there/b.yml", "there", "none/c.yml")
    below = (("there", None), (".", "d.yml"), ("there", "e.yml"), (".", None))
    calls: list[tuple[Case, list[Any]]] = [(saved, [path]) for path in paths]
    same_as_ours(azureml_core, [*calls, *((saved_below, list(it)) for it in below)])
