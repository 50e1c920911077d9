"""How Azure writes times and identifiers.

Each service has its own habit (recorded): Resource Manager and namespaces write up to seven digits and Z, Event Hubs writes milliseconds and on a
GET forgets the Z, Stream Analytics writes milliseconds and Z, metrics write whole seconds. Trailing zeros are dropped.
"""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta

_ISO = re.compile(
    r"^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?\s*(Z|z|[+-]\d\d:?\d\d)?$", re.ASCII
)
_DURATION = re.compile(
    r"^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$", re.ASCII | re.IGNORECASE
)


def new_guid() -> str:
    """A random identifier in Azure's usual spelling."""
    return str(uuid.uuid4())


def ticks(moment: datetime) -> str:
    """Up to seven digits of a second and Z, trailing zeros dropped."""
    return _trimmed(moment, 6) + "Z"


def milliseconds(moment: datetime, zulu: bool = True) -> str:
    """Up to three digits of a second; `zulu=False` leaves the Z out, as Event Hubs does on a GET."""
    return _trimmed(moment, 3) + ("Z" if zulu else "")


def seconds(moment: datetime) -> str:
    """Whole seconds and Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _trimmed(moment: datetime, digits: int) -> str:
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[: 20 + digits]
    return text.rstrip("0").rstrip(".")


def parse_time(text: str) -> datetime:
    """An ISO 8601 time, UTC where it names no offset. ValueError when it is none."""
    found = _ISO.match(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not an ISO 8601 time")
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    moment = datetime(
        int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
        int((fraction or "0").ljust(6, "0")[:6]), UTC,
    )  # fmt: skip
    if offset and offset not in "Zz":
        away = timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))
        moment = moment - away if offset[0] == "+" else moment + away
    return moment


def parse_duration(text: str) -> timedelta:
    """An ISO 8601 duration of weeks, days, hours, minutes and seconds. ValueError when it is none."""
    found = _DURATION.match(text.strip())
    if not found or not any(found.groups()):
        raise ValueError(f"{text!r} is not an ISO 8601 duration")
    weeks, days, hours, minutes, secs = (float(part or 0) for part in found.groups())
    return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=secs)


def parse_timespan(text: str, now: datetime) -> tuple[datetime, datetime]:
    """`start/end`, `start/duration`, `duration/end` or a duration that ends now. ValueError otherwise."""
    first, slash, second = text.partition("/")
    if not slash:
        return now - parse_duration(first), now
    if first[:1] in "Pp":
        end = parse_time(second)
        return end - parse_duration(first), end
    start = parse_time(first)
    return (start, start + parse_duration(second)) if second[:1] in "Pp" else (start, parse_time(second))
