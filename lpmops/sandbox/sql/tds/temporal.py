"""Dates and times on the wire, to and from the stored texts of moments.py.

date counts days since 0001-01-01 in three bytes; time counts units of 10^-scale s since midnight; datetime2 is time
and date; datetimeoffset is both in UTC and the offset in minutes; datetime counts days since 1900 and 1/300 s;
smalldatetime days and minutes. Rules: MS-TDS 2.2.5.5.1.8 "Date/times".
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import date
from typing import Any

from lpmops.sandbox.sql import errors, moments
from lpmops.sandbox.sql.tds.fields import ProtocolError, invalid
from lpmops.sandbox.sql.types import SqlType

_BASE_1900 = date(1900, 1, 1).toordinal()
_LAST_DAY = date.max.toordinal() - 1
_LARGEST_OFFSET = 14 * 60


def time_size(scale: int) -> int:
    """Bytes of a time of day."""
    return 3 if scale <= 2 else 4 if scale <= 4 else 5


def encoder(kind: SqlType) -> Callable[[Any], bytes]:
    """From a stored date or time to its bytes, length first. Raises SqlError 40514 for a type without wire form."""
    match kind.name:
        case "date":
            return lambda value: b"\x03" + _date(value)
        case "time":
            head = bytes((time_size(kind.scale),))
            return lambda value: head + _time(value, kind.scale)
        case "datetime2":
            head = bytes((time_size(kind.scale) + 3,))
            return lambda value: head + _time(value[11:], kind.scale) + _date(value)
        case "datetimeoffset":
            return _offset_encoder(kind.scale)
        case "datetime":
            return _datetime
        case "smalldatetime":
            return _smalldatetime
    raise errors.unsupported_feature(f"result of type {kind.name}")


def _date(text: str) -> bytes:
    return (date(int(text[:4]), int(text[5:7]), int(text[8:10])).toordinal() - 1).to_bytes(3, "little")


def _time(text: str, scale: int) -> bytes:
    ticks: int = moments.time_ticks(text) // 10 ** (7 - scale)
    return ticks.to_bytes(time_size(scale), "little")


def _offset_encoder(scale: int) -> Callable[[str], bytes]:
    head = bytes((time_size(scale) + 5,))
    offset = struct.Struct("<h")
    return lambda value: head + _time(value[11:27], scale) + _date(value) + offset.pack(moments.offset_minutes(value))


def _datetime(text: str) -> bytes:
    day = moments.ticks_of(text) // moments.DAY - _BASE_1900
    thirds = (moments.time_ticks(text[11:]) * 300 + moments.SECOND // 2) // moments.SECOND
    return struct.pack("<BiI", 8, day, thirds)


def _smalldatetime(text: str) -> bytes:
    day = moments.ticks_of(text) // moments.DAY - _BASE_1900
    return struct.pack("<BHH", 4, day, moments.time_ticks(text[11:]) // (60 * moments.SECOND))


def decode(data: bytes, kind: SqlType) -> str:
    """The stored text. Raises ProtocolError for a wrong length, SqlError 8023 for a moment that does not exist."""
    match kind.name:
        case "date":
            return moments.timestamp_text(_days(_sized(data, 3)) * moments.DAY)[:10]
        case "time":
            return moments.time_text(_ticks(_sized(data, time_size(kind.scale)), kind.scale))
        case "datetime2":
            return moments.timestamp_text(_moment(data, kind.scale, 3))
        case "datetimeoffset":
            return _offset_text(data, kind.scale)
        case "datetime":
            return _datetime_text(_sized(data, 8))
        case "smalldatetime":
            days, minutes = struct.unpack("<HH", _sized(data, 4))
            if minutes >= 1440:
                raise invalid("smalldatetime")
            return moments.timestamp_text((days + _BASE_1900) * moments.DAY + minutes * 60 * moments.SECOND)
    raise errors.unsupported_feature(f"parameter of type {kind.name}")


def _sized(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise ProtocolError(f"a date or time of {len(data)} bytes where {size} are due")
    return data


def _days(data: bytes) -> int:
    days = int.from_bytes(data, "little")
    if days > _LAST_DAY:
        raise invalid("date")
    return days + 1


def _ticks(data: bytes, scale: int) -> int:
    ticks: int = int.from_bytes(data, "little") * 10 ** (7 - scale)
    if ticks >= moments.DAY:
        raise invalid("time")
    return ticks


def _moment(data: bytes, scale: int, tail: int) -> int:
    size = time_size(scale)
    _sized(data, size + tail)
    return _days(data[size : size + 3]) * moments.DAY + _ticks(data[:size], scale)


def _offset_text(data: bytes, scale: int) -> str:
    ticks = _moment(data, scale, 5)
    minutes = int.from_bytes(data[-2:], "little", signed=True)
    if abs(minutes) > _LARGEST_OFFSET:
        raise invalid("datetimeoffset")
    return moments.offset_stored(ticks, minutes)


def _datetime_text(data: bytes) -> str:
    days, thirds = struct.unpack("<iI", data)
    ordinal = days + _BASE_1900
    if thirds >= 86_400 * 300 or not date(1753, 1, 1).toordinal() <= ordinal <= date.max.toordinal():
        raise invalid("datetime")
    ticks = ordinal * moments.DAY + thirds * moments.SECOND // 300
    return moments.timestamp_text(moments.legacy_rounded(ticks))
