"""Where a registry is, and what an image is called there: pure."""

import re
from dataclasses import dataclass

from envkiln.cache.errors import EnvkilnError

_ADDRESS = re.compile(
    r"(?P<host>(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[::1\])(?::[0-9]{1,5})?)"
    r"(?P<prefix>(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)"
)
_LOOPBACK = re.compile(r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]+)?")
_DOCKER_HUB = "docker.io"


class AddressError(EnvkilnError):
    """A text that does not say where a registry is."""


@dataclass(frozen=True, slots=True)
class RegistryAddress:
    """`host` is a name or number with its port, if it has one; `prefix` stands before each repository, "" for none."""

    host: str
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> "RegistryAddress":
        """Return the address `host[:port][/prefix]`; raises AddressError."""
        match = _ADDRESS.fullmatch(text) if len(text) <= 200 else None
        # Docker takes a first part without a dot or a port for a user of Docker Hub.
        if match is None or not re.search(r"[.:]|^localhost$", match["host"]):
            hint = 'write host[:port][/prefix] in lower case, without "https://", as in "team.azurecr.io"'
            raise AddressError(f"{text[:120]!r} does not say where a registry is", hint=hint)
        return cls(match["host"], match["prefix"].removeprefix("/"))

    @property
    def url(self) -> str:
        """The beginning of every URL: plain HTTP only to this machine itself, as the Docker Engine does it."""
        if _LOOPBACK.fullmatch(self.host):
            return f"http://{self.host}"
        return f"https://{'registry-1.docker.io' if self.host == _DOCKER_HUB else self.host}"

    def path(self, name: str) -> str:
        """Return the repository of an image name in this registry's own terms (`/v2/<path>/...`)."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def repository(self, name: str) -> str:
        """Return the repository of an image name for a Docker Engine: `<registry>/azureml/azureml_<hash>`."""
        return f"{self.host}/{self.path(name)}"

    def __str__(self) -> str:
        return f"{self.host}/{self.prefix}" if self.prefix else self.host


def is_loopback(host: str) -> bool:
    """Return whether a host (with or without a port) is this machine itself."""
    return _LOOPBACK.fullmatch(host) is not None
