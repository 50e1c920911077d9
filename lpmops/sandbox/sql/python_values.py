"""Python values of callers in the process, as stored values of a T-SQL type, and back. Failures are those of conversion.py."""

from __future__ import annotations

import math
import uuid
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from lpmops.sandbox.sql import moments
from lpmops.sandbox.sql.conversion import Stored, converter, decimal_text
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.types import SqlType, datetime2, infer


def stored_of(value: Any) -> Stored:
    """The stored form of a Python value in the type that `infer` gives it."""
    if value is None or isinstance(value, (str, float)):
        if isinstance(value, float) and (math.isnan(value) or math.isinf(value)):
            raise SqlError(8023, "The supplied value is not a valid instance of data type float.", 16, 1)
        return value
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, Decimal):
        return decimal_text(value, infer(value))
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return moments.from_datetime(value)
        offset = value.utcoffset()
        assert offset is not None
        return moments.from_datetime(value) + moments.offset_text(int(offset.total_seconds() // 60))
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return value.isoformat("microseconds")[:15] + "0"
    if isinstance(value, uuid.UUID):
        return str(value).upper()
    raise TypeError(f"no T-SQL type for a value of {type(value).__name__}")


def from_python(value: Any, kind: SqlType) -> Stored:
    """A Python value in the stored form of a type; text longer than the type is left whole, for the caller to refuse."""
    if value is None:
        return None
    source = infer(value)
    if source.is_character and kind.is_character:
        return str(value)
    if source.name == "datetimeoffset" and kind.is_timestamp:
        # An aware datetime for a column without offset means the moment, in UTC.
        return converter(datetime2(7), kind)(moments.from_datetime(value))
    return converter(source, kind)(stored_of(value))


def to_python(value: Any, kind: SqlType) -> Any:
    """A stored value as the Python value that a driver would give."""
    if value is None:
        return None
    match kind.name:
        case "bit":
            return bool(value)
        case "decimal":
            return Decimal(value)
        case "datetime2" | "datetime" | "smalldatetime":
            return moments.to_datetime(value)
        case "datetimeoffset":
            return moments.to_aware(value)
        case "date":
            return date.fromisoformat(value)
        case "time":
            return time.fromisoformat(value[:15])
        case "uniqueidentifier":
            return uuid.UUID(value)
    return value
