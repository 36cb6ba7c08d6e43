"""Numbers over time as small pictures: SVG without style or script, that says in words what it shows. Pure."""

import time
from collections.abc import Sequence

from markupsafe import Markup, escape

from envkiln.daemon.text import size

_WIDTH, _HEIGHT = 640, 160
_LEFT, _BOTTOM, _TOP = 56, 24, 12
_FLOOR = _HEIGHT - _BOTTOM


def seconds_plot(builds: Sequence[tuple[float, float, str, str]]) -> Markup:
    """Return a bar for each build: (start, seconds, state, environment), oldest first."""
    if not builds:
        return Markup('<p class="none">No build has ended yet.</p>')
    most = max(seconds for _, seconds, _, _ in builds) or 1.0
    bars = [
        _bar(number, len(builds), seconds / most, state, f"{environment}: {state} after {seconds:.1f} s, {_minute(at)}")
        for number, (at, seconds, state, environment) in enumerate(builds)
    ]
    said = f"Seconds of the last {len(builds)} builds; the longest took {most:.1f} s."
    return _svg(
        said, bars, f"{most:.1f} s" if most < 10 else f"{most:.0f} s", (_day(builds[0][0]), _day(builds[-1][0]))
    )


def skips_plot(days: Sequence[tuple[str, int, int]]) -> Markup:
    """Return a bar for each day: (day, builds saved, builds)."""
    if not days:
        return Markup('<p class="none">Nothing was counted yet.</p>')
    bars = []
    for number, (day, hits, misses) in enumerate(days):
        share = hits / (hits + misses) if hits + misses else 0.0
        bars.append(_bar(number, len(days), share, "built", f"{day}: {hits} saved, {misses} built"))
    hits, misses = sum(it[1] for it in days), sum(it[2] for it in days)
    share = hits / (hits + misses) if hits + misses else 0.0
    counted = "1 day" if len(days) == 1 else f"{len(days)} days"
    said = f"Builds saved by day, of all that were needed: {share:.0%} over {counted}."
    return _svg(said, bars, "100%", (days[0][0], days[-1][0]))


def disk_plot(samples: Sequence[tuple[float, int, int]]) -> Markup:
    """Return how the images, and the logs above them, grew: (time, bytes of images, bytes of logs), oldest first."""
    if not samples:
        return Markup('<p class="none">The disk was not looked at yet: that needs the engine.</p>')
    top = max(images + logs for _, images, logs in samples)
    most = top or 1
    first, last = samples[0][0], samples[-1][0]

    def point(at: float, number: int) -> tuple[float, float]:
        # A single sample is a line from side to side.
        share = (at - first) / (last - first) if last > first else 1.0
        return round(_LEFT + share * (_WIDTH - _LEFT), 1), round(_FLOOR - number / most * (_FLOOR - _TOP), 1)

    tops = {
        "logs": [point(at, images + logs) for at, images, logs in samples],
        "images": [point(at, images) for at, images, _ in samples],
    }
    areas = [_area(kind, [(float(_LEFT), line[0][1]), *line]) for kind, line in tops.items()]
    _, images, logs = samples[-1]
    before = f"; on {_day(first)} it was {size(samples[0][1] + samples[0][2])}" if len(samples) > 1 else ""
    said = f"On the disk: images {size(images)}, logs {size(logs)}{before}."
    return _svg(said, areas, size(top), (_minute(first), _minute(last)))


def _area(kind: str, line: Sequence[tuple[float, float]]) -> Markup:
    corners = [*line, (float(_WIDTH), float(_FLOOR)), (float(_LEFT), float(_FLOOR))]
    return Markup('<polygon class="{}" points="{}"><title>{}</title></polygon>').format(
        kind, " ".join(f"{x},{y}" for x, y in corners), kind
    )


def _bar(number: int, count: int, share: float, state: str, said: str) -> Markup:
    slot = (_WIDTH - _LEFT) / max(count, 12)
    height = max(2.0, share * (_FLOOR - _TOP))
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
        state, round(_LEFT + number * slot, 1), round(_FLOOR - height, 1), round(slot * 0.8, 1), round(height, 1), said
    )


def _svg(said: str, inside: Sequence[Markup], top: str, ends: tuple[str, str]) -> Markup:
    """Return a picture with its axes: `top` is what the upper end stands for, `ends` the oldest and the newest time."""
    box = Markup('<svg class="plot" role="img" aria-label="{}" viewBox="0 0 {} {}">').format(
        escape(said), _WIDTH, _HEIGHT
    )
    axes = Markup(
        '<line class="axis" x1="{0}" y1="{1}" x2="{2}" y2="{1}"/><text class="axis" x="0" y="16">{3}</text>'
        '<text class="axis" x="0" y="{1}">0</text><text class="axis" x="{0}" y="{4}">{5}</text>'
    ).format(_LEFT, _FLOOR, _WIDTH, top, _HEIGHT - 6, ends[0])
    newest = Markup('<text class="axis end" x="{}" y="{}">{}</text>').format(_WIDTH, _HEIGHT - 6, ends[1])
    return box + axes + (newest if ends[0] != ends[1] else "") + Markup("").join(inside) + Markup("</svg>")


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(at))


def _minute(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
