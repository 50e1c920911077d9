"""Numbers, durations and times as the screens write them.

Units are small and the same everywhere; None, NaN and infinity are unknown and are written as a dash, never as zero.
A negative duration comes from two clocks that disagree and is written as zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

UNKNOWN = "–"
_BARS = "▁▂▃▄▅▆▇█"
_STEADY = 2.2


def known(value: float | None) -> bool:
    """Whether `value` is a finite number."""
    return value is not None and math.isfinite(value)


def count(value: float | None) -> str:
    """A whole number with its thousands parted: 48,112."""
    return UNKNOWN if value is None or not math.isfinite(value) else f"{round(value):,}"


def short_count(value: float | None) -> str:
    """At most six cells: 9,204, then 41 k, 1.2 M, 18 G."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if abs(value) < 10_000:
        return count(value) if abs(value) >= 10 or value == round(value) else f"{value:.1f}"
    for unit, size in (("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)):
        scaled = value / size
        if abs(scaled) < 999.5:
            return f"{scaled:.1f} {unit}" if abs(scaled) < 9.95 else f"{scaled:.0f} {unit}"
    return f"{value:.0e}"


def rate(value: float | None) -> str:
    """Events a second: 940/s, 0.4/s, 12 k/s."""
    return UNKNOWN if value is None or not math.isfinite(value) else f"{short_count(value)}/s"


def duration(seconds: float | None) -> str:
    """<0.1 s, 3.2 s, 54.6 s, 12 min, 3.4 h, 6 d."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    if 0 < seconds < 0.05:
        return "<0.1 s"
    for limit, size, unit, decimals in ((99.95, 1, "s", 1), (7_200, 60, "min", 0), (172_800, 3_600, "h", 1)):
        if seconds < limit:
            scaled = max(0.0, seconds) / size
            return f"{scaled:.{decimals}f}".removesuffix(".0") + f" {unit}"
    return f"{seconds / 86_400:,.0f} d"


def exact_duration(seconds: float | None) -> str:
    """To the millisecond while that is worth reading: 1.104 s; a negative one says that two clocks differ."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    return f"{seconds:.3f} s" if abs(seconds) < 100 else ("-" if seconds < 0 else "") + duration(abs(seconds))


def tight_duration(seconds: float | None) -> str:
    """The same in at most four cells, for the arrows: 3.2s, 51s, 12m, 3h, 6d."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    value = max(0.0, seconds)
    if 0 < value < 0.05:
        return "<.1s"
    if value < 9.95:
        return f"{value:.1f}s"
    for limit, size, unit in ((99.5, 1, "s"), (5_970, 60, "m"), (356_400, 3_600, "h"), (86_313_600, 86_400, "d")):
        if value < limit:
            return f"{value / size:.0f}{unit}"
    return ">2y"


def age_seconds(now: datetime, at: datetime | None) -> float | None:
    """Seconds from `at` to `now`, None where `at` is unknown."""
    return None if at is None else (now - at).total_seconds()


def age(seconds: float | None) -> str:
    """How long ago, in whole seconds at the least: 4 s, 12 min."""
    return duration(None if seconds is None or not math.isfinite(seconds) else max(0.0, float(int(seconds))))


def clock(at: datetime | None, zone: tzinfo = UTC) -> str:
    """The time of day: 14:03:12Z in UTC, 16:03:12+02 elsewhere."""
    return UNKNOWN if at is None else f"{at.astimezone(zone):%H:%M:%S}{_offset(at, zone)}"


def moment(at: datetime | None, zone: tzinfo = UTC) -> str:
    """Date and time: 2026-11-23 14:03:12Z."""
    return UNKNOWN if at is None else f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}{_offset(at, zone)}"


def stamp(at: datetime | None, zone: tzinfo = UTC) -> str:
    """Date and time to the millisecond: 2026-11-23 14:03:12.345Z."""
    if at is None:
        return UNKNOWN
    local = at.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d}{_offset(at, zone)}"


def row_time(at: datetime | None, now: datetime, *, milliseconds: bool = False) -> str:
    """A time in a table, in the zone of `now`, at most twelve cells: 14:03:12, of another day Nov 22 14:03."""
    if at is None:
        return UNKNOWN
    local = at.astimezone(now.tzinfo)
    if local.date() != now.date():
        return f"{local:%b %d %H:%M}"
    return f"{local:%H:%M:%S}" + (f".{local.microsecond // 1000:03d}" if milliseconds else "")


def zone_name(now: datetime) -> str:
    """The zone of `now`: UTC, or its distance from that."""
    return "UTC" if now.tzinfo is UTC else f"UTC{_offset(now, now.tzinfo or UTC)}"


def _offset(at: datetime, zone: tzinfo) -> str:
    if zone is UTC:
        return "Z"
    text = f"{at.astimezone(zone):%z}"
    return text[:3] if text.endswith("00") else f"{text[:3]}:{text[3:5]}"


def sparkline(values: tuple[float | None, ...], width: int, rows: int = 1) -> tuple[str, ...]:
    """The newest `width` values as bars over `rows` lines, the uppermost first.

    A steady rate stands low so that rises and falls both show; unknown is a dot.
    """
    shown = values[-width:] if width > 0 else ()
    numbers = sorted(value for value in shown if value is not None and math.isfinite(value))
    top = max(numbers[-1], _STEADY * numbers[len(numbers) // 2]) if numbers else 0.0
    return tuple(row.rjust(max(0, width)) for row in bars(shown, top, rows))


def bars(values: Sequence[float | None], top: float, rows: int) -> tuple[str, ...]:
    """A bar for each value over `rows` lines, the uppermost first; one that reaches `top` fills them, unknown is a dot."""
    # The highest eighth of each bar, None where it is unknown.
    heights = [
        None
        if value is None or not math.isfinite(value)
        else int(min(max(0.0, value) / top, 1.0) * (8 * rows - 0.01))
        if top > 0
        else 0
        for value in values
    ]
    return tuple("".join(_bar(height, row) for height in heights) for row in range(rows - 1, -1, -1))


def _bar(height: int | None, row: int) -> str:
    """The part of a bar that is in the `row`th line from below."""
    if height is None:
        return " " if row else "·"
    return " " if row and height < 8 * row else _BARS[min(7, height - 8 * row)]
