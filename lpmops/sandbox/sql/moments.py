"""Dates and times as SQL Server counts them: in ticks of 100 ns, written as ISO text of fixed width.

Stored forms, all ordered by plain text comparison: date `YYYY-MM-DD`; time `HH:MM:SS.fffffff`; datetime2, datetime and smalldatetime
`YYYY-MM-DD HH:MM:SS.fffffff`; datetimeoffset the UTC moment in that form followed by `+HH:MM`. Rules are those of Microsoft's pages on the date and
time types, DATEADD, DATEDIFF, DATEPART and CAST/CONVERT styles. Text in other than ISO 8601 or ODBC form is refused with 241.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.errors import SqlError

SECOND = 10_000_000
DAY = 86_400 * SECOND
_EPOCH_TEXT = "1900-01-01"
_LAST = date.max.toordinal() * DAY + DAY

_TEXT = re.compile(
    r"\s*(?:(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})|(?P<c>\d{8}))?"
    r"(?:(?:^|[ T]\s*)(?P<h>\d{1,2}):(?P<n>\d{2})(?::(?P<s>\d{2})(?:\.(?P<f>\d{1,9}))?)?"
    r"\s*(?P<z>Z|[+-]\d{2}:\d{2})?)?\s*",
)

PARTS = {
    "year": "year", "yy": "year", "yyyy": "year", "quarter": "quarter", "qq": "quarter", "q": "quarter", "month": "month", "mm": "month",
    "m": "month", "dayofyear": "dayofyear", "dy": "dayofyear", "y": "dayofyear", "day": "day", "dd": "day", "d": "day", "week": "week",
    "wk": "week", "ww": "week", "weekday": "weekday", "dw": "weekday", "iso_week": "iso_week", "isowk": "iso_week", "hour": "hour",
    "hh": "hour", "minute": "minute", "mi": "minute", "n": "minute", "second": "second", "ss": "second", "s": "second",
    "millisecond": "millisecond", "ms": "millisecond", "microsecond": "microsecond", "mcs": "microsecond", "nanosecond": "nanosecond",
    "ns": "nanosecond", "tzoffset": "tzoffset", "tz": "tzoffset",
}  # fmt: skip

_UNIT_TICKS = {"day": DAY, "dayofyear": DAY, "weekday": DAY, "week": 7 * DAY, "hour": 3600 * SECOND, "minute": 60 * SECOND,
               "second": SECOND, "millisecond": SECOND // 1000, "microsecond": 10}  # fmt: skip


def ticks_of(text: str) -> int:
    """100 ns since the day before 0001-01-01 of a stored timestamp (or of a date, at midnight)."""
    days = date(int(text[:4]), int(text[5:7]), int(text[8:10])).toordinal()
    return days * DAY + (time_ticks(text[11:27]) if len(text) > 10 else 0)


def time_ticks(text: str) -> int:
    """100 ns since midnight of `HH:MM:SS.fffffff`."""
    return (int(text[:2]) * 3600 + int(text[3:5]) * 60 + int(text[6:8])) * SECOND + int(text[9:16])


def time_text(ticks: int) -> str:
    """The stored form of a time of day."""
    seconds, fraction = divmod(ticks, SECOND)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:07}"


def timestamp_text(ticks: int) -> str:
    """The stored form of a moment. Raises SqlError 517 outside the years 1 to 9999."""
    if not DAY <= ticks < _LAST:
        raise SqlError(517, "Adding a value to a 'datetime2' column caused an overflow.", 16, 1)
    days, rest = divmod(ticks, DAY)
    return f"{date.fromordinal(days).isoformat()} {time_text(rest)}"


def rounded(ticks: int, scale: int) -> int:
    """Half up to `scale` fraction digits of a second."""
    unit: int = 10 ** (7 - scale)
    return (ticks + unit // 2) // unit * unit


def legacy_rounded(ticks: int) -> int:
    """To the 1/300 s of the type datetime, which reads as .000, .003 or .007."""
    days, rest = divmod(ticks, DAY)
    thirds = (rest * 300 + SECOND // 2) // SECOND
    milliseconds = (thirds * 1000 * 2 + 300) // 600
    return days * DAY + milliseconds * (SECOND // 1000)


def parse(text: str) -> tuple[int, int | None, bool]:
    """(ticks as written, offset in minutes or None, whether a date was written). Raises SqlError 241."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise errors.datetime_conversion()
    found = match.groupdict()
    try:
        if found["c"]:
            day = date(int(found["c"][:4]), int(found["c"][4:6]), int(found["c"][6:]))
        elif found["y"]:
            day = date(int(found["y"]), int(found["m"]), int(found["d"]))
        else:
            day = date(1900, 1, 1)
    except ValueError:
        raise errors.datetime_conversion() from None
    hour, minute, second = (int(found[key] or 0) for key in "hns")
    fraction = found["f"] or ""
    if hour > 23 or minute > 59 or second > 59 or len(fraction) > 7:
        raise errors.datetime_conversion()
    ticks = day.toordinal() * DAY + (hour * 3600 + minute * 60 + second) * SECOND + int(fraction.ljust(7, "0"))
    offset = None
    if found["z"]:
        sign = found["z"]
        offset = 0 if sign == "Z" else (1 if sign[0] == "+" else -1) * (int(sign[1:3]) * 60 + int(sign[4:6]))
        if abs(offset) > 14 * 60:
            raise errors.datetime_conversion()
    return ticks, offset, bool(found["c"] or found["y"])


