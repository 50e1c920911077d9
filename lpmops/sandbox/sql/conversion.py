"""Values from one T-SQL type to another, in the stored form.

Stored forms: whole numbers and bit as int, float and real as float, decimal as text with exactly its scale, characters as text, binary as bytes,
uniqueidentifier as upper-case text, dates and times as in moments.py. `converter` gives the function for a pair of types (CAST, CONVERT, assignment);
python_values.py makes stored values of Python's and back. Failures are SQL Server's: 220, 241, 245, 8114, 8115, 529, 206.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from lpmops.sandbox.sql import errors, moments
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.types import INTEGER_RANGE, MAX, UNICODE, UNIQUEIDENTIFIER, SqlType, infer, resolve

Stored = int | float | str | bytes | None
Converter = Callable[[Any], Stored]

CONTEXT = Context(prec=80, rounding=ROUND_HALF_UP)
_WHOLE = re.compile(r"[+-]?\d+")
_GUID = re.compile(r"\{?([0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12})\}?")
_BYTES = {"bit": 1, "tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}


def decimal_text(value: Decimal, kind: SqlType, *, truncate: bool = False) -> str:
    """The stored form of a decimal of that type. Raises SqlError 8115 where its digits do not fit."""
    quantum = Decimal(1).scaleb(-kind.scale)
    fixed = value.quantize(quantum, rounding=ROUND_DOWN if truncate else ROUND_HALF_UP, context=CONTEXT)
    if fixed.copy_abs() >= Decimal(10) ** (kind.precision - kind.scale):
        raise errors.overflow("numeric")
    return format(fixed if fixed else fixed.copy_abs(), "f")


def float_text(value: float) -> str:
    """A float as CAST to characters shows it: six digits, exponent of three."""
    text = f"{value:.6g}"
    if "e" in text:
        mantissa, _, exponent = text.partition("e")
        text = f"{mantissa}e{exponent[0]}{int(exponent[1:]):03}"
    return text


def check_range(value: int, name: str) -> int:
    """The value, if it fits. Raises SqlError 220 or 8115."""
    low, high = INTEGER_RANGE[name]
    if not low <= value <= high:
        if name in ("tinyint", "smallint"):
            raise SqlError(220, f"Arithmetic overflow error for data type {name}, value = {value}.", 16, 2)
        raise errors.overflow(name)
    return value


def clip(text: str, kind: SqlType) -> str:
    """Text cut to the type's length, padded where the type is fixed, and in code page 1252 where it is neither Unicode nor UTF-8."""
    if kind.is_utf8:
        return _clip_utf8(text, kind)
    if kind.name not in UNICODE and not text.isascii():
        text = text.encode("cp1252", "replace").decode("cp1252")
    if kind.length != MAX:
        if kind.name in UNICODE and not text.isascii():
            text = text.encode("utf-16-le", "surrogatepass")[: kind.length * 2].decode("utf-16-le", "replace")
        elif len(text) > kind.length:
            text = text[: kind.length]
        if kind.name in ("char", "nchar"):
            text = text.ljust(kind.length)
    return text


def _clip_utf8(text: str, kind: SqlType) -> str:
    """The length is one of bytes; a character that does not fit whole is left out."""
    if kind.length == MAX:
        return text
    data = text.encode("utf-8", "replace")[: kind.length]
    kept = data.decode("utf-8", "ignore")
    return kept + " " * (kind.length - len(kept.encode())) if kind.name == "char" else kept


def described(kind: SqlType) -> str:
    """A type as `declared` reads it: its declaration, and its collation where its bytes depend on it."""
    return f"{kind.declaration()} {kind.collation}" if kind.is_utf8 else kind.declaration()


def declared(text: str) -> SqlType:
    """The type of a declaration such as `nvarchar(64)`; the inverse of `described`."""
    text, _, collation = text.partition(" ")
    if collation:
        return replace(declared(text), collation=collation)
    name, _, rest = text.partition("(")
    sizes = rest.rstrip(")").split(",") if rest else []
    return resolve(name, tuple(MAX if size.strip() == "max" else int(size) for size in sizes))


