"""The version of an environment without a name: the vectors of FACTS §3.4, made with azure-ai-ml 1.35.2."""

from hypothesis import given
from hypothesis import strategies as st

from envkiln.cache.anonymous_version import upload_hash, version_of_build, version_of_image
from envkiln.cache.source import MemoryTree

IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1"
CONDA = {
    "name": "pytorch",
    "channels": ["defaults", "pytorch"],
    "dependencies": ["python=3.7", "pytorch", "torchvision"],
}
INFERENCE = {
    "liveness_route": {"path": "/", "port": 5001},
    "readiness_route": {"path": "/", "port": 5001},
    "scoring_route": {"path": "/score", "port": 5001},
}
CONTEXT = {"Dockerfile": b"FROM ubuntu:22.04\n", "requirements.txt": b"numpy==1.26.4\n", "sub/b.txt": b"b"}
UPLOAD = "4e652e42af2718bcb0437460d6c64f301f05bc1f292cb80a070ec7f0d5dcd4bf"


def test_of_an_image() -> None:
    assert version_of_image(IMAGE) == "a1f7fa3f8b6694f498c882bab9ed6dd13961957c70f1532a1eb95e549fe8ecb0"


def test_of_an_image_with_a_conda_specification() -> None:
    expected = "82ccd0b46ecf1f0933a5bbed4af8dca45dd1875ffdacf7ca883cb007ffaccc4c"
    assert version_of_image(IMAGE, conda=CONDA) == expected
    assert version_of_image(IMAGE, conda=dict(reversed(CONDA.items()))) == expected
    assert version_of_image(IMAGE, conda={**CONDA, "name": "other"}) != expected


def test_of_an_image_with_routes() -> None:
    expected = "f892588d327848d1e0ea389333d4095c9ea54b6c9d882b0e729503f31c88671d"
    assert version_of_image(IMAGE, conda=CONDA, inference=INFERENCE) == expected


def test_of_a_build_context() -> None:
    tree = MemoryTree({f"c/{path}": data for path, data in CONTEXT.items()})
    assert upload_hash(tree, "c") == upload_hash(MemoryTree(CONTEXT), "") == UPLOAD
    assert version_of_build(UPLOAD) == "a43a549f0483239de5af9e6e15e094d802db72783121347f96b9526dd795045f"
    with_path = "a99a41b9553f7bd9a248371cbe7a379b76936964bd16a547d5328a004f46a9ed"
    assert version_of_build(UPLOAD, "Dockerfile") == with_path


def test_what_is_ignored_does_not_count_in_a_context() -> None:
    ignoring = {**CONTEXT, ".amlignore": b"*.log\n.amlignore\n"}
    assert upload_hash(MemoryTree({**ignoring, "a.log": b"a", "sub/b.log": b"b"}), "") == UPLOAD
    assert upload_hash(MemoryTree({**CONTEXT, "a.log": b"a"}), "") != UPLOAD


@given(st.dictionaries(st.sampled_from(["a", "B", "c/d", "c/E", "f"]), st.binary(max_size=3), min_size=1))
def test_the_order_in_which_files_are_made_does_not_count(files: dict[str, bytes]) -> None:
    assert upload_hash(MemoryTree(files), "") == upload_hash(MemoryTree(dict(reversed(files.items()))), "")
