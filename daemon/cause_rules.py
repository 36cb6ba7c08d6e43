"""The causes of failed builds that are recognised, as a table (FACTS §4.1 B is Azure ML's list of the same ones)."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """A known cause. `{0}`, `{1}` in the message are the pattern's groups; `listed` adds the `- item` lines below."""

    pattern: re.Pattern[str]
    message: str
    hint: str
    passing: bool = False
    listed: bool = False


def _rule(pattern: str, message: str, hint: str, *, passing: bool = False, listed: bool = False) -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE), message, hint, passing, listed)


_CHANNELS = "check name, version and spelling, and that a channel of the definition has it for this platform"
_NETWORK = "check the network, the proxy settings and the address; it is tried again"
_DOCKERFILE = "correct the Dockerfile; it must be UTF-8"

# The first rule that matches counts. What makes other messages appear comes before them: a full disk and a lost
# connection show up as packages that are not found.
RULES = (
    _rule(
        r"no space left on device|disk quota exceeded",
        "the disk is full",
        "free some space: docker system df shows what takes it; it is tried again",
        passing=True,
    ),
    _rule(
        r"exit code:? 137\b|non-zero code: 137\b|\bcannot allocate memory\b|signal: killed|\bMemoryError\b"
        r"|OOMKilled|out of memory",
        "a step was killed, most likely for lack of memory",
        "pin more versions (the solver needs less), give the engine more memory, or build fewer environments at once",
        passing=True,
    ),
    _rule(
        r"Cannot connect to the Docker daemon|error during connect|failed to connect to the docker API",
        "the Docker engine does not answer",
        "is Docker running? (systemctl start docker)",
        passing=True,
    ),
    _rule(
        r"error while calling (?:deployment|statefulSet|configMap|pod)Client\.\w+ for \S+: (.*)",
        "the builder in Kubernetes could not be started: {0}",
        "look at its namespace (kubectl get pods,events) and at what its account may do; it is tried again",
        passing=True,
    ),
    _rule(
        r"failed to create endpoint|could not find bridge|failed to set up container networking",
        "the engine could not give the step a network",
        "restart Docker, or build in the network `host`",
        passing=True,
    ),
    _rule(
        r"Retry\(total=0.*?(?:host='|https?://)([^\s'\",/)]+)",
        "the network failed: {0} cannot be reached",
        _NETWORK,
        passing=True,
    ),
    _rule(
        r"client with IP '?([\w.:]+)'? is not allowed access|is not allowed access.*firewall",
        "the registry's firewall does not let this machine in: {0}",
        "add the address to the registry's network rules, or build where it may be reached",
    ),
    _rule(
        r"HTTP error 40[13] while getting https?://([\w.-]+\.blob\.core\.windows\.net)"
        r"|([\w.-]+\.blob\.core\.windows\.net)\S*: (?:403|Forbidden)|Server failed to authenticate the request",
        "the storage account refuses access: {0}",
        "its SAS is not valid or has expired: renew it, and use the address with the new one",
    ),
    _rule(
        r"\b(?:sh|bash): (?:line )?(?:\d+: )?(?:cannot open )?(=[\w.*]+): No such file",
        "a version with < or > stands unquoted on a command line: {0}",
        'quote it: conda install -y "pip<=20.1.1"',
    ),
    _rule(
        r"CondaHTTPError: HTTP (5\d\d|429|000) .*?(?:for url <([^>]+)>)?$|HTTP(?:Error| status)?:? (5\d\d|429)\b",
        "a server failed (HTTP {0})",
        _NETWORK,
        passing=True,
    ),
    _rule(
        r"CondaHTTPError: HTTP 40[13]|HTTP Error 40[13]|40[13] Client Error|HTTP status client error \(40[13]",
        "a package server wants credentials or does not grant access",
        "check the channel's or index's address and credentials",
    ),
    _rule(
        r"UnavailableInvalidChannel: (.*)|HTTP 404 \S* ?for channel (\S+)",
        "a channel does not exist or cannot be used: {0}",
        "check the spelling of the channels in the definition",
    ),
    _rule(
        r"failed to resolve source metadata for ([\w./:@-]+): .*"
        r"(?:lookup|dial tcp|i/o timeout|connection refused|TLS handshake)",
        "the base image cannot be pulled, its registry does not answer: {0}",
        _NETWORK,
        passing=True,
    ),
    _rule(
        r"temporary failure in name resolution|could not resolve host:? ?(\S*)|name or service not known"
        r"|getaddrinfo failed"
        r"|dns error|no such host|could not resolve '?([\w.-]+)",
        "a name could not be resolved to an address",
        _NETWORK,
        passing=True,
    ),
    _rule(
        r"CondaHTTPError|CondaSSLError|ConnectionError|ConnectTimeout|ReadTimeout|RemoteDisconnected"
        r"|IncompleteRead|TLS handshake timeout"
        r"|connection (?:refused|reset|timed out)|i/o timeout|network is unreachable|error sending request for url"
        r"|Failed to establish a new connection|Multi-download failed|SSLError|Could not connect to"
        r"|received unexpected HTTP status: 5\d\d|unexpected EOF|Input/output error",
        "the network failed",
        _NETWORK,
        passing=True,
    ),
    _rule(
        r"certificate verify failed|x509: certificate signed by unknown authority|self.signed certificate",
        "a server's certificate is not trusted",
        "behind a proxy with its own CA, name the CA bundle in envkiln's configuration",
    ),
    _rule(
        r"Read timed out|TimeoutError|timeout exceeded|deadline exceeded",
        "a download took too long",
        _NETWORK,
        passing=True,
    ),
    _rule(
        r".*unknown instruction: (\S+)|Dockerfile parse error:? ?(.*)|failed to parse dockerfile"
        r"|dockerfile parse error|syntax error - can't find",
        "the Dockerfile has an instruction that Docker does not know: {0}",
        _DOCKERFILE,
    ),
    _rule(
        r"(?:failed to read dockerfile|Cannot locate specified Dockerfile"
        r"|the Dockerfile \(.*\) cannot be empty|dockerfile.*no such file)",
        "the Dockerfile cannot be read or is empty",
        _DOCKERFILE,
    ),
    _rule(
        r"(?:COPY|ADD) failed: .*?(?:stat |file not found in build context[^:]*: stat )([^\s:]+)"
        r"|failed to (?:compute cache key|calculate checksum).*?\"?(/[^\s\":]+)\"?:? not found"
        r"|COPY failed: no source files",
        "a file to copy is not in the build context: {0}",
        "check the path, and that no ignore file (.amlignore, .dockerignore) leaves it out",
    ),
    _rule(
        r"(?:sh|bash|/bin/sh|line \d+): .*?\bconda: (?:command )?not found|exec: \"conda\": executable file not found",
        "the base image has no conda",
        "use a base image with conda on its PATH, or install it in the base Dockerfile",
    ),
    _rule(
        r"(?:/bin/)?(?:sh|bash): (?:line )?\d*:? ?(?:\d+: )?([\w./-]+): (?:command )?not found",
        "the command {0} is not in the image",
        "install it in an earlier step, or correct its name",
    ),
    _rule(
        r"'([\w./-]+)' is not recognized as an internal or external command",
        "the command {0} is not in the image",
        "install it in an earlier step, or correct its name",
    ),
    _rule(
        r"(?:/bin/)?(?:sh|bash): (?:line )?\d*:? ?(?:\d+: )?([\w./-]+): Permission denied",
        "the command {0} may not be run",
        "make it executable (chmod +x) in an earlier step, or before it is copied",
    ),
    _rule(
        r"pull access denied for ([^\s,]+)|manifest for ([^\s:]+\S*) not found|manifest unknown"
        r"|repository (\S+) not found"
        r"|(\S+): not found: manifest|failed to resolve source metadata for ([^\s]+): .*not found"
        r"|([^\s\"]+/[^\s\"]+): not found$",
        "the base image cannot be pulled: {0}",
        "check its name and tag; for a private registry: docker login",
    ),
    _rule(
        r"failed to resolve source metadata for (\S+?):? |no basic auth credentials|unauthorized: |401 Unauthorized",
        "the base image's registry does not grant access: {0}",
        "check the image's name; docker login to its registry",
    ),
    _rule(
        r"(?:ResolvePackageNotFound|PackagesNotFound\w*Error)",
        "packages are in none of the channels",
        _CHANNELS,
        listed=True,
    ),
    _rule(
        r"nothing provides (?:requested )?(.+?)(?: needed by .*)?$"
        r"|[├└]─ (\S+ [^ *]+)\S* does not exist \(perhaps a typo",
        "a package is in none of the channels: {0}",
        _CHANNELS,
    ),
    _rule(r"No candidates were found for ([^\s.]+\S*)", "a package is in none of the channels: {0}", _CHANNELS),
    _rule(
        r"(?:LibMambaUnsatisfiableError|UnsatisfiableError|conflicting requests"
        r"|cannot be installed because there are no viable options|Cannot solve the request)",
        "the packages do not fit together",
        "loosen or correct version pins; the log names the packages that exclude each other",
    ),
    _rule(
        r"No matching distribution found for (.+?)\s*$"
        r"|Could not find a version that satisfies the requirement (.+?)(?: \(from.*)?$",
        "pip finds no matching distribution for {0}",
        "check name and version, and that it has a release for this Python version",
    ),
    _rule(
        r"requires a different python|Requires-Python|requires Python '?[<>=]",
        "a package does not support this Python version",
        "change the Python version or the package's version",
    ),
    _rule(
        r"Invalid requirement: '?(.+?)'?(?: \(from.*)?$|InvalidVersion: (.*)|is not a valid (?:operator|requirement)",
        "a pip requirement is not valid: {0}",
        "write it as PEP 440/508 ask: name==1.2, name>=1,<2",
    ),
    _rule(
        r"InvalidMatchSpec: (?:Invalid spec )?(.*)|InvalidVersionSpec: (.*)|InvalidSpec:? (.*)"
        r"|invalid match ?spec:? ?(.*)|Invalid spec (.*)|CondaValueError: (could not parse '[^']*')",
        "a conda package specification is not valid: {0}",
        "write it as name=1.2 or name>=1,<2",
    ),
    _rule(
        r"(\S+) is not a valid wheel filename|Invalid wheel filename:? ?(\S*)",
        "a wheel's file name is not valid: {0}",
        "name it as PEP 491 asks",
    ),
    _rule(
        r"THESE PACKAGES DO NOT MATCH THE HASHES",
        "a package is not what its hash says",
        "update the hashes, or find out who changed the package",
    ),
    _rule(
        r"Could not open requirements file:.*?'([^']+)'|Could not install packages due to an OSError:.*?'([^']+)'",
        "pip cannot read {0}",
        "check the path, relative to the definition",
    ),
    _rule(
        r"CondaVerificationError|appears to be corrupted|InvalidArchiveError",
        "the cache of conda packages is damaged",
        "it is built again with a fresh cache",
        passing=True,
    ),
    _rule(
        r"User (?:for|name for) .*: *$|EOFError: EOF when reading a line|could not read Username"
        r"|CredentialProvider\]DeviceFlow|use a web browser to open the page",
        "a package server asked for a user name",
        "the address of a private feed needs its credentials",
    ),
    _rule(
        r"Cannot uninstall '?([^\s']+)'?.*distutils",
        "pip cannot replace {0}, which distutils installed",
        "pin the version that is in the base image",
    ),
    _rule(
        r"mpi4py.*(?:failed|error)|error: Cannot (?:find|compile) .*mpi|mpicc.*not found",
        "mpi4py cannot be built: there is no working MPI",
        "use a base image with MPI, or conda's mpi4py",
    ),
    _rule(
        r"Failed (?:building wheel for|to build) horovod|horovod.*(?:failed|error)",
        "horovod cannot be built: a compiler, CMake or a framework that it needs is missing",
        "install these first (horovod's installation guide names them), or use a base image that has horovod",
    ),
    _rule(
        r"error: command '?(\S*(?:gcc|g\+\+|cc|clang)\S*?)'? failed|unable to execute '(gcc|g\+\+|cc)'"
        r"|error: subprocess-exited-with-error|Failed building wheel for (\S+)",
        "a package could not be compiled ({0})",
        "use a version that has a wheel, conda's build of it, or install a compiler in the base image",
    ),
    _rule(
        r"(?:ModuleNotFoundError|ImportError): No module named '?([\w.]+)'?",
        "the Python module {0} is missing",
        "add the package that has it, or a version that fits this Python",
    ),
    _rule(r"UnicodeDecodeError|'utf-8' codec can't decode", "a file is not UTF-8", "save it as UTF-8"),
    _rule(
        r"No targets specified and no makefile found", "make finds no makefile", "check the directory that make runs in"
    ),
    _rule(
        r"E: (?:Unable to locate package|Package) '?(\S+?)'?(?: has no installation candidate)?$",
        "apt-get does not know the package {0}",
        "run apt-get update in the same step, and check the name",
    ),
    _rule(r"^E: (.+)", "apt-get failed: {0}", "run apt-get update in the same step; the log says more"),
    _rule(
        r"CondaEnvException: Pip failed|Pip subprocess error",
        "pip could not install the packages",
        "the log says more, above this message",
    ),
)
