"""The table of settings: one row per setting, from which documentation, checks, variables and flags are made."""

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from envkiln.cache.errors import EnvkilnError
from envkiln.cache.redact import redact
from envkiln.daemon.kinds import (
    ALIASES,
    BOOL,
    IGNORE,
    IMAGE,
    PATH,
    PATHS,
    PROXY,
    WORD,
    Kind,
    choice,
    seconds,
    text,
    whole,
)

_DAY = 86_400.0


class ConfigError(EnvkilnError):
    """A configuration that cannot be used.

    `source` says where: `file:line`, `env NAME` or `flag --name`; `str(error)` is `source: message`. Credentials in
    URLs are replaced by `***` in the message.
    """

    def __init__(self, message: str, *, source: str | None = None, hint: str | None = None) -> None:
        super().__init__(redact(message), hint=hint)
        self.source = source

    def __str__(self) -> str:
        return f"{self.source}: {self.message}" if self.source else self.message


class Scope(Enum):
    """For how much one value of a setting holds."""

    SERVICE = "service"
    """The whole daemon."""

    ROOT = "root"
    """A watched root."""

    ENVIRONMENT = "environment"
    """Set for all, per root and per pattern."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One row. `default` is as TOML has it; None means that the setting may be absent, and `""` makes it so again.

    A `secret` value is never repeated in an error.
    """

    name: str
    kind: Kind
    default: Any
    scope: Scope
    doc: str
    option: str = ""
    secret: bool = False

    @property
    def environment_variable(self) -> str:
        return f"ENVKILN_{self.name.upper()}"

    @property
    def flag(self) -> str:
        """The flag of the command line; that of a list may be given more than once."""
        return self.option or f"--{self.name.replace('_', '-')}"

    def read(self, value: Any, source: str) -> Any:
        """Return the typed value of what TOML gave; raises ConfigError."""
        if self.default is None and value in ("", None):
            return None
        try:
            return self.kind.check(value)
        except ValueError as error:
            shown = "" if self.secret else f", not {redact(toml_text(value))[:120]}"
            reason = f": {error}" if str(error) else ""
            raise ConfigError(f"{self.name} expects {self.kind.expects}{shown}{reason}", source=source) from None

    def read_text(self, text: str, source: str) -> Any:
        """Return the typed value of a variable's or flag's text; raises ConfigError."""
        try:
            value = self.kind.from_text(text)
        except ValueError:
            value = text
        return self.read(value, source)


