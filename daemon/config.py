"""The configuration: defaults, TOML files, environment variables and flags made into one frozen `Config`."""

import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from envkiln.cache.definition import ImageReference
from envkiln.daemon.builder import BuildOptions
from envkiln.daemon.config_file import (
    MAX_BYTES,
    ConfigFile,
    Given,
    Layer,
    Owner,
    PatternSection,
    anchored,
    parse_config_file,
    unknown,
)
from envkiln.daemon.paths import FILE_NAME, STATE_VARIABLE
from envkiln.daemon.registry_address import RegistryAddress
from envkiln.daemon.root_list import root_labels, watched_roots
from envkiln.daemon.settings import BY_NAME, SETTINGS, ConfigError, Scope, Setting, nearest

__all__ = ["Config", "ConfigError", "EnvironmentSettings", "Explained", "RootConfig", "load_config", "read_file"]

_PREFIX = "ENVKILN_"


@dataclass(frozen=True, slots=True)
class EnvironmentSettings:
    """What holds for one environment: one field per setting of `Scope.ENVIRONMENT`; many share one value."""

    base_image: ImageReference
    base_image_digest: str
    builder: Literal["auto", "classic", "buildx"]
    buildx_builder: str | None
    aliases: tuple[str, ...]
    build: bool
    concurrency: int | None
    time_limit_s: float
    silence_limit_s: float
    platform: str | None
    build_network: str | None
    # A proxy's URL may hold a password, which must not reach a log by way of repr.
    http_proxy: str | None = field(repr=False)
    https_proxy: str | None = field(repr=False)
    no_proxy: str | None
    ca_bundle: Path | None
    pull: Literal["always", "when-needed", "never"] = "always"
    push: Literal["never", "ready", "registered"] = "never"
    notify_on: tuple[str, ...] = ()
    notify_desktop: bool = True
    # Whoever has the URL of a webhook may write to it.
    notify_webhook: str | None = field(default=None, repr=False)
    notify_webhook_secret: str | None = field(default=None, repr=False)
    notify_webhook_secret_file: Path | None = None
    notify_command: tuple[str, ...] | None = None
    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Where each value came from, by the name of its setting."""

    def build_options(self) -> BuildOptions:
        """Return the options of a build; raises ConfigError when the CA bundle is not a file now."""
        if self.ca_bundle is not None and not self.ca_bundle.is_file():
            raise ConfigError(
                f"ca_bundle is {str(self.ca_bundle)!r}, and there is no such file",
                source=self.sources.get("ca_bundle"),
                hint="put the certificates there, or correct the setting",
            )
        # Both spellings: curl reads http_proxy only in lower case, other programs only in upper case.
        given = {"http_proxy": self.http_proxy, "https_proxy": self.https_proxy, "no_proxy": self.no_proxy}
        proxies = {spelling: value for name, value in given.items() if value for spelling in (name.upper(), name)}
        return BuildOptions(self.platform, self.build_network, proxies, self.ca_bundle)


@dataclass(frozen=True, slots=True)
class RootConfig:
    """A watched root. `path` is absolute and resolved; `label` is short and unlike that of any other root."""

    path: Path
    label: str
    settle_ms: int
    settle_max_ms: int
    ignore: tuple[str, ...]
    requirements_python: str
    source: str
    patterns: tuple[PatternSection, ...] = field(repr=False, compare=False)
    """The user's, then the root's own: the last that matches wins, key by key."""
    values: Layer = field(repr=False, compare=False)
    """What holds in the root before patterns, variables and flags."""


class Explained(NamedTuple):
    """One effective value: `value` is plain (as JSON has it), with credentials hidden."""

    setting: Setting
    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that was configured, checked: one field per setting of `Scope.SERVICE`, and the roots."""

    roots: tuple[RootConfig, ...]
    concurrent_builds: int
    polling: Literal["auto", "always", "never"]
    poll_interval_s: float
    look_interval_s: float
    digest_refresh_s: float
    docker_host: str | None = field(repr=False)
    docker_config: Path | None
    workspace: Path | None
    registries: tuple[RegistryAddress, ...]
    trust_azureml_images: bool
    web_port: int
    stop_wait_s: float
    clean_up: bool
    clean_up_interval_s: float
    keep_last: int
    keep_days: float
    keep_images: tuple[str, ...]
    disk_budget_gb: float | None
    low_disk_gb: float
    build_cache_gb: float | None
    log_keep_days: float
    log_budget_gb: float
    below: Layer = field(repr=False, compare=False)
    """Defaults and the user's file."""
    above: Layer = field(repr=False, compare=False)
    """Variables and flags: over everything in files."""
    _shared: dict[tuple[Path, tuple[int, ...]], EnvironmentSettings] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def for_environment(self, root: RootConfig, environment_id: str) -> EnvironmentSettings:
        """Return what holds for an environment of `root`; the same object for all that match the same patterns."""
        matching = tuple(i for i, pattern in enumerate(root.patterns) if pattern.matches(environment_id))
        shared = self._shared.get((root.path, matching))
        if shared is None:
            given = self._effective(root, matching)
            rows = [setting.name for setting in SETTINGS if setting.scope is Scope.ENVIRONMENT]
            values = {name: given[name].value for name in rows}
            shared = EnvironmentSettings(**values, sources={name: given[name].source for name in rows})
            self._shared[root.path, matching] = shared
        return shared

    def explain(self, root: RootConfig | None = None, environment_id: str | None = None) -> list[Explained]:
        """Return every effective value and its source, in the order of the table.

        Without `root`, what holds outside of `[[root]]` tables, roots' own files and patterns; without
        `environment_id`, what holds outside of patterns. An id needs a root: ValueError.
        """
        matching: tuple[int, ...] = ()
        if environment_id is not None:
            if root is None:
                raise ValueError("an environment id says nothing without its root")
            matching = tuple(i for i, pattern in enumerate(root.patterns) if pattern.matches(environment_id))
        given = dict(self._effective(root, matching))
        sources = ", ".join(dict.fromkeys(each.source for each in self.roots))
        given["roots"] = Given(tuple(each.path for each in self.roots), sources or "default")
        return [
            Explained(setting, setting.shown(given[setting.name].value), given[setting.name].source)
            for setting in SETTINGS
        ]

    def _effective(self, root: RootConfig | None, matching: tuple[int, ...]) -> Layer:
        result = dict(root.values if root else self.below)
        if root:
            for index in matching:
                result.update(root.patterns[index].values)
        return {**result, **self.above}


