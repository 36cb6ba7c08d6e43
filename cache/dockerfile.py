"""The Dockerfile texts: the one that is named, which is Azure ML's and never changes, and the one that is built.

Azure ML's text: FACTS §1.2 (15 instructions and a comment). What is built differs where today's conda or a faster
build asks for it; `RECIPE` on the image says which of our texts built it.
"""

from enum import Enum

from envkiln.cache.definition import EnvironmentDefinition, ImageReference
from envkiln.cache.setup_names import EXTRA_FILES, SETUP, SPECIFICATION

BUILT_RECIPE = "built/1"
"""Version of the built text; kept in the label `envkiln.recipe` beside the recipe of the name."""

_CONDA_CACHE = "/var/cache/envkiln/conda"
_PIP_CACHE = "/var/cache/envkiln/pip"


class Dialect(Enum):
    """Which builder a built text is for: only BuildKit knows cache mounts."""

    CLASSIC = "classic"
    BUILDKIT = "buildkit"


def named_text(base: ImageReference, conda_environment: str) -> str:
    """Return Azure ML's Dockerfile text, byte for byte (LF, one final LF)."""
    return f"FROM {base}\n" + named_steps(conda_environment)


def named_steps(conda_environment: str) -> str:
    """Return what Azure ML's text says after `FROM`."""
    create = (
        f"RUN ldconfig /usr/local/cuda/lib64/stubs && conda env create -p /azureml-envs/{conda_environment}"
        f" -f {SETUP}/{SPECIFICATION}"
        ' && rm -rf "$HOME/.cache/pip" && conda clean -aqy && CONDA_ROOT_DIR=$(conda info --root)'
        ' && rm -rf "$CONDA_ROOT_DIR/pkgs"'
        ' && find "$CONDA_ROOT_DIR" -type d -name __pycache__ -exec rm -rf {} + && ldconfig\n'
    )
    return _steps_before() + create + _steps_after(conda_environment)


def built_steps(definition: EnvironmentDefinition, conda_environment: str, dialect: Dialect, cache_id: str) -> str:
    """Return the steps after `FROM` that are really built.

    They make the image that `named_steps` describes. They differ in three places: the conda root is asked for in a
    way that conda of 2020 and conda >= 26.3 both know; local files of the pip part are copied beside the
    specification; with BuildKit, downloads live in locked cache mounts named by `cache_id`.
    """
    copy_files = f"COPY {SETUP}/{EXTRA_FILES}/ {SETUP}/\n" if definition.extra_files else ""
    root = 'CONDA_ROOT_DIR=$(conda info --base 2>/dev/null || conda info --root)'
    clean_root = f'{root} && rm -rf "$CONDA_ROOT_DIR/pkgs" && find "$CONDA_ROOT_DIR" -type d -name __pycache__ -exec rm -rf {{}} +'
    create = f"conda env create -p /azureml-envs/{conda_environment} -f {SETUP}/{SPECIFICATION}"
    if dialect is Dialect.BUILDKIT:
        # `conda clean` would empty the mount, and the clean-up of the conda root must not reach into it: the mount
        # lies elsewhere. pip and conda leave nothing under $HOME when their caches are named.
        run = (
            f"RUN --mount=type=cache,id=envkiln-conda-{cache_id},target={_CONDA_CACHE},sharing=locked"
            f" --mount=type=cache,id=envkiln-pip-{cache_id},target={_PIP_CACHE},sharing=locked"
            f" ldconfig /usr/local/cuda/lib64/stubs"
            f" && CONDA_PKGS_DIRS={_CONDA_CACHE} PIP_CACHE_DIR={_PIP_CACHE} {create} && {clean_root} && ldconfig\n"
        )
    else:
        run = (
            f"RUN ldconfig /usr/local/cuda/lib64/stubs && {create}"
            f' && rm -rf "$HOME/.cache/pip" && conda clean -aqy && {clean_root} && ldconfig\n'
        )
    return _steps_before() + copy_files + run + _steps_after(conda_environment)


def _steps_before() -> str:
    return (
        "USER root\n"
        "RUN mkdir -p $HOME/.cache\n"
        "WORKDIR /\n"
        f"COPY {SETUP}/99brokenproxy /etc/apt/apt.conf.d/\n"
        "RUN if dpkg --compare-versions `conda --version | grep -oE '[^ ]+$'` lt 4.4.11;"
        " then conda install conda==4.4.11; fi\n"
        f"COPY {SETUP}/{SPECIFICATION} {SETUP}/{SPECIFICATION}\n"
    )


def _steps_after(conda_environment: str) -> str:
    prefix = f"/azureml-envs/{conda_environment}"
    return (
        f"# AzureML Conda environment name: {conda_environment}\n"
        f"ENV PATH {prefix}/bin:$PATH\n"
        f"ENV AZUREML_CONDA_ENVIRONMENT_PATH {prefix}\n"
        f"ENV LD_LIBRARY_PATH {prefix}/lib:$LD_LIBRARY_PATH\n"
        f"COPY {SETUP}/spark_cache.py {SETUP}/log4j.properties /{SETUP}/\n"
        "RUN if [ $SPARK_HOME ]; then /bin/bash -c"
        f" '$SPARK_HOME/bin/spark-submit  /{SETUP}/spark_cache.py'; fi\n"
        "ENV AZUREML_ENVIRONMENT_IMAGE True\n"
        'CMD ["bash"]\n'
    )