@lru_cache(maxsize=4096)
def converter(source: SqlType, target: SqlType, style: int | None = None) -> Converter:
    """The function from a stored value (never None) of one type to another.

    Raises SqlError 529 at once where SQL Server has no such conversion; the function raises SqlError for values that do not convert.
    """
    if target.name == "sql_variant" or (source == target):
        return _same
    if source.name == "sql_variant":
        return lambda value: converter(infer(value), target, style)(value)
    if target.is_integer:
        return _to_integer(source, target)
    if target.is_character:
        return _to_character(source, target, style)
    if target.is_binary:
        return _to_binary(source, target, style)
    if target.is_temporal:
        return _to_temporal(source, target)
    if target.name == "decimal":
        return _to_decimal(source, target)
    if target.name in ("float", "real"):
        return _to_float(source, target)
    if target.name == "uniqueidentifier":
        return _to_guid(source)
    raise _no_conversion(source, target)


def _no_conversion(source: SqlType, target: SqlType) -> SqlError:
    text = f"Explicit conversion from data type {source.name} to {target.name} is not allowed."
    return SqlError(529, text, 16, 1)


def _same(value: Stored) -> Stored:
    return value


def _to_integer(source: SqlType, target: SqlType) -> Converter:
    name = target.name

    def fit(number: int) -> int:
        return int(number != 0) if name == "bit" else check_range(number, name)

    def from_text(value: str) -> int:
        text = value.strip()
        if name == "bit" and text.lower() in ("true", "false"):
            return int(text.lower() == "true")
        if text == "":
            return 0
        if not _WHOLE.fullmatch(text) or not text.isascii():
            raise (
                errors.converting_type(source.name, name)
                if name == "bigint"
                else errors.conversion_failed(value, source.name, name)
            )
        number = int(text)
        if name != "bit" and not INTEGER_RANGE[name][0] <= number <= INTEGER_RANGE[name][1]:
            text = f"The conversion of the {source.name} value '{value}' overflowed an {name} column."
            raise SqlError(248, text, 16, 1) if name == "int" else errors.overflow(name)
        return fit(number)

    if source.is_character:
        return from_text
    if source.is_integer:
        return fit
    if source.name == "decimal":
        return lambda value: fit(int(Decimal(value)))
    if source.name in ("float", "real"):
        return lambda value: fit(int(value))
    if source.is_binary:
        size, signed = _BYTES[name], name not in ("bit", "tinyint")
        # Bytes that are fewer than the type's are its last ones: 0xFF is 255, never -1.
        return lambda value: fit(int.from_bytes(value[-size:].rjust(size, b"\0"), "big", signed=signed))
    raise _no_conversion(source, target)


def _to_decimal(source: SqlType, target: SqlType) -> Converter:
    def from_text(value: str) -> str:
        try:
            number = Decimal(value.strip()) if value.isascii() and "_" not in value else None
        except InvalidOperation:
            number = None
        if number is None or not number.is_finite():
            raise errors.converting_type(source.name, "numeric")
        return decimal_text(number, target)

    if source.is_character:
        return from_text
    if source.is_integer or source.name == "decimal":
        return lambda value: decimal_text(Decimal(value), target)
    if source.name in ("float", "real"):
        return lambda value: decimal_text(Decimal(repr(value)), target)
    raise _no_conversion(source, target)


def _to_float(source: SqlType, target: SqlType) -> Converter:
    def fit(number: float) -> float:
        if math.isinf(number) or math.isnan(number):
            raise errors.overflow(target.name)
        if target.name == "real":
            return single(number)
        return number

    def from_text(value: str) -> float:
        text = value.strip()
        if text == "":
            return 0.0
        try:
            number = float(text) if text.isascii() and "_" not in text else math.nan
        except ValueError:
            number = math.nan
        if math.isnan(number) or math.isinf(number):
            raise errors.converting_type(source.name, target.name)
        return fit(number)

    if source.is_character:
        return from_text
    if source.is_number:
        return lambda value: fit(float(value))
    raise _no_conversion(source, target)