def load_config(
    *,
    roots_from_flags: Sequence[Path],
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    user_file: Path,
    read: Callable[[Path], bytes | None],
    default_root: Path | None = None,
) -> Config:
    """Return the configuration; raises ConfigError for anything in it that is wrong.

    `flags` has values by setting name, as texts or typed; None and an empty tuple mean that a flag was not given.
    `read` returns a file's bytes, None when there is none (`read_file`). Roots are those of the flags, else of
    $ENVKILN_ROOTS, else of the user's file, else `default_root`. Only roots are looked at on the disk, to resolve
    links in their paths; relative paths in flags and variables start at the current directory.
    """
    home_text = environ.get("HOME")
    home = Path(home_text) if home_text and Path(home_text).is_absolute() else None
    data = read(user_file)
    user = ConfigFile()
    if data is not None:
        user = parse_config_file(data, user_file, Owner.USER, home=home, user_file=user_file)
    above = {**_from_variables(environ, home), **_from_flags(flags, home)}
    below = {**_defaults(), **user.values}
    _check_settle({**below, **above})

    found = watched_roots(roots_from_flags, above.pop("roots", None), user, default_root)
    labels = root_labels([given.value for given in found])
    roots = []
    for given in found:
        own = _own_file(given.value, user_file, read, home)
        values = dict(below)
        for section in user.roots:
            if section.path == given.value:
                values.update(section.values)
        values.update(own.values)
        effective = {**values, **above}
        _check_settle(effective)
        settled = {
            name: effective[name].value for name in ("settle_ms", "settle_max_ms", "ignore", "requirements_python")
        }
        patterns = user.patterns + own.patterns
        label, source = labels[given.value], given.source
        roots.append(
            RootConfig(given.value, label, **settled, source=source, patterns=patterns, values=values),
        )
    service = {
        setting.name: {**below, **above}[setting.name].value
        for setting in SETTINGS
        if setting.scope is Scope.SERVICE and setting.name != "roots"
    }
    return Config(tuple(roots), **service, below=below, above=above)


def read_file(path: Path) -> bytes | None:
    """Return the bytes of a configuration file, at most one more than may be, or None when there is none.

    Raises ConfigError when it is there and cannot be read, and when it is not a regular file.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigError("a configuration must be a file", source=str(path), hint="remove it or rename it")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        message = f"the configuration cannot be read: {error.strerror or error}"
        raise ConfigError(message, source=str(path), hint="check its permissions") from error


@cache
def _defaults() -> Layer:
    def typed(setting: Setting) -> Any:
        return setting.read(setting.default, "default")

    return {setting.name: Given(typed(setting), "default") for setting in SETTINGS}


def _from_variables(environ: Mapping[str, str], home: Path | None) -> dict[str, Given]:
    rows = {setting.environment_variable: setting for setting in SETTINGS}
    layer = {}
    for variable in sorted(name for name in environ if name.startswith(_PREFIX)):
        source = f"env {variable}"
        setting = rows.get(variable)
        if setting is not None:
            value = anchored(setting.read_text(environ[variable], source), Path.cwd(), home, source)
            layer[setting.name] = Given(value, source)
        elif variable != STATE_VARIABLE:
            # Only a near miss is refused: Kubernetes sets ENVKILN_PORT and more for a service called envkiln.
            name = nearest(variable.removeprefix(_PREFIX), BY_NAME, cutoff=0.8)
            if name:
                known = [BY_NAME[name].environment_variable]
                message = f"unknown variable {variable!r}; did you mean {known[0]!r}?"
                raise ConfigError(message, source=source)
    return layer


def _from_flags(flags: Mapping[str, Any], home: Path | None) -> dict[str, Given]:
    layer = {}
    for name, value in flags.items():
        if value is None or value == ():
            continue
        setting = BY_NAME.get(name)
        if setting is None:
            raise unknown("flag", name, list(BY_NAME), source=f"flag {name}")
        source = f"flag {setting.flag}"
        if isinstance(value, Path):
            value = str(value)  # noqa: PLW2901 -- checked like any other text
        typed = setting.read_text(value, source) if isinstance(value, str) else setting.read(value, source)
        layer[name] = Given(anchored(typed, Path.cwd(), home, source), source)
    return layer


def _own_file(root: Path, user_file: Path, read: Callable[[Path], bytes | None], home: Path | None) -> ConfigFile:
    path = root / FILE_NAME
    # The directory of the user's file may be a root: its file is the user's then, and has been read.
    data = None if path == user_file.resolve() else read(path)
    if data is None:
        return ConfigFile()
    return parse_config_file(data, path, Owner.ROOT, home=home, user_file=user_file)


def _check_settle(values: Layer) -> None:
    low, high = values["settle_ms"], values["settle_max_ms"]
    if high.value < low.value:
        message = f"settle_max_ms is {high.value}, below settle_ms, which is {low.value} ({low.source})"
        raise ConfigError(message, source=high.source, hint="a file is read after settle_max_ms at the latest")