def nearest(word: str, words: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the one of `words` that `word` was probably meant to be."""
    found = difflib.get_close_matches(word.lower().replace("-", "_"), list(words), n=1, cutoff=cutoff)
    return found[0] if found else None


def toml_text(value: Any) -> str:
    """Return `value` (plain, as `plain` has it) as it would be written in TOML; None is `""`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps("" if value is None else value, ensure_ascii=False, default=str)


def plain(value: Any) -> Any:
    """Return a typed value as JSON has it, with credentials hidden."""
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else redact(str(value))


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "roots",
        PATHS,
        (),
        Scope.SERVICE,
        "The directories to watch, besides those of `[[root]]`.",
        option="--root",
    ),
    Setting("concurrent_builds", whole(1, 64), 2, Scope.SERVICE, "How many builds may run at the same time."),
    Setting(
        "polling",
        choice("auto", "always", "never"),
        "auto",
        Scope.SERVICE,
        "Whether to look for changes at intervals: `auto` does so where the file system sends no events.",
    ),
    Setting("poll_interval_s", seconds(0.05, _DAY), 2.0, Scope.SERVICE, "Time between two looks when polling."),
    Setting(
        "look_interval_s",
        seconds(1, _DAY),
        300.0,
        Scope.SERVICE,
        "Time between two full looks, which find what events have missed.",
    ),
    Setting(
        "digest_refresh_s",
        seconds(60, 30 * _DAY),
        _DAY,
        Scope.SERVICE,
        "How long the digest of a base image counts as fresh.",
    ),
    Setting(
        "docker_host",
        text('an address such as "unix:///run/docker.sock"', r"[a-z]+://\S+"),
        None,
        Scope.SERVICE,
        "The Docker Engine; without it, what the `docker` command would use.",
    ),
    Setting(
        "docker_config",
        PATH,
        None,
        Scope.SERVICE,
        "The directory of Docker's `config.json`; without it, what the `docker` command would use.",
    ),
    Setting(
        "settle_ms",
        whole(0, 60_000),
        50,
        Scope.ROOT,
        "How long a file must be unchanged before it is read, in milliseconds.",
    ),
    Setting(
        "settle_max_ms",
        whole(0, 600_000),
        2000,
        Scope.ROOT,
        "After how many milliseconds a file that keeps changing is read all the same; not below `settle_ms`.",
    ),
    Setting(
        "ignore",
        IGNORE,
        (".git/", ".venv/", "__pycache__/", "node_modules/"),
        Scope.ROOT,
        "Directories not to look into, as patterns of `.gitignore` from the root.",
    ),
    Setting(
        "base_image",
        IMAGE,
        "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1",
        Scope.ENVIRONMENT,
        "The base image of definitions that name none.",
    ),
    Setting(
        "base_image_digest",
        choice("pin", "ignore"),
        "pin",
        Scope.ENVIRONMENT,
        "Whether the digest of the base image enters the name of the image (`pin`) or not (`ignore`).",
    ),
    Setting(
        "requirements_python",
        text('a Python version in quotes, such as "3.8.13"', r"3\.[0-9]{1,3}(\.[0-9]{1,3})?"),
        "3.8.13",
        Scope.ROOT,
        "The Python of environments that are only a requirements file.",
    ),
    Setting(
        "builder",
        choice("auto", "classic", "buildx"),
        "auto",
        Scope.ENVIRONMENT,
        "What builds: the engine's classic builder, `docker buildx`, or `auto`: the better one that is there.",
    ),
    Setting(
        "buildx_builder",
        text("the name of a builder", WORD),
        None,
        Scope.ENVIRONMENT,
        "The builder of `docker buildx ls` to use; without it, the current one.",
    ),
    Setting(
        "aliases",
        ALIASES,
        ("{id}:latest",),
        Scope.ENVIRONMENT,
        "Tags that follow the environment; `{id}` and `{name}` stand for the environment's.",
        option="--alias",
    ),
    Setting(
        "build",
        BOOL,
        default=True,
        scope=Scope.ENVIRONMENT,
        doc="Whether to build; without it, environments are watched and named only.",
    ),
    Setting(
        "concurrency",
        whole(1, 64),
        None,
        Scope.ENVIRONMENT,
        "How many builds may run at the same time of the environments that this very line holds for.",
    ),
    Setting(
        "time_limit_s",
        seconds(1, 30 * _DAY),
        5400.0,
        Scope.ENVIRONMENT,
        "After this time a build is stopped; the default is that of Azure ML's own build tasks.",
    ),
    Setting(
        "silence_limit_s",
        seconds(1, 30 * _DAY),
        1800.0,
        Scope.ENVIRONMENT,
        "After this time without a line of output a build is stopped.",
    ),
    Setting(
        "platform",
        text('a platform such as "linux/amd64"', r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?"),
        None,
        Scope.ENVIRONMENT,
        "The platform to build for; without it, the engine's own.",
    ),
    Setting(
        "build_network",
        text('a network such as "host"', WORD + rf"(:{WORD})?"),
        None,
        Scope.ENVIRONMENT,
        "The network of build steps, as `docker build --network` has it.",
    ),
    Setting(
        "http_proxy",
        PROXY,
        None,
        Scope.ENVIRONMENT,
        "The proxy of builds for `http://`; the service's own `HTTP_PROXY` is not taken.",
        secret=True,
    ),
    Setting(
        "https_proxy",
        PROXY,
        None,
        Scope.ENVIRONMENT,
        "The proxy of builds for `https://`; the service's own `HTTPS_PROXY` is not taken.",
        secret=True,
    ),
    Setting(
        "no_proxy",
        text('hosts such as "localhost,.example.com"', r"[^\s\0]+"),
        None,
        Scope.ENVIRONMENT,
        "The hosts that builds reach without the proxy, with commas between.",
    ),
    Setting(
        "ca_bundle",
        PATH,
        None,
        Scope.ENVIRONMENT,
        "A file of additional certificates (PEM) that builds trust; it must exist when a build starts.",
    ),
)

BY_NAME = {setting.name: setting for setting in SETTINGS}
