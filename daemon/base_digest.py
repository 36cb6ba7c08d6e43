"""The digest of a base image's tag for who names one environment: what was recorded, else what the engine says."""

from envkiln.cache.definition import ImageReference
from envkiln.cache.errors import EnvkilnError
from envkiln.daemon.engine import Engine
from envkiln.daemon.knowledge import recorded_digests
from envkiln.daemon.paths import Paths
from envkiln.daemon.text import one_line


class DigestAsked:
    """Returns the digest of a reference when called, None where nobody knows it; `problem` then says why."""

    def __init__(self, paths: Paths, docker_host: str | None) -> None:
        self.problem: str | None = None
        self._paths = paths
        self._docker_host = docker_host

    def __call__(self, reference: ImageReference) -> str | None:
        digest = recorded_digests(self._paths).get(str(reference))
        if digest is not None:
            return digest
        try:
            return Engine(self._docker_host).resolve_digest(str(reference))
        except EnvkilnError as error:
            self.problem = one_line(error.message)
            return None
