"""The files that a builder gets: their layout, and that they are the same bytes every time."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from envkiln.cache.context import SetupContent
from envkiln.cache.definition import EnvironmentDefinition, ImageReference, SparkSection
from envkiln.cache.dockerfile import Dialect
from envkiln.cache.formats import read_definition
from envkiln.cache.identity import identify
from envkiln.cache.setup_content import named_content, setup_content
from envkiln.cache.source import EntryKind, MemoryTree

BASE = ImageReference.parse(
    "mcr.microsoft.com/azureml/intelmpi2018.3-ubuntu16.04:20200821.v1"
    "@sha256:8cee6f674276dddb23068d2710da7f7f95b119412cc482675ac79ba45a4acf99"
)
EXAMPLE = b"name: x\nchannels: [defaults, pytorch]\ndependencies: [python=3.7, pytorch, torchvision]\n"
FILES = b"dependencies:\n- python=3.11\n- pip:\n  - -r lists/more.txt\n  - ./wheels/a-1-py3-none-any.whl\n"
ENVIRONMENT = "azureml_7459a71437df47401c6a369f49fbbdb6"
SETUP = "azureml-environment-setup"
NAMED = f"""\
FROM {BASE}
USER root
RUN mkdir -p $HOME/.cache
WORKDIR /
COPY azureml-environment-setup/99brokenproxy /etc/apt/apt.conf.d/
RUN if dpkg --compare-versions `conda --version | grep -oE '[^ ]+$'` lt 4.4.11; then conda install conda==4.4.11; fi
COPY azureml-environment-setup/mutated_conda_dependencies.yml azureml-environment-setup/mutated_conda_dependencies.yml
RUN ldconfig /usr/local/cuda/lib64/stubs && conda env create -p /azureml-envs/{ENVIRONMENT} -f azureml-environment-setup/mutated_conda_dependencies.yml && rm -rf "$HOME/.cache/pip" && conda clean -aqy && CONDA_ROOT_DIR=$(conda info --root) && rm -rf "$CONDA_ROOT_DIR/pkgs" && find "$CONDA_ROOT_DIR" -type d -name __pycache__ -exec rm -rf {{}} + && ldconfig
# AzureML Conda environment name: {ENVIRONMENT}
ENV PATH /azureml-envs/{ENVIRONMENT}/bin:$PATH
ENV AZUREML_CONDA_ENVIRONMENT_PATH /azureml-envs/{ENVIRONMENT}
ENV LD_LIBRARY_PATH /azureml-envs/{ENVIRONMENT}/lib:$LD_LIBRARY_PATH
COPY azureml-environment-setup/spark_cache.py azureml-environment-setup/log4j.properties /azureml-environment-setup/
RUN if [ $SPARK_HOME ]; then /bin/bash -c '$SPARK_HOME/bin/spark-submit  /azureml-environment-setup/spark_cache.py'; fi
ENV AZUREML_ENVIRONMENT_IMAGE True
CMD ["bash"]
"""  # noqa: E501 -- Azure ML's lines


def read(**files: bytes) -> EnvironmentDefinition:
    tree = MemoryTree({path.replace("__", "/").replace("_", "."): data for path, data in files.items()})
    return read_definition(tree, "Dockerfile" if "Dockerfile" in files else "env.yml")


def built(definition: EnvironmentDefinition, dialect: Dialect = Dialect.CLASSIC, *, ca: bool = False) -> SetupContent:
    return setup_content(definition, identify(definition, BASE), dialect, ca_bundle=ca)


def dockerfile(content: SetupContent) -> str:
    (data,) = (entry.data for entry in content.entries if entry.path == content.dockerfile)
    assert data is not None
    return data.decode()


def test_the_named_content_has_azure_mls_text_to_the_byte() -> None:
    definition = read(env_yml=EXAMPLE)
    identity = identify(definition, BASE)
    content = named_content(definition, identity)
    assert dockerfile(content) == NAMED == identity.named_text
    assert identity.image == "azureml/azureml_ae31c6ab58033c4e44c7369910eea717"


def test_everything_lies_under_one_directory_parents_before_children() -> None:
    content = built(read(env_yml=EXAMPLE))
    assert content.dockerfile == f"{SETUP}/Dockerfile"
    assert [(entry.path, entry.kind) for entry in content.entries] == [
        (SETUP, EntryKind.DIRECTORY),
        (f"{SETUP}/99brokenproxy", EntryKind.FILE),
        (f"{SETUP}/Dockerfile", EntryKind.FILE),
        (f"{SETUP}/log4j.properties", EntryKind.FILE),
        (f"{SETUP}/mutated_conda_dependencies.yml", EntryKind.FILE),
        (f"{SETUP}/spark_cache.py", EntryKind.FILE),
    ]


@pytest.mark.parametrize("dialect", Dialect)
def test_what_is_built_differs_from_what_is_named_only_in_a_few_places(dialect: Dialect) -> None:
    named = set(NAMED.splitlines())
    text = dockerfile(built(read(env_yml=EXAMPLE), dialect))
    assert len(named - set(text.splitlines())) <= 2
    assert "conda info --base" in text
    assert text.startswith(f"FROM {BASE}\n")
    assert text.endswith('CMD ["bash"]\n')


def test_only_buildkit_gets_cache_mounts_and_secrets() -> None:
    definition = read(env_yml=EXAMPLE)
    classic, buildkit = dockerfile(built(definition)), dockerfile(built(definition, Dialect.BUILDKIT))
    assert "--mount" not in classic
    assert "--mount=type=cache,id=envkiln-conda-v1" in buildkit
    assert "envkiln-ca" not in buildkit
    assert "--mount=type=secret,id=envkiln-ca" in dockerfile(built(definition, Dialect.BUILDKIT, ca=True))


def test_the_cache_id_names_the_mounts_and_nothing_else() -> None:
    definition = read(env_yml=EXAMPLE)
    identity = identify(definition, BASE)
    other = setup_content(definition, identity, Dialect.BUILDKIT, cache_id="v2")
    assert dockerfile(other).replace("-v2,", "-v1,") == dockerfile(built(definition, Dialect.BUILDKIT))
    assert setup_content(definition, identity, Dialect.CLASSIC, cache_id="v2") == built(definition)


def test_a_ca_bundle_is_trusted_by_the_classic_build_in_a_stage_that_does_not_stay() -> None:
    text = dockerfile(built(read(env_yml=EXAMPLE), ca=True))
    last = text.rindex("\nFROM ")
    assert f"{SETUP}/ca.pem" in text[:last]
    assert f"COPY {SETUP}/ca.pem" not in text[last:]


def test_local_files_are_laid_beside_the_specification_from_where_they_are() -> None:
    files = {"lists__more_txt": b"six\n", "wheels__a-1-py3-none-any_whl": b"wheel"}
    content = built(read(env_yml=FILES, **files))
    sources = {entry.path: entry.source for entry in content.entries if entry.source}
    assert sources == {
        f"{SETUP}/files/lists/more.txt": "lists/more.txt",
        f"{SETUP}/files/wheels/a-1-py3-none-any.whl": "wheels/a-1-py3-none-any.whl",
    }
    assert [entry.path for entry in content.entries if entry.kind is EntryKind.DIRECTORY] == [
        SETUP,
        f"{SETUP}/files",
        f"{SETUP}/files/lists",
        f"{SETUP}/files/wheels",
    ]
    assert f"COPY {SETUP}/files/" in dockerfile(content)


def test_the_users_own_build_context_is_not_changed() -> None:
    definition = read(Dockerfile=b"FROM x\nCOPY . /app\n", app__main_py=b"print()\n")
    content = built(definition, ca=True)
    assert content.dockerfile == "Dockerfile"
    assert [(entry.path, entry.source, entry.data) for entry in content.entries] == [
        ("Dockerfile", "Dockerfile", None),
        ("app", None, None),
        ("app/main.py", "app/main.py", None),
    ]
    assert named_content(definition, identify(definition, BASE)) == content


def test_a_definition_that_is_an_image_only_is_one_line() -> None:
    definition = replace(read(env_yml=EXAMPLE), conda=None)
    content = built(definition)
    assert dockerfile(content) == f"FROM {BASE}\n"
    assert [entry.path for entry in content.entries] == [SETUP, f"{SETUP}/Dockerfile"]


def test_spark_packages_are_fetched_by_a_program_that_python_can_read() -> None:
    spark = SparkSection(("https://repo",), ('a:b"\\:1',))
    content = built(replace(read(env_yml=EXAMPLE), spark=spark))
    (program,) = (entry.data for entry in content.entries if entry.path.endswith("spark_cache.py"))
    assert program is not None
    values: dict[str, object] = {"__name__": "test"}
    exec(program, values)  # noqa: S102 -- our own program
    assert (values["REPOSITORIES"], values["PACKAGES"]) == (["https://repo"], ['a:b"\\:1'])


PRINT = """
import sys
from envkiln.cache.definition import ImageReference
from envkiln.cache.dockerfile import Dialect
from envkiln.cache.formats import read_definition
from envkiln.cache.identity import identify
from envkiln.cache.setup_content import setup_content
from envkiln.cache.source import MemoryTree
definition = read_definition(MemoryTree({"env.yml": sys.stdin.buffer.read()}), "env.yml")
print(setup_content(definition, identify(definition, ImageReference("b")), Dialect.BUILDKIT, ca_bundle=True))
"""


def test_another_process_in_other_surroundings_makes_the_same_bytes() -> None:
    surroundings = [{"PYTHONHASHSEED": "1", "TZ": "UTC"}, {"PYTHONHASHSEED": "2", "LC_ALL": "C", "TZ": "Asia/Tokyo"}]
    outputs = [
        subprocess.run(
            [sys.executable, "-c", PRINT], input=EXAMPLE, env={**os.environ, **each}, capture_output=True, check=True
        ).stdout
        for each in surroundings
    ]
    assert outputs[0] == outputs[1]
    assert outputs[0]