def fraction_digits(text: str) -> int:
    """How many digits follow the second's point."""
    match = _TEXT.fullmatch(text)
    return len(match["f"] or "") if match else 0


def offset_text(minutes: int) -> str:
    """`+HH:MM`."""
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def offset_minutes(stored: str) -> int:
    """Minutes of the offset of a stored datetimeoffset."""
    return (-1 if stored[27] == "-" else 1) * (int(stored[28:30]) * 60 + int(stored[31:33]))


def offset_stored(utc_ticks: int, minutes: int) -> str:
    """The stored form of a datetimeoffset."""
    return timestamp_text(utc_ticks) + offset_text(minutes)


def local_of(stored: str) -> str:
    """The clock's reading in its own offset, as a stored timestamp."""
    return timestamp_text(ticks_of(stored) + offset_minutes(stored) * 60 * SECOND)


def from_datetime(value: datetime) -> str:
    """A stored timestamp; an aware value is brought to UTC first."""
    if value.tzinfo is not None:
        value = value.astimezone(UTC)
        value = value.replace(tzinfo=None)
    return value.isoformat(" ", "microseconds") + "0"


def to_datetime(stored: str) -> datetime:
    """A naive datetime, to the microsecond (Python knows no finer)."""
    return datetime.fromisoformat(stored[:26])


def to_aware(stored: str) -> datetime:
    """A datetimeoffset as an aware datetime in its own offset."""
    zone = timezone(timedelta(minutes=offset_minutes(stored)))
    return datetime.fromisoformat(stored[:26]).replace(tzinfo=UTC).astimezone(zone)


def part_name(written: str) -> str:
    """The datepart that a name or abbreviation stands for. Raises SqlError 155."""
    try:
        return PARTS[written.lower()]
    except KeyError:
        raise SqlError(155, f"'{written}' is not a recognized datepart option.", 15, 1) from None


