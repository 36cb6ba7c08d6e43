"""Who we are to a registry: read from Docker's own configuration when it is needed, never stored and never shown."""

import base64
import os
from dataclasses import dataclass, field
from pathlib import Path

from envkiln.cache.errors import EnvkilnError, Turn


class CredentialsUnreadable(EnvkilnError):  # noqa: N818 -- what it is
    """Docker's configuration, or the credential helper that it names, does not say who we are."""

    turn = Turn.USER


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user and a password, or an identity token instead (then both are empty)."""

    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of the header `Authorization` for HTTP's own log-in."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def for_engine(self) -> dict[str, str]:
        """Return what the Docker Engine takes with a pull or push."""
        if self.identity_token:
            return {"identitytoken": self.identity_token}
        return {"username": self.user, "password": self.password}


def find_credentials(host: str, docker_config: Path | None) -> Credentials | None:
    """Return the log-in of `docker login <host>`, None where there is none.

    Reads `config.json` in `docker_config` (None: where the `docker` command has it), and asks the credential helper
    that it names. Raises CredentialsUnreadable; no secret is in the message.
    """
    # Late: importing docker takes longer than the whole of `envkiln status` may.
    from docker.auth import load_config  # noqa: PLC0415
    from docker.errors import DockerException  # noqa: PLC0415

    path = docker_config / "config.json" if docker_config else None
    try:
        if path is not None and not path.exists():
            return None
        found = load_config(str(path) if path else None).resolve_authconfig(host)
    except (DockerException, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        # The text of an error may quote what it could not read.
        where = path or Path(os.environ.get("DOCKER_CONFIG", "~/.docker")) / "config.json"
        raise CredentialsUnreadable(
            f"the log-in for {host} cannot be read from {where} or its credential helper ({type(error).__name__})",
            hint=f"docker login {host}",
        ) from error
    if not found:
        return None
    # docker-py writes these keys in either case, depending on where they come from.
    values = {str(key).lower(): str(value) for key, value in found.items() if value}
    if values.get("identitytoken"):
        return Credentials(identity_token=values["identitytoken"])
    if not values.get("username"):
        return None
    return Credentials(values["username"], values.get("password", ""))
