"""What the service and its clients say to each other: one schema for the API, `--json`, events and webhooks.

Times are seconds since 1970, durations seconds, sizes bytes; what is not known is null. Fields are added, never
renamed: `API_VERSION` rises when a client of before would misread an answer.
"""

import msgspec

API_VERSION = 1


class ProgressView(msgspec.Struct, frozen=True, kw_only=True):
    """Where a running build is: step `step` of `steps`, in `phase`.

    `phase` is one of context, base, solve, download, link, pip, steps, export. `text` is the instruction or the
    last thing said, on one line. `estimate` is how long the build takes in all, by earlier ones of the environment.
    """

    phase: str
    step: int | None = None
    steps: int | None = None
    text: str = ""
    estimate: float | None = None


class BuildView(msgspec.Struct, frozen=True, kw_only=True):
    """One build. `state` is running, built, failed, cancelled or interrupted.

    `estimate` is how long it takes in all, by earlier builds of the environment. `phases` are the seconds spent in
    each phase. `definition` is the text that was built, without credentials.
    """

    build: str
    environment: str
    image: str
    state: str
    started: float
    forced: bool = False
    seconds: float | None = None
    estimate: float | None = None
    progress: ProgressView | None = None
    problem: str | None = None
    hint: str | None = None
    turn: str | None = None
    log: str | None = None
    size: int | None = None
    phases: dict[str, float] = {}
    definition: str | None = None


class EnvironmentView(msgspec.Struct, frozen=True, kw_only=True):
    """One environment in short.

    `image` is what the file as it is now asks for, `last_good` the last image that was ready, to which the
    `aliases` point. `state` is invalid, queued, building, ready, failed or named. `tags` are all tags of the image
    that is there; `digest` is that of a registry, where one is known. `registry` is the repository of the registry
    that has the image, with `registry_size` bytes in `registry_layers` layers; without `image_id` it is only there.
    """

    environment: str
    state: str
    since: float
    reason: str
    hint: str | None = None
    turn: str | None = None
    file: str
    root: str
    format: str | None = None
    conda_environment: str | None = None
    image: str | None = None
    base_image: str | None = None
    recipe: str | None = None
    aliases: tuple[str, ...] = ()
    image_id: str | None = None
    image_size: int | None = None
    image_created: float | None = None
    digest: str | None = None
    tags: tuple[str, ...] = ()
    last_good: str | None = None
    registry: str | None = None
    registry_size: int | None = None
    registry_layers: int | None = None
    pushing: bool = False
    warnings: tuple[str, ...] = ()
    paused: bool = False
    build: str | None = None
    """The build that runs for it."""


class EnvironmentDetail(EnvironmentView, frozen=True, kw_only=True):
    """One environment with all about it: `definition` is its canonical text, `changes` what differs, in words, from
    the text of the image before; `builds` are the last ones, newest first, and one of an environment that shares the
    image while it runs."""

    definition: str | None = None
    changes: tuple[str, ...] = ()
    builds: tuple[BuildView, ...] = ()


class ImageView(msgspec.Struct, frozen=True, kw_only=True):
    """An image in the engine, and the environments that ask for it now (none: it is of an earlier text)."""

    image: str
    id: str
    tags: tuple[str, ...]
    size: int
    created: float
    digest: str | None = None
    registry: str | None = None
    """The repository of the registry that has it, where that is known."""
    pushing: bool = False
    environments: tuple[str, ...] = ()


class EngineView(msgspec.Struct, frozen=True):
    connected: bool
    description: str = ""
    problem: str | None = None
    hint: str | None = None


class RootView(msgspec.Struct, frozen=True):
    """A watched root: `mode` is inotify or polling; `problems` says what cannot be looked at, by path."""

    path: str
    label: str
    mode: str
    problems: dict[str, str]


class ServiceView(msgspec.Struct, frozen=True, kw_only=True):
    """The service. `counts` has the number of environments by state, `queue` of images that wait for a build.

    `problems` are those of the service itself, such as a disk that is full. While it is `starting`, the first look
    at the roots is not done and environments may be missing. While it is `paused`, no build starts.
    """

    version: str
    api: int
    process: int
    started: float
    starting: bool
    paused: bool
    engine: EngineView
    roots: tuple[RootView, ...]
    problems: tuple[str, ...]
    counts: dict[str, int]
    queue: int


class DayView(msgspec.Struct, frozen=True, kw_only=True):
    """The counts of one day (UTC, `2026-11-24`)."""

    day: str
    hits: int = 0
    misses: int = 0
    failed: int = 0
    build_seconds: float = 0.0
    seconds_saved: float = 0.0


