"""Every cause of a failed build in Azure ML's catalogue (FACTS §4.1 B, by its number) is recognised, with a way out."""

import pytest

from envkiln.daemon.causes import explain_failure

# (number, the end of a log as the tools write it, the cause, whether it may pass by itself)
CATALOGUE = [
    (
        34,
        (
            'failed to do request: Head "https://team.azurecr.io/v2/azureml/x/manifests/latest": dial tcp 10.0.0.4:443'
            ": i/o timeout"
        ),
        "the network failed",
        True,
    ),
    (
        34,
        "denied: client with IP '20.1.2.3' is not allowed access. Refer https://aka.ms/acr/firewall to grant access.",
        "the registry's firewall does not let this machine in: 20.1.2.3",
        False,
    ),
    (
        35,
        "Error response from daemon: dockerfile parse error line 3: unknown instruction: INSTAL",
        "an instruction that Docker does not know: INSTAL",
        False,
    ),
    (
        36,
        (
            "Error response from daemon: pull access denied for team.azurecr.io/base, repository does not exist or may "
            "require 'docker login': denied: requested access to the resource is denied"
        ),
        "the base image cannot be pulled: team.azurecr.io/base",
        False,
    ),
    (37, "failed to register layer: read tcp 10.0.0.5:443: read: connection reset by peer", "the network failed", True),
    (37, "failed to copy: httpReadSeeker: failed open: unexpected EOF", "the network failed", True),
    (
        38,
        "CondaValueError: could not parse 'numpy=>1.2' in: azureml-environment-setup/mutated_conda_dependencies.yml",
        "a conda package specification is not valid: could not parse 'numpy=>1.2'",
        False,
    ),
    (38, "InvalidVersionSpec: Invalid version '1.2.x=': invalid character(s)", "specification is not valid", False),
    (
        39,
        "CondaHTTPError: HTTP 000 CONNECTION FAILED for url <https://conda.anaconda.org/nosuch/linux-64/repodata.json>",
        "a server failed (HTTP 000)",
        True,
    ),
    (40, "unable to execute 'gcc': No such file or directory", "a package could not be compiled (gcc)", False),
    (
        40,
        "error: can't find Rust compiler\nERROR: Failed building wheel for tokenizers",
        "a package could not be compiled (tokenizers)",
        False,
    ),
    (41, "/bin/sh: 1: wgett: not found", "the command wgett is not in the image", False),
    (42, "socket.timeout: The read operation timed out\npip subprocess error: Read timed out.", "took too long", True),
    (
        43,
        (
            "Solving environment: ...working... Killed\nThe command '/bin/sh -c conda env create' returned a non-zero "
            "code: 137"
        ),
        "for lack of memory",
        True,
    ),
    (
        44,
        "ResolvePackageNotFound: \n  - pytorch-lightnin=1.2\n",
        "packages are in none of the channels: pytorch-lightnin=1.2",
        False,
    ),
    (45, "ModuleNotFoundError: No module named 'Cython'", "the Python module Cython is missing", False),
    (45, "ImportError: No module named numpy", "the Python module numpy is missing", False),
    (
        46,
        "Could not solve for environment specs\n└─ nosuch 9** does not exist (perhaps a typo or a missing channel).",
        "a package is in none of the channels: nosuch 9",
        False,
    ),
    (
        47,
        "Building wheel for mpi4py (setup.py): finished with status 'error'\nFailed building wheel for mpi4py",
        "mpi4py cannot be built",
        False,
    ),
    (47, "error: Cannot compile MPI programs. Check your configuration!!!", "mpi4py cannot be built", False),
    (
        48,
        (
            "Looking in indexes: https://pkgs.dev.azure.com/team/_packaging/feed/pypi/simple/\n"
            "User for pkgs.dev.azure.com: ERROR: Exception:\nEOFError: EOF when reading a line"
        ),
        "asked for a user name",
        False,
    ),
    (
        48,
        "[Minimal] [CredentialProvider]DeviceFlow: https://pkgs.dev.azure.com/team/_packaging/feed/pypi/simple/",
        "asked for a user name",
        False,
    ),
    (
        49,
        "ERROR: HTTP error 403 while getting https://team.blob.core.windows.net/wheels/x-1-py3-none-any.whl?sv=2020",
        "the storage account refuses access: team.blob.core.windows.net",
        False,
    ),
    (
        50,
        "CMake Error: Could NOT find MPI (missing: MPI_CXX_FOUND)\n  ERROR: Failed building wheel for horovod",
        "horovod cannot be built",
        False,
    ),
    (51, "/bin/sh: 1: conda: not found", "the base image has no conda", False),
    (
        52,
        (
            "ERROR: Ignored the following versions that require a different python version: 2.0 Requires-Python >=3.9\n"
            "ERROR: Package 'scipy' requires a different Python: 3.7.1 not in '>=3.9'"
        ),
        "a package does not support this Python version",
        False,
    ),
    (53, "/bin/sh: 1: cannot open =20.1.1: No such file", "unquoted on a command line: =20.1.1", False),
    (53, "/bin/bash: line 1: =20.1.1: No such file or directory", "unquoted on a command line: =20.1.1", False),
    (
        54,
        "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        "a file is not UTF-8",
        False,
    ),
    (55, "Pip subprocess error:\nsomething new\n\nCondaEnvException: Pip failed", "pip could not install", False),
    (
        56,
        (
            "ERROR: Cannot uninstall 'PyYAML'. It is a distutils installed project and thus we cannot accurately "
            "determine which files belong to it"
        ),
        "pip cannot replace PyYAML",
        False,
    ),
    (
        57,
        "ERROR: Invalid requirement: 'numpy=1.2' (from line 3 of r.txt)",
        "requirement is not valid: numpy=1.2",
        False,
    ),
    (
        58,
        "ERROR: Could not find a version that satisfies the requirement nosuch==9 (from versions: none)",
        "pip finds no matching distribution for nosuch==9",
        False,
    ),
    (59, "ERROR: x-1.whl is not a valid wheel filename.", "a wheel's file name is not valid: x-1.whl", False),
    (60, "make: *** No targets specified and no makefile found.  Stop.", "make finds no makefile", False),
    (
        61,
        (
            "COPY failed: file not found in build context or excluded by .dockerignore: stat requirements.txt: file "
            "does not exist"
        ),
        "a file to copy is not in the build context: requirements.txt",
        False,
    ),
    (
        62,
        "E: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?",
        "apt-get failed",
        False,
    ),
    (63, "received unexpected HTTP status: 503 Service Unavailable", "a server failed (HTTP 503)", True),
    (64, "dockerfile parse error on line 2: unknown instruction: FORM", "does not know: FORM", False),
    (65, "'az' is not recognized as an internal or external command,", "the command az is not in the image", False),
    (65, "/bin/sh: 1: az: Permission denied", "the command az may not be run", False),
    (66, "", "the build failed", False),
    (67, "manifest for mcr.microsoft.com/azureml/nosuch:1 not found: manifest unknown", "cannot be pulled", False),
]


@pytest.mark.parametrize(("number", "log", "message", "passing"), CATALOGUE)
def test_a_cause_of_the_catalogue_is_answered(number: int, log: str, message: str, passing: bool) -> None:
    cause = explain_failure(log.splitlines())
    assert message in cause.message, number
    assert cause.passing is passing
    assert cause.hint or not log


def test_the_catalogue_is_whole() -> None:
    assert {number for number, *_ in CATALOGUE} == set(range(34, 68))
