"""The name of an environment's content does not depend on which client has written it down."""

from name_cases import loaded, saved
from witness import Witness

from envkiln.cache.canonical import canonical_text
from envkiln.cache.format_azureml_v1 import read_azureml_v1
from envkiln.cache.format_conda import read_conda
from envkiln.cache.source import MemoryTree
from envkiln.cache.yaml_text import read_yaml

SPECIFICATIONS = (
    "channels:\n- defaults\n- pytorch\ndependencies:\n- python=3.7\n- pytorch\n- torchvision\n",
    "# comment\nname: x\ndependencies:\n    - python=3.8.1\n    - pip=20.1.1\n    - pip:\n        - azureml-defaults\n",
    "dependencies:\n- python=3.9\n- 'a: b'\n- pip:\n  - '-r other.txt'\n- numpy>=1.2,<2\nchannels: [conda-forge]\n",
)
"""Each names a version of Python that the v1 client recognises: otherwise it would put one in."""


def canonical(data: bytes) -> str:
    files = {"conda_dependencies.yml": data, "other.txt": b"six\n"}
    conda = read_conda(MemoryTree(files), read_yaml(data, "conda_dependencies.yml")).conda
    assert conda is not None
    return conda.canonical


def test_a_specification_that_the_v1_client_has_saved_keeps_its_name(azureml_core: Witness) -> None:
    outcomes = azureml_core.tell([(saved, [text]) for text in SPECIFICATIONS])
    for text, outcome in zip(SPECIFICATIONS, outcomes, strict=True):
        assert outcome.error is None
        environment, conda = (part.encode() for part in outcome.value)
        files = {"azureml_environment.json": environment, "conda_dependencies.yml": conda, "other.txt": b"six\n"}
        written = read_azureml_v1(MemoryTree(files), "azureml_environment.json", environment).conda
        assert written is not None
        assert written.canonical == canonical(text.encode())


def test_the_v2_client_reads_the_specification_that_we_name(azure_ai_ml: Witness) -> None:
    outcomes = azure_ai_ml.tell([(loaded, [text]) for text in SPECIFICATIONS])
    for text, outcome in zip(SPECIFICATIONS, outcomes, strict=True):
        assert outcome.error is None
        assert canonical_text(outcome.value) == canonical(text.encode())
