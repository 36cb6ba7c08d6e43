"""A docker-py client for an address: imported late, since importing docker takes longer than `envkiln status` may."""

import os
from typing import Any

import docker
from docker.context import ContextAPI
from docker.utils import kwargs_from_env

from envkiln.daemon.engine_values import DEFAULT_URL


class _Client(docker.APIClient):
    """docker-py's client, which trusts the authority of DOCKER_CERT_PATH or the context and no other."""

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        # Left alone, requests prefers REQUESTS_CA_BUNDLE, which is there for the web and knows no engine.
        return super().merge_environment_settings(url, proxies, stream, self.verify if verify is None else verify, cert)


def address_settings(url: str | None) -> dict[str, Any]:
    """Return docker-py's settings for the engine at `url`; without one, for that of the `docker` command.

    The `docker` command goes by DOCKER_HOST (with DOCKER_TLS_VERIFY and DOCKER_CERT_PATH), DOCKER_CONTEXT and
    `docker context use`, in this order. Raises docker.errors.TLSParameterError for certificates that are not there.
    """
    url = url or os.environ.get("DOCKER_HOST")
    settings: dict[str, Any] = {}
    settings |= kwargs_from_env(environment={**os.environ, "DOCKER_HOST": url}) if url else _context_settings()
    settings["use_ssh_client"] = str(settings.get("base_url", "")).startswith("ssh://")
    return settings


def connect(settings: dict[str, Any], timeout_s: float) -> docker.APIClient:
    """Return a client that speaks the engine's version; raises what docker-py and requests raise."""
    # docker-py's annotation wants whole seconds; requests, which gets the number, does not.
    return _Client(**{"timeout": timeout_s, "version": "auto", **settings})


def _context_settings() -> dict[str, Any]:
    """The address that `docker context use` chose; none of it when that cannot be read."""
    try:
        name = os.environ.get("DOCKER_CONTEXT")
        context = ContextAPI.get_context(name) if name else ContextAPI.get_current_context()
        host = context.Host if context else None
        tls = context.TLSConfig if context else None
    except Exception:  # noqa: BLE001 -- a damaged context file: docker-py raises whatever its parsing met
        return {"base_url": DEFAULT_URL}
    return {"base_url": host or DEFAULT_URL} | ({"tls": tls} if tls else {})
