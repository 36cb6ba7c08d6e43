"""The Dockerfile texts: the one that is named, which is Azure ML's and never changes, and the one that is built.

Azure ML's text: FACTS §1.2 (15 instructions and a comment). What is built differs where today's conda or a faster
build asks for it; `RECIPE` on the image says which of our texts built it.
"""

import re
from collections.abc import Sequence
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING

from envkiln.cache.definition import EnvironmentDefinition, ImageReference
from envkiln.cache.setup_names import EXTRA_FILES, SETUP, SPECIFICATION

if TYPE_CHECKING:
    from envkiln.cache.identity import Identity

BUILT_RECIPE = "built/1"
"""Version of the built text; kept in the label `envkiln.recipe` beside the recipe of the name."""

_CONDA_CACHE = "/var/cache/envkiln/conda"
_PIP_CACHE = "/var/cache/envkiln/pip"
_BASE_STAGE = "envkiln-base"
STAGE = "envkiln.stage"
"""The label of a stage that is thrown away: the name of the image that it was for."""
_HOLE = "\0"
_FROM = re.compile(r"^[ \t]*FROM[ \t]+.*?(?:[ \t]+AS[ \t]+(?P<stage>\S+))?(?=[ \t]*$)", re.MULTILINE | re.IGNORECASE)
_CLEAN_ROOT = (
    "CONDA_ROOT_DIR=$(conda info --base 2>/dev/null || conda info --root)"
    ' && rm -rf "$CONDA_ROOT_DIR/pkgs"'
    ' && find "$CONDA_ROOT_DIR" -type d -name __pycache__ -exec rm -rf {} +'
)


class Dialect(Enum):
    """Which builder a built text is for: only BuildKit knows cache mounts."""

    CLASSIC = "classic"
    BUILDKIT = "buildkit"


def named_text(base: ImageReference, conda_environment: str) -> str:
    """Return Azure ML's Dockerfile text, byte for byte (LF, one final LF)."""
    return f"FROM {base}\n" + named_steps(conda_environment)


def named_steps(conda_environment: str) -> str:
    """Return what Azure ML's text says after `FROM`."""
    # Put together once: this is done for every environment at every start.
    return _named_steps_of_a_hole().replace(_HOLE, conda_environment)


@cache
def _named_steps_of_a_hole() -> str:
    conda_environment = _HOLE
    create = (
        f"RUN ldconfig /usr/local/cuda/lib64/stubs && conda env create -p /azureml-envs/{conda_environment}"
        f" -f {SETUP}/{SPECIFICATION}"
        ' && rm -rf "$HOME/.cache/pip" && conda clean -aqy && CONDA_ROOT_DIR=$(conda info --root)'
        ' && rm -rf "$CONDA_ROOT_DIR/pkgs"'
        ' && find "$CONDA_ROOT_DIR" -type d -name __pycache__ -exec rm -rf {} + && ldconfig\n'
    )
    return _steps_before() + create + _steps_after(conda_environment)


def built_text(
    definition: EnvironmentDefinition,
    identity: "Identity",
    dialect: Dialect,
    *,
    cache_id: str,
    ca_bundle: bool,
    mounts: Sequence[tuple[str, str]] = (),
) -> str:
    """Return the Dockerfile that is really built; `definition` is no build context.

    It makes the image that the named text describes. It differs in these places: the conda root is asked for in a
    way that conda of 2020 and conda >= 26.3 both know; local files of the pip part are copied beside the
    specification; with BuildKit, downloads live in locked cache mounts named by `cache_id`; with `ca_bundle`, the
    create step trusts an extra CA bundle that does not stay (see `setup_content`). `mounts` are the (id, path) of the
    secrets of BuildKit's create step; such a step has no cache mounts, which would keep what a credential opened.
    """
    if definition.base_dockerfile is not None:
        base = base_dockerfile_lines(definition.base_dockerfile)
    else:
        base = f"FROM {identity.base_image}\n"
    environment = identity.conda_environment
    if environment is None:
        return base
    before, after = _steps_before(), _steps_after(environment)
    copy_files = f"COPY {SETUP}/{EXTRA_FILES}/ {SETUP}/\n" if definition.extra_files else ""
    if dialect is Dialect.CLASSIC and ca_bundle:
        # The classic builder has no secrets: the bundle lives in a stage that is thrown away.
        create = _create_classic(environment, _trust(f"/{SETUP}/ca.pem"))
        prefix = f"/azureml-envs/{environment}"
        return (
            f"{_name_last_stage(base)}"
            f"FROM {_BASE_STAGE} AS envkiln-build\n"
            f"{before}{copy_files}COPY {SETUP}/ca.pem /{SETUP}/ca.pem\n{create}"
            f"LABEL {STAGE}={identity.image}\n"
            f"FROM {_BASE_STAGE}\n"
            f"{_system_steps()}{_copy_specification()}"
            f"COPY --from=envkiln-build {prefix} {prefix}\nRUN ldconfig\n{after}"
        )
    if dialect is Dialect.CLASSIC:
        create = _create_classic(environment, "")
    elif mounts:
        create = _create_sealed(environment, mounts, ca_bundle=ca_bundle)
    else:
        create = _create_buildkit(environment, cache_id, ca_bundle=ca_bundle)
    return base + before + copy_files + create + after


