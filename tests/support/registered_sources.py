"""Definitions of every kind, each registered as `it:3`, for tests of what is made of a version.

On `pythonpath` (pyproject.toml): test files import it as `registered_sources`.
"""

from dataclasses import replace
from io import BytesIO

from envkiln.cache.definition import ImageReference
from envkiln.cache.export import Export, Target, export
from envkiln.cache.registered_version import RegisteredVersion
from envkiln.cache.source import MemoryTree
from envkiln.cache.stored_definition import Naming, candidate_of
from envkiln.cache.stored_tree import StoredTree

BASE = ImageReference("base", "1")
PINNED = "base:1@sha256:" + "1" * 64
NAMING = Naming(BASE, lambda _: "sha256:" + "1" * 64)
CONDA = b"name: it\nchannels: [defaults]\ndependencies:\n- python=3.11\n- pip:\n  - six\n"
MANAGED = b'{"name": "it", "docker": {"baseImage": "base:1"}, "python": {"userManagedDependencies": true}}'
PACKAGE = b'{"group": "g", "artifact": "a", "version": "1"}'
SPARK = b'{"name": "it", "docker": {"baseImage": "base:1"}, "spark": {"packages": [%b]}}' % PACKAGE
V1 = b'{"name": "it", "environmentVariables": {"A": "b"}, "docker": {"baseImage": "base:1", "shmSize": "4g"}}'
V2 = b"name: it\nimage: base:1\ntags: {a: b}\nos_type: linux\nconda_file: conda.yml\n"
ROUTES = b"{path: /, port: 5001}"
INFERENCE = b"name: it\nimage: base:1\ninference_config: {liveness_route: %b, readiness_route: %b, scoring_route: %b}\n"

SOURCES: dict[str, tuple[str, dict[str, bytes]]] = {
    "conda": ("env.yml", {"env.yml": CONDA}),
    "pip files": ("e/env.yml", {"e/env.yml": CONDA + b"  - -r sub/more.txt\n", "e/sub/more.txt": b"numpy\n"}),
    "wheel": ("env.yml", {"env.yml": CONDA + b"  - ./a-1-py3-none-any.whl\n", "a-1-py3-none-any.whl": b"PK\0\xff"}),
    "requirements": ("requirements.txt", {"requirements.txt": b"numpy\n"}),
    "odd texts": ("env.yml", {"env.yml": "name: x\ndependencies:\n- 'yes'\n- '3.10'\n- 'a: b # c'\n- ä\n".encode()}),
    "v2": ("aml.yml", {"aml.yml": V2, "conda.yml": CONDA}),
    "v2 image only": ("environment.yml", {"environment.yml": INFERENCE % (ROUTES, ROUTES, ROUTES)}),
    "v1": ("azureml_environment.json", {"azureml_environment.json": V1, "conda_dependencies.yml": CONDA}),
    "v1 managed": ("azureml_environment.json", {"azureml_environment.json": MANAGED}),
    "v1 spark": ("azureml_environment.json", {"azureml_environment.json": SPARK, "conda_dependencies.yml": CONDA}),
    "v1 dockerfile": (
        "azureml_environment.json",
        {"azureml_environment.json": V1, "conda_dependencies.yml": CONDA, "BaseDockerfile": b"FROM base:1\n"},
    ),
    "context": (
        "c/Dockerfile",
        {
            "c/Dockerfile": b"FROM base:1\n",
            "c/.amlignore": b"*.log\n",
            "c/.gitignore": b"*.txt\n",
            "c/a.txt": b"a",
            "c/a.log": b"no",
            "c/bin": b"\0",
        },
    ),
}


class Registered:
    """A source that was registered as `it:3`."""

    def __init__(self, source: str) -> None:
        main, files = SOURCES[source]
        tree = MemoryTree(files)
        self._stored = {tree.digest(path): data for path, data in files.items()}
        self.version: RegisteredVersion = replace(candidate_of(tree, main, NAMING, name="it").version, version=3)

    def load(self, digest: str) -> BytesIO:
        return BytesIO(self._stored[digest])

    def export(self, target: Target) -> Export:
        return export(self.version, target, self.load)

    def files(self, target: Target) -> dict[str, str]:
        """Return the files of an export, all of which are texts."""
        made = self.export(target)
        tree = StoredTree(made.files, self.load)
        return {file.path: tree.read(file.path).decode() for file in made.files if not file.directory}

    def text(self, target: Target) -> str:
        made = self.export(target)
        return StoredTree(made.files, self.load).read(made.main).decode()