def single(number: float) -> float:
    """To the nearest 32-bit float. Raises SqlError 8115 beyond its range."""
    import struct

    try:
        return float(struct.unpack("<f", struct.pack("<f", number))[0])
    except OverflowError:
        raise errors.overflow("real") from None


def _to_character(source: SqlType, target: SqlType, style: int | None) -> Converter:
    if source.is_character:
        return lambda value: clip(value, target)
    if source.is_binary:
        return _binary_to_character(target, style or 0)
    if source.is_temporal:
        shown = _temporal_text(source, style)
        return lambda value: clip(shown(value), target)

    def from_number(value: Any) -> str:
        text = float_text(value) if source.name in ("float", "real") else str(value)
        if target.length != MAX and len(text) > target.length:
            if target.name in ("varchar", "char") and source.is_integer:
                return clip("*", target)
            raise errors.overflow(target.name)
        return clip(text, target)

    def from_guid(value: str) -> str:
        if target.length != MAX and target.length < 36:
            raise SqlError(8170, "Insufficient result space to convert uniqueidentifier value to char.", 16, 2)
        return clip(value, target)

    return from_guid if source.name == "uniqueidentifier" else from_number


def _binary_to_character(target: SqlType, style: int) -> Converter:
    if style in (1, 2):
        return lambda value: clip(("0x" if style == 1 else "") + value.hex().upper(), target)
    if style != 0:
        raise SqlError(
            281, f"{style} is not a valid style number when converting from varbinary to a character string.", 16, 1
        )
    if target.name in UNICODE:
        return lambda value: clip((value + b"\0" * (len(value) % 2)).decode("utf-16-le", "replace"), target)
    coding = "utf-8" if target.is_utf8 else "cp1252"
    return lambda value: clip(value.decode(coding, "replace"), target)


def _temporal_text(source: SqlType, style: int | None) -> Callable[[str], str]:
    name, scale = source.name, source.scale
    if name == "date":
        if style is None:
            return lambda value: value
        return lambda value: moments.formatted(f"{value} 00:00:00.0000000", 0, style, "date")[
            : 10 if style in (120, 121, 126, 127, 20, 21) else None
        ]
    if name == "time":
        if style not in (None, 0, 20, 21, 108, 114, 120, 121, 126):
            raise SqlError(
                281, f"{style} is not a valid style number when converting from time to a character string.", 16, 1
            )
        return lambda value: value[:8] if style in (20, 108, 120) else moments.scaled(value, scale)
    if name == "datetimeoffset":
        if style not in (None, 121, 126, 127):
            raise SqlError(
                281,
                f"{style} is not a valid style number when converting from datetimeoffset to a character string.",
                16,
                1,
            )

        def with_offset(value: str) -> str:
            if style == 127:
                return moments.scaled(value[:27], scale).replace(" ", "T") + "Z"
            local = moments.scaled(moments.local_of(value), scale)
            return local.replace(" ", "T") + value[27:] if style == 126 else f"{local} {value[27:]}"

        return with_offset
    chosen = style if style is not None else (121 if name == "datetime2" else 0)
    return lambda value: moments.formatted(value, 3 if name == "datetime" else scale, chosen, name)


def _to_binary(source: SqlType, target: SqlType, style: int | None) -> Converter:
    def fit(value: bytes) -> bytes:
        if target.length == MAX:
            return value
        value = value[: target.length]
        return value.ljust(target.length, b"\0") if target.name == "binary" else value

    if source.is_binary:
        return fit
    if source.is_character and style in (1, 2):

        def from_hex(value: str) -> bytes:
            text = value[2:] if style == 1 and value[:2].lower() == "0x" else value
            try:
                if style == 1 and text is value:
                    raise ValueError(value)
                return fit(bytes.fromhex(text))
            except ValueError:
                raise errors.converting_type(source.name, target.name) from None

        return from_hex
    if source.is_character:
        coding = "utf-16-le" if source.name in UNICODE else "utf-8" if source.is_utf8 else "cp1252"
        return lambda value: fit(value.encode(coding, "surrogatepass" if coding == "utf-16-le" else "replace"))
    if source.is_integer:
        size = _BYTES[source.name]
        signed = source.name not in ("bit", "tinyint")

        def from_number(value: int) -> bytes:
            data = value.to_bytes(size, "big", signed=signed)
            length = size if target.length == MAX else target.length
            return data[-length:] if target.name == "varbinary" else data[-length:].rjust(length, b"\0")

        return from_number
    if source.name == "uniqueidentifier":
        return lambda value: fit(uuid.UUID(value).bytes_le)
    raise errors.unsupported_feature(f"CONVERT {source.name} to {target.name}")


