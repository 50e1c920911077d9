"""Moments and spans of time as people write them, for the command line and the app alike. Pure: now is handed in.

A moment is RFC 3339, `2026-03-02 03:10` (UTC), `2026-03-02`, `03:10` (the last such time), `20 min ago`, `-20m` or `now`; a span is `90`, `90s`,
`20 min`, `1h30m` or `500ms`. What can't be read, lies in the future or before the first kept moment is an error that says what would do.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta

from lpmops.errors import NotFoundError, UsageError
from lpmops.model import parse_time, to_data

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_WORDS = {
    "ms": ("millisecond", "milliseconds"),
    "s": ("sec", "secs", "second", "seconds"),
    "m": ("min", "mins", "minute", "minutes"),
    "h": ("hour", "hours"),
    "d": ("day", "days"),
}
_NAMES = {name: _UNITS[unit] for unit, words in _WORDS.items() for name in (unit, *words)}
_PART = re.compile(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([a-z]+)", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", re.ASCII)
_CLOCK = r"([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?"
_TIME_OF_DAY = re.compile(_CLOCK, re.ASCII)
_DATE = re.compile(rf"([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})(?:[tT ]+{_CLOCK}(\.[0-9]+)?\s*(z|Z|[+-][0-9]{{2}}:[0-9]{{2}})?)?", re.ASCII)  # fmt: skip
_FORMS = 'Write it as 2026-03-02T03:10:00Z, "2026-03-02 03:10" (UTC), 03:10 (the last such time), "20 min ago" or -20m.'
# A clock that was set back a little must not refuse what was seen a moment ago.
_LEEWAY = timedelta(seconds=5)


def span(text: str) -> float:
    """A span of time in seconds; a bare number counts seconds. Raises UsageError."""
    cleaned = text.strip().lower()
    if _NUMBER.fullmatch(cleaned):
        return float(cleaned)
    place, found = 0, 0.0
    while (part := _PART.match(cleaned, place)) is not None and part[2] in _NAMES:
        found += float(part[1]) * _NAMES[part[2]]
        place = part.end()
    if not place or place != len(cleaned):
        raise UsageError(f"{text!r} is no span of time.", hint="Write it as 90s, 2m, 1h30m or 500ms.")
    return found


def moment(text: str, now: datetime) -> datetime:
    """The moment that `text` names, aware and in UTC, never later than `now`. Raises UsageError."""
    found = _moment(text.strip(), now.astimezone(UTC))
    if found > now + _LEEWAY:
        raise UsageError(f"{to_data(found)} lies in the future: it is {to_data(now)} now.", hint=_FORMS)
    return min(found, now.astimezone(UTC))


def ahead(text: str, now: datetime) -> datetime:
    """A moment to come: written whole, or as a span from now (90m, 2h). Raises UsageError."""
    try:
        return parse_time(text.strip())
    except (ValueError, OverflowError):
        pass
    try:
        return now + timedelta(seconds=span(text))
    except (UsageError, OverflowError):
        raise UsageError(
            f"{text!r} is no time.", hint="Write it as 2026-11-23T04:00:00Z, or as a span from now: 90m, 2h."
        ) from None


def within(found: datetime, extent: tuple[datetime, datetime] | None, environment: str) -> datetime:
    """The same moment, where something was kept at or before it. `extent` are the first and the last kept moment. Raises NotFoundError."""
    if extent is None:
        raise NotFoundError(
            f"Nothing of {environment} was kept yet.", hint=f"Keep what is seen from now on: lpmops record -e {environment}"
        )  # fmt: skip
    first, last = extent
    if found < first:
        raise NotFoundError(
            f"Nothing of {environment} was kept at {to_data(found)}: that is before the first look at {to_data(first)}.",
            hint=f"What is kept reaches from {to_data(first)} to {to_data(last)}.",
        )
    return found


def _moment(text: str, now: datetime) -> datetime:
    lowered = text.lower()
    if lowered == "now":
        return now
    if lowered.endswith(" ago") or lowered.startswith("-"):
        return _before(now, text, lowered.removesuffix(" ago").removeprefix("-"))
    try:
        if clock := _TIME_OF_DAY.fullmatch(text):
            hour, minute, second = (int(part or 0) for part in clock.groups())
            today = datetime.combine(now.date(), time(hour, minute, second), UTC)
            return today if today <= now else today - timedelta(days=1)
        if date := _DATE.fullmatch(text):
            return _on_a_date(date)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is no moment: {error}.", hint=_FORMS) from error
    raise UsageError(f"{text!r} is no moment.", hint=_FORMS)


def _before(now: datetime, text: str, back: str) -> datetime:
    try:
        return now - timedelta(seconds=span(back))
    except UsageError as error:
        raise UsageError(f"{text!r} is no moment.", hint=_FORMS) from error
    except OverflowError as error:
        raise UsageError(f"{text!r} lies before all time.", hint=_FORMS) from error


def _on_a_date(found: re.Match[str]) -> datetime:
    date, hour, minute, second, fraction, offset = found.groups()
    digits = (fraction or "").removeprefix(".")[:6].ljust(6, "0")
    zone = "+00:00" if offset in (None, "z", "Z") else offset
    return datetime.fromisoformat(f"{date}T{hour or '00'}:{minute or '00'}:{second or '00'}.{digits}{zone}").astimezone(UTC)  # fmt: skip