class DiskSample(msgspec.Struct, frozen=True, kw_only=True):
    """What was on the disk at a time. `image_bytes` is counted as in `StatsView`."""

    at: float
    image_bytes: int
    log_bytes: int


class StatsView(msgspec.Struct, frozen=True, kw_only=True):
    """Counted since `since`. A hit is a new or changed text whose image was there: a build saved. A miss is a build.

    `unchanged` are saves that changed nothing that counts. `seconds_saved` is what the hits would have taken, by the
    earlier builds of the same image or environment. `image_bytes` counts each image once, layers that images
    share once per image: it is what `docker images` adds up to. `disk` says how both sizes grew, oldest first: one
    sample an hour for two days, one a day for 90.
    """

    since: float
    hits: int
    misses: int
    failed: int
    cancelled: int
    unchanged: int
    builds_saved: int
    seconds_saved: float
    build_seconds: float
    images: int
    image_bytes: int
    log_bytes: int
    removed: int = 0
    freed_bytes: int = 0
    """By clean-ups: `removed` images."""
    days: tuple[DayView, ...] = ()
    disk: tuple[DiskSample, ...] = ()


class EnvironmentPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a list: `total` counts everything that fits the filter, `next` is the `after` of the next page."""

    items: tuple[EnvironmentView, ...]
    total: int
    counts: dict[str, int]
    next: str | None = None


class BuildPage(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[BuildView, ...]
    total: int
    next: str | None = None


class ImagePage(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[ImageView, ...]
    total: int
    next: str | None = None


class VersionView(msgspec.Struct, frozen=True, kw_only=True):
    """A registered version. `tag` is what its image is tagged, where it is there; `base_image` has the digest that was
    known when it was registered. Archived versions are never `latest`. `there` says whether the engine has the image,
    null where that was not asked."""

    name: str
    version: int
    reference: str
    latest: bool
    archived: bool = False
    description: str = ""
    image: str
    tag: str
    there: bool | None = None
    conda_environment: str | None = None
    base_image: str | None = None
    format: str
    recipe: str


class StoredFileView(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a registered version: its text, or the SHA-256 of its bytes, or where it links to, or a directory."""

    path: str
    text: str | None = None
    sha256: str | None = None
    link: str | None = None
    directory: bool = False
    executable: bool = False


class VersionDetail(VersionView, frozen=True, kw_only=True):
    """A registered version with its files; `content` is equal for equal definitions."""

    main: str
    content: str
    files: tuple[StoredFileView, ...] = ()


class VersionPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of registered versions; `problems` say which files of the workspace cannot be read, and why."""

    items: tuple[VersionView, ...]
    total: int
    problems: tuple[str, ...] = ()
    next: str | None = None


class ImageVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """An image that a clean-up removed or kept, and why. `frees` are the bytes that nothing else holds without it."""

    image: str
    id: str
    tags: tuple[str, ...]
    size: int
    frees: int = 0
    reason: str


class CleanUpView(msgspec.Struct, frozen=True, kw_only=True):
    """What a clean-up removed, or with `dry_run` would remove, and what it kept.

    `freed_bytes` counts a layer only where no image is left that has it; `image_bytes` are the layers that envkiln's
    images hold then, each once, without those of other images. `cache_bytes` were freed in the engine's build cache,
    `log_bytes` of `logs` old logs. `problems` say what could not be done, or why nothing was. In an event, `kept` is
    empty.
    """

    dry_run: bool
    at: float
    seconds: float = 0.0
    removed: tuple[ImageVerdict, ...] = ()
    kept: tuple[ImageVerdict, ...] = ()
    freed_bytes: int = 0
    image_bytes: int = 0
    cache_bytes: int = 0
    logs: int = 0
    log_bytes: int = 0
    problems: tuple[str, ...] = ()


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The beginning of the event stream, in parts: environments until `more` is false; `service` in the last part."""

    environments: tuple[EnvironmentView, ...]
    builds: tuple[BuildView, ...] = ()
    service: ServiceView | None = None
    more: bool = False


class Gone(msgspec.Struct, frozen=True):
    """An environment is no longer there."""

    environment: str


class Saved(msgspec.Struct, frozen=True):
    """A definition was read again and nothing that counts had changed."""

    environment: str


class WebLink(msgspec.Struct, frozen=True):
    """Where the web page is; whoever has the link has the token."""

    url: str


class ErrorView(msgspec.Struct, frozen=True):
    """Why a request was not done, and what to do next."""

    error: str
    hint: str | None = None
