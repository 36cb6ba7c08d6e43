"""The usual causes of a failed build are recognised in the logs of conda, pip, Docker and BuildKit."""

import pytest

from envkiln.daemon.causes import explain_failure, is_damaged_cache

CASES = [
    (
        "ResolvePackageNotFound:\n  - nosuchpkg=1.0\n  - other\n\nThe command 'x' returned a non-zero code: 1",
        "packages are in none of the channels: nosuchpkg=1.0, other",
        False,
    ),
    (
        "PackagesNotFoundError: The following are not available:\n\n  - nosuch\n\nCurrent channels:\n\n  - x",
        "packages are in none of the channels: nosuch",
        False,
    ),
    (
        "#9 3.210 LibMambaUnsatisfiableError:\n#9 3.210   - nothing provides requested nosuchpkg 9.*",
        "a package is in none of the channels: nosuchpkg 9.*",
        False,
    ),
    (
        "InvalidMatchSpec: Invalid spec 'numpy=>1': bad",
        "a conda package specification is not valid: 'numpy=>1': bad",
        False,
    ),
    (
        "ERROR: Could not find a version that satisfies nosuch==9\nERROR: No matching distribution found for nosuch==9",
        "pip finds no matching distribution for nosuch==9",
        False,
    ),
    (
        "WARNING: Retrying (Retry(total=0)) after (host='pypi.org')\nERROR: No matching distribution found for x",
        "the network failed: pypi.org cannot be reached",
        True,
    ),
    (
        "CondaHTTPError: HTTP 503 SERVICE UNAVAILABLE for url <https://conda.anaconda.org/x/noarch/repodata.json>",
        "a server failed (HTTP 503)",
        True,
    ),
    ("CondaHTTPError: HTTP 000 CONNECTION FAILED for url <https://x/y>", "a server failed (HTTP 000)", True),
    ("UnavailableInvalidChannel: HTTP 404 NOT FOUND for channel nosuch", "a channel does not exist", False),
    ("curl: (6) Could not resolve host: repo.example", "a name could not be resolved", True),
    (
        "OSError: [Errno 28] No space left on device\nERROR: No matching distribution found for x",
        "the disk is full",
        True,
    ),
    (
        "Solving environment: ...working... Killed\nThe command 'x' returned a non-zero code: 137",
        "lack of memory",
        True,
    ),
    ("/bin/sh: 1: conda: not found", "the base image has no conda", False),
    ("/bin/sh: line 1: make4: command not found", "the command make4 is not in the image", False),
    (
        "pull access denied for nosuch/image, repository does not exist or may require 'docker login'",
        "the base image cannot be pulled: nosuch/image",
        False,
    ),
    (
        "ERROR: failed to solve: failed to resolve source metadata for docker.io/no/such:1: docker.io/x: not found",
        "the base image cannot be pulled: docker.io/no/such:1",
        False,
    ),
    ("manifest for python:3.99 not found: manifest unknown: manifest unknown", "cannot be pulled: python:3.99", False),
    (
        "ERROR: failed to resolve source metadata for docker.io/you/base:1: failed to do request: dial tcp: lookup x",
        "cannot be pulled, its registry does not answer: docker.io/you/base:1",
        True,
    ),
    (
        'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host',
        "a name could not be resolved",
        True,
    ),
    (
        "dockerfile parse error line 2: unknown instruction: RUNN",
        "the Dockerfile has an instruction that Docker does not know: RUNN",
        False,
    ),
    (
        "COPY failed: file not found in build context or excluded: stat missing.txt: file does not exist",
        "a file to copy is not in the build context: missing.txt",
        False,
    ),
    (
        'ERROR: failed to compute cache key: failed to calculate checksum of ref a::b: "/missing.txt": not found',
        "a file to copy is not in the build context: /missing.txt",
        False,
    ),
    (
        'ERROR: failed to solve: failed to compute cache key: "/old.txt" not found: not found',
        "a file to copy is not in the build context: /old.txt",
        False,
    ),
    (
        "ERROR: Invalid requirement: 'numpy=>1' (from line 1 of r.txt)",
        "a pip requirement is not valid: numpy=>1",
        False,
    ),
    ("ERROR: x-1.whl is not a valid wheel filename.", "a wheel's file name is not valid: x-1.whl", False),
    (
        "CondaVerificationError: The package for x located at /y appears to be corrupted.",
        "cache of conda packages",
        True,
    ),
    ("error: command 'gcc' failed: No such file or directory", "a package could not be compiled (gcc)", False),
    ("ModuleNotFoundError: No module named 'distutils'", "the Python module distutils is missing", False),
    ("E: Unable to locate package nosuch", "apt-get does not know the package nosuch", False),
    ("make: *** No targets specified and no makefile found.  Stop.", "make finds no makefile", False),
    (
        "failed to create endpoint x on network bridge: could not find bridge docker0",
        "could not give the step a network",
        True,
    ),
]


@pytest.mark.parametrize(("log", "message", "passing"), CASES)
def test_a_usual_cause_is_recognised(log: str, message: str, passing: bool) -> None:
    cause = explain_failure(log.splitlines())
    assert message in cause.message
    assert cause.passing is passing
    assert cause.hint


def test_an_unknown_cause_quotes_the_last_meaningful_line_of_the_step() -> None:
    log = """#5 [2/2] RUN echo bad; exit 3
#5 0.066 very bad
#5 ERROR: process "/bin/sh -c echo bad; exit 3" did not complete successfully: exit code: 3
------
 > [2/2] RUN echo bad; exit 3:
0.066 very bad
------
Dockerfile:2
--------------------
   1 |     FROM x
   2 | >>> RUN echo bad; exit 3
--------------------
ERROR: failed to build: failed to solve: process "/bin/sh -c echo bad" did not complete successfully: exit code: 3"""
    assert explain_failure(log.splitlines()).message == "a step of the build failed with exit code 3: very bad"


@pytest.mark.parametrize("log", [[], [""], ["---"], ["#1"], ["\x00" * 5]])
def test_a_log_that_says_nothing_still_has_an_explanation(log: list[str]) -> None:
    assert explain_failure(log).message.startswith("the build failed")


def test_only_the_end_of_a_long_log_counts() -> None:
    assert "disk" not in explain_failure(["no space left on device", *["line"] * 300]).message


def test_a_message_stays_short() -> None:
    assert len(explain_failure(["x" * 100_000]).message) < 300


def test_a_damaged_cache_is_told_from_other_failures() -> None:
    assert is_damaged_cache(
        ["CondaVerificationError: The package for six located at /var/cache appears to be corrupted"]
    )
    assert not is_damaged_cache(["ResolvePackageNotFound: ", "  - six"])