def add(part: str, number: int, stored: str) -> str:
    """DATEADD on a stored timestamp. Raises SqlError 517 on overflow."""
    if part in ("year", "quarter", "month"):
        months = number * {"year": 12, "quarter": 3, "month": 1}[part]
        index = int(stored[:4]) * 12 + int(stored[5:7]) - 1 + months
        year, month = divmod(index, 12)
        if not 1 <= year <= 9999:
            raise SqlError(517, "Adding a value to a 'datetime2' column caused an overflow.", 16, 1)
        day = min(int(stored[8:10]), _month_days(year, month + 1))
        return f"{year:04}-{month + 1:02}-{day:02}{stored[10:]}"
    if part == "nanosecond":
        return timestamp_text(ticks_of(stored) + (number + 50) // 100)
    return timestamp_text(ticks_of(stored) + number * _UNIT_TICKS[part])


def _month_days(year: int, month: int) -> int:
    return 31 if month == 12 else (date(year, month + 1, 1) - timedelta(days=1)).day


def difference(part: str, start: str, end: str) -> int:
    """DATEDIFF_BIG: how many boundaries of `part` lie between two stored timestamps. Weeks begin on Sunday, whatever DATEFIRST says."""
    if part in ("year", "quarter", "month"):
        months = [int(text[:4]) * 12 + int(text[5:7]) - 1 for text in (start, end)]
        unit = {"year": 12, "quarter": 3, "month": 1}[part]
        return months[1] // unit - months[0] // unit
    first, last = ticks_of(start), ticks_of(end)
    if part == "week":
        return last // DAY // 7 - first // DAY // 7
    if part == "nanosecond":
        return (last - first) * 100
    unit = _UNIT_TICKS["day" if part == "weekday" else part]
    return last // unit - first // unit


def part(name: str, stored: str) -> int:
    """DATEPART of a stored timestamp; DATEFIRST is 7 (us_english)."""
    day = date(int(stored[:4]), int(stored[5:7]), int(stored[8:10]))
    fraction = int(stored[20:27])
    match name:
        case "year":
            return day.year
        case "quarter":
            return (day.month + 2) // 3
        case "month":
            return day.month
        case "day":
            return day.day
        case "dayofyear":
            return day.timetuple().tm_yday
        case "weekday":
            return day.isoweekday() % 7 + 1
        case "iso_week":
            return day.isocalendar().week
        case "week":
            first = date(day.year, 1, 1).isoweekday() % 7
            return (day.timetuple().tm_yday + first - 1) // 7 + 1
        case "hour":
            return int(stored[11:13])
        case "minute":
            return int(stored[14:16])
        case "second":
            return int(stored[17:19])
        case "millisecond":
            return fraction // 10_000
        case "microsecond":
            return fraction // 10
        case "nanosecond":
            return fraction * 100
    raise SqlError(
        9810, f"The datepart {name} is not supported by date function datepart for data type datetime2.", 16, 1
    )


def truncate(name: str, stored: str) -> str:
    """DATETRUNC of a stored timestamp."""
    day = date(int(stored[:4]), int(stored[5:7]), int(stored[8:10]))
    starts = {"year": date(day.year, 1, 1), "quarter": date(day.year, (day.month - 1) // 3 * 3 + 1, 1), "month": day.replace(day=1),
              "iso_week": day - timedelta(days=day.isoweekday() - 1), "week": day - timedelta(days=day.isoweekday() % 7)}  # fmt: skip
    if name in starts:
        return f"{starts[name].isoformat()} 00:00:00.0000000"
    unit = _UNIT_TICKS.get(name)
    if unit is None or name == "weekday":
        raise SqlError(
            9810, f"The datepart {name} is not supported by date function datetrunc for data type datetime2.", 16, 1
        )
    return timestamp_text(ticks_of(stored) // unit * unit)


def scaled(text: str, scale: int) -> str:
    """A stored time or timestamp as SQL Server shows it, with `scale` fraction digits."""
    point = text.index(".")
    return text[: point + 1 + scale] if scale else text[:point]


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(maxsize=1)
def _styles() -> dict[int, str]:
    return {1: "mm/dd/yy", 2: "yy.mm.dd", 3: "dd/mm/yy", 4: "dd.mm.yy", 5: "dd-mm-yy", 10: "mm-dd-yy", 11: "yy/mm/dd", 12: "yymmdd",
            101: "mm/dd/yyyy", 102: "yyyy.mm.dd", 103: "dd/mm/yyyy", 104: "dd.mm.yyyy", 105: "dd-mm-yyyy", 110: "mm-dd-yyyy",
            111: "yyyy/mm/dd", 112: "yyyymmdd", 23: "yyyy-mm-dd"}  # fmt: skip


def formatted(stored: str, scale: int, style: int, source: str) -> str:
    """CONVERT(character, timestamp, style). Raises SqlError 281 for a style outside the subset."""
    if style in _styles():
        year, month, day = stored[:4], stored[5:7], stored[8:10]
        shape = _styles()[style].replace("yyyy", year).replace("yy", year[2:])
        return shape.replace("mm", month).replace("dd", day)
    shown = scaled(stored, scale)
    match style:
        case 20 | 120:
            return stored[:19]
        case 21 | 25 | 121:
            return shown
        case 126 | 127:
            # Style 126 leaves out a fraction of zero for datetime only.
            bare = source == "datetime" and stored[20:27] == "0000000"
            return (stored[:19] if bare else shown).replace(" ", "T")
        case 8 | 24 | 108:
            return stored[11:19]
        case 14 | 114:
            return shown[11:19] + (":" + shown[20:] if scale else "")
        case 0 | 100:
            hour = int(stored[11:13])
            clock = f"{hour % 12 or 12:2}:{stored[14:16]}{'AM' if hour < 12 else 'PM'}"
            return f"{_MONTHS[int(stored[5:7]) - 1]} {int(stored[8:10]):2} {stored[:4]} {clock}"
    raise SqlError(
        281, f"{style} is not a valid style number when converting from {source} to a character string.", 16, 1
    )
