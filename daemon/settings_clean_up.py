"""The rows of the table of settings that say what is kept and for how long."""

from envkiln.daemon.kinds import BOOL, PINS, number, seconds, whole
from envkiln.daemon.setting import Scope, Setting

_DAY = 86_400.0
_MOST_DAYS = 3650
_MOST_GB = 1_000_000

CLEAN_UP: tuple[Setting, ...] = (
    Setting(
        "clean_up",
        BOOL,
        default=True,
        scope=Scope.SERVICE,
        doc="Whether the service removes images by itself; without it, only `envkiln gc` does.",
    ),
    Setting("clean_up_interval_s", seconds(60, 30 * _DAY), _DAY, Scope.SERVICE, "Time between two clean-ups."),
    Setting("keep_last", whole(0, 1000), 5, Scope.SERVICE, "How many images of each environment stay in any case."),
    Setting(
        "keep_days",
        number("days", 0, _MOST_DAYS),
        30.0,
        Scope.SERVICE,
        "For so many days after its last use an image stays in any case.",
    ),
    Setting(
        "keep_images",
        PINS,
        (),
        Scope.SERVICE,
        "Images that always stay, as shell patterns for environments, tags or names; `envkiln pin` adds to them.",
        option="--keep-image",
    ),
    Setting(
        "disk_budget_gb",
        number("GB", 0, _MOST_GB),
        None,
        Scope.SERVICE,
        "So many GB all images may take; above it go those that were used longest ago, also if they would be kept.",
    ),
    Setting(
        "low_disk_gb",
        number("GB", 0, _MOST_GB),
        5.0,
        Scope.SERVICE,
        "When the engine's disk has fewer GB left, images go as above a budget; 0: never.",
    ),
    Setting(
        "build_cache_gb",
        number("GB", 0, _MOST_GB),
        None,
        Scope.SERVICE,
        "A clean-up cuts the engine's whole build cache down to so many GB; without it, it is left alone.",
    ),
    Setting("log_keep_days", number("days", 0, _MOST_DAYS), 90.0, Scope.SERVICE, "For so many days logs stay."),
    Setting(
        "log_budget_gb",
        number("GB", 0, _MOST_GB),
        1.0,
        Scope.SERVICE,
        "So many GB all logs may take; above it the oldest go.",
    ),
)
