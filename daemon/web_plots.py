"""Numbers as small pictures: SVG without style or script, that says in words what it shows. Pure."""

from collections.abc import Sequence

from markupsafe import Markup, escape

from envkiln.daemon.text import size

_WIDTH, _HEIGHT = 640, 140
_LEFT, _BOTTOM = 52, 20


def seconds_plot(builds: Sequence[tuple[float, str, str]]) -> Markup:
    """Return a bar for each build: (seconds, state, environment), oldest first."""
    if not builds:
        return Markup('<p class="none">No build has ended yet.</p>')
    most = max(seconds for seconds, _, _ in builds) or 1.0
    bars = [
        _bar(number, len(builds), seconds / most, state, f"{environment}: {state} after {seconds:.1f} s")
        for number, (seconds, state, environment) in enumerate(builds)
    ]
    said = f"Seconds of the last {len(builds)} builds; the longest took {most:.1f} s."
    return _svg(said, bars, f"{most:.0f} s")


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
    return _svg(f"Builds saved by day, of all that were needed: {share:.0%} over {len(days)} days.", bars, "100%")


def disk_plot(parts: Sequence[tuple[str, int]]) -> Markup:
    """Return a bar for each part of the disk: (what, bytes)."""
    most = max((number for _, number in parts), default=0) or 1
    rows = [
        Markup('<text class="axis" x="0" y="{}">{}</text><rect class="built" x="70" y="{}" height="16" width="{}"/>'
               '<text class="axis" x="{}" y="{}">{}</text>').format(
            y + 13, what, y, round(number / most * 460, 1), 76 + round(number / most * 460, 1), y + 13, size(number)
        )
        for y, (what, number) in ((24 * index + 4, part) for index, part in enumerate(parts))
    ]  # fmt: skip
    said = "On the disk: " + ", ".join(f"{what} {size(number)}" for what, number in parts) + "."
    return _wrapped(said, rows, 24 * len(parts) + 8)


def _bar(number: int, count: int, share: float, state: str, said: str) -> Markup:
    slot = (_WIDTH - _LEFT) / max(count, 12)
    height = max(2.0, share * (_HEIGHT - _BOTTOM - 10))
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
        state, round(_LEFT + number * slot, 1), round(_HEIGHT - _BOTTOM - height, 1), round(slot * 0.8, 1),
        round(height, 1), said,
    )  # fmt: skip


def _svg(said: str, bars: Sequence[Markup], top: str) -> Markup:
    base = _HEIGHT - _BOTTOM
    axis = Markup('<line class="axis" x1="{}" y1="{}" x2="{}" y2="{}"/><text class="axis" x="0" y="16">{}</text>'
                  '<text class="axis" x="0" y="{}">0</text>').format(_LEFT, base, _WIDTH, base, top, base)  # fmt: skip
    return _wrapped(said, [axis, *bars], _HEIGHT)


def _wrapped(said: str, inside: Sequence[Markup], height: int) -> Markup:
    box = Markup('<svg class="plot" role="img" aria-label="{}" viewBox="0 0 {} {}">').format(
        escape(said), _WIDTH, height
    )
    return box + Markup("").join(inside) + Markup("</svg>")