def base_dockerfile_lines(text: str) -> str:
    """Return a base Dockerfile with LF line ends and exactly one LF at its end."""
    return text.replace("\r\n", "\n").rstrip("\n") + "\n"


def _create_classic(environment: str, variables: str) -> str:
    return (
        f"RUN ldconfig /usr/local/cuda/lib64/stubs && {variables}{_create(environment)}"
        f' && rm -rf "$HOME/.cache/pip" && conda clean -aqy && {_CLEAN_ROOT} && ldconfig\n'
    )


def _create_buildkit(environment: str, cache_id: str, *, ca_bundle: bool) -> str:
    # `conda clean` would empty the mount, and the clean-up of the conda root must not reach into it: the mount lies
    # elsewhere. pip and conda leave nothing under $HOME when their caches are named.
    secret = " --mount=type=secret,id=envkiln-ca" if ca_bundle else ""
    trust = _trust("/run/secrets/envkiln-ca") if ca_bundle else ""
    return (
        f"RUN --mount=type=cache,id=envkiln-conda-{cache_id},target={_CONDA_CACHE},sharing=locked"
        f" --mount=type=cache,id=envkiln-pip-{cache_id},target={_PIP_CACHE},sharing=locked{secret}"
        f" ldconfig /usr/local/cuda/lib64/stubs && {trust}CONDA_PKGS_DIRS={_CONDA_CACHE}"
        f" PIP_CACHE_DIR={_PIP_CACHE} {_create(environment)} && {_CLEAN_ROOT} && ldconfig\n"
    )


def _create_sealed(environment: str, mounts: Sequence[tuple[str, str]], *, ca_bundle: bool) -> str:
    asked = "".join(f" --mount=type=secret,id={id_},target={path},required=true" for id_, path in mounts)
    asked += " --mount=type=secret,id=envkiln-ca" if ca_bundle else ""
    trust = _trust("/run/secrets/envkiln-ca") if ca_bundle else ""
    # The last mount is the program that looks whether a credential stayed.
    return (
        f"RUN{asked} ldconfig /usr/local/cuda/lib64/stubs && {trust}{_create(environment)}"
        f' && rm -rf "$HOME/.cache/pip" && conda clean -aqy && {_CLEAN_ROOT}'
        f' && PATH="$CONDA_ROOT_DIR/bin:$PATH" python3 {mounts[-1][1]} && ldconfig\n'
    )


def _create(environment: str) -> str:
    return f"conda env create -p /azureml-envs/{environment} -f {SETUP}/{SPECIFICATION}"


def _trust(bundle: str) -> str:
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "CONDA_SSL_VERIFY")
    return "".join(f"{name}={bundle} " for name in names)


def _name_last_stage(dockerfile: str) -> str:
    """Return `dockerfile` followed by nothing, its last stage reachable as `envkiln-base`."""
    stages = list(_FROM.finditer(dockerfile))
    if not stages:
        return dockerfile  # the builder says what is wrong with it
    last = stages[-1]
    if last["stage"]:
        return f"{dockerfile}FROM {last['stage']} AS {_BASE_STAGE}\n"
    return f"{dockerfile[: last.end()]} AS {_BASE_STAGE}{dockerfile[last.end() :]}"


def _steps_before() -> str:
    return (
        f"{_system_steps()}"
        "RUN if dpkg --compare-versions `conda --version | grep -oE '[^ ]+$'` lt 4.4.11;"
        " then conda install conda==4.4.11; fi\n"
        f"{_copy_specification()}"
    )


def _system_steps() -> str:
    return f"USER root\nRUN mkdir -p $HOME/.cache\nWORKDIR /\nCOPY {SETUP}/99brokenproxy /etc/apt/apt.conf.d/\n"


def _copy_specification() -> str:
    return f"COPY {SETUP}/{SPECIFICATION} {SETUP}/{SPECIFICATION}\n"


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