def _to_guid(source: SqlType) -> Converter:
    def from_text(value: str) -> str:
        match = _GUID.match(value)
        if match is None:
            raise SqlError(
                8169, "Conversion failed when converting from a character string to uniqueidentifier.", 16, 2
            )
        return match[1].upper()

    if source.is_character:
        return from_text
    if source.is_binary:
        return lambda value: str(uuid.UUID(bytes_le=bytes(value[:16]).ljust(16, b"\0"))).upper()
    raise _no_conversion(source, UNIQUEIDENTIFIER)


def _to_temporal(source: SqlType, target: SqlType) -> Converter:
    """Through (local ticks, offset): every temporal type reads into it and is written from it."""
    name = source.name
    if source.is_character:
        read = _reader_of_text(target)
    elif name == "datetimeoffset":
        read = _read_offset
    elif name == "time":
        read = _read_time
    elif name in ("date", "datetime2", "datetime", "smalldatetime"):
        read = _read_timestamp
    else:
        # SQL Server turns numbers into datetime as days since 1900; nothing here needs it.
        if source.is_number and target.name in ("datetime", "smalldatetime"):
            raise errors.unsupported_feature(f"CONVERT {name} to {target.name}")
        raise _no_conversion(source, target)
    if {name, target.name} == {"date", "time"}:
        raise _no_conversion(source, target)
    write = _writer(target)
    return lambda value: write(*read(value))


def _read_offset(value: str) -> tuple[int, int]:
    minutes = moments.offset_minutes(value)
    return moments.ticks_of(value) + minutes * 60 * moments.SECOND, minutes


def _read_time(value: str) -> tuple[int, int]:
    return date(1900, 1, 1).toordinal() * moments.DAY + moments.time_ticks(value), 0


def _read_timestamp(value: str) -> tuple[int, int]:
    return moments.ticks_of(value), 0


def _reader_of_text(target: SqlType) -> Callable[[str], tuple[int, int]]:
    legacy = target.name in ("datetime", "smalldatetime")

    def read(value: str) -> tuple[int, int]:
        ticks, offset, _ = moments.parse(value)
        # datetime takes three fraction digits at most, and no offset but Z.
        if legacy and (moments.fraction_digits(value) > 3 or offset):
            raise errors.datetime_conversion()
        return ticks, offset or 0

    return read


def _writer(target: SqlType) -> Callable[[int, int], str]:
    name, scale = target.name, target.scale

    def write(ticks: int, offset: int) -> str:
        if name == "date":
            return moments.timestamp_text(ticks)[:10]
        if name == "time":
            return moments.time_text(moments.rounded(ticks % moments.DAY, scale) % moments.DAY)
        if name == "datetime":
            if ticks < _DATETIME_START:
                text = (
                    "The conversion of a varchar data type to a datetime data type resulted in an out-of-range value."
                )
                raise SqlError(242, text, 16, 3)
            return moments.timestamp_text(moments.legacy_rounded(ticks))
        if name == "smalldatetime":
            return moments.timestamp_text((ticks + 30 * moments.SECOND) // (60 * moments.SECOND) * 60 * moments.SECOND)
        if name == "datetimeoffset":
            return moments.offset_stored(moments.rounded(ticks, scale) - offset * 60 * moments.SECOND, offset)
        return moments.timestamp_text(moments.rounded(ticks, scale))

    return write


_DATETIME_START = date(1753, 1, 1).toordinal() * moments.DAY
