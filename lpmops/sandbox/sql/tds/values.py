"""T-SQL types and values on the wire: TYPE_INFO and TYPE_VARBYTE of [MS-TDS] 2.2.5.

`describe` writes the TYPE_INFO of a type, `encoder` gives the function from a stored value to its bytes, `read_type` reads a TYPE_INFO and gives the type with
the function that reads its values. Values longer than 8,000 bytes travel as partially length-prefixed (PLP) chunks.
"""

from __future__ import annotations

import math
import struct
import uuid
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any

from lpmops.sandbox.sql import errors, moments
from lpmops.sandbox.sql.conversion import Stored, infer, utf16_length
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.tds.packets import ProtocolError, Reader
from lpmops.sandbox.sql.types import (
    BIGINT,
    BIT,
    CASE_INSENSITIVE,
    DATE,
    DATETIME,
    FLOAT,
    INT,
    MAX,
    REAL,
    SMALLINT,
    TINYINT,
    UNICODE,
    UNIQUEIDENTIFIER,
    SqlType,
    decimal,
    is_case_sensitive,
    nvarchar,
    varbinary,
    varchar,
)

# Locale 1033; ignore case, kana and width; sort id 52 (2.2.5.1.2). And the same locale, BIN2, version 100.
_COLLATION = bytes.fromhex("0904d00034")
_BINARY_COLLATION = bytes.fromhex("0904002200")
_DAY_ZERO = date(1900, 1, 1).toordinal()
_PLP_NULL = b"\xff" * 8
_SIZES = {"bit": 1, "tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}

Encoder = Callable[[Any], bytes]
ValueReader = Callable[[Reader], Stored]


def collation_bytes(kind: SqlType) -> bytes:
    """TDS's collation of a character type."""
    return _BINARY_COLLATION if kind.collation and is_case_sensitive(kind.collation) else _COLLATION


def describe(kind: SqlType) -> bytes:
    """TYPE_INFO."""
    name = kind.name
    if name == "bit":
        return b"\x68\x01"
    if kind.is_integer:
        return bytes((0x26, _SIZES[name]))
    if name in ("float", "real"):
        return bytes((0x6D, 8 if name == "float" else 4))
    if name == "decimal":
        return bytes((0x6A, 17, kind.precision, kind.scale))
    if kind.is_character:
        token = {"nvarchar": 0xE7, "nchar": 0xEF, "varchar": 0xA7, "char": 0xAF}[name]
        size = 0xFFFF if kind.length == MAX else kind.max_length()
        return struct.pack("<BH", token, size) + collation_bytes(kind)
    if kind.is_binary:
        return struct.pack("<BH", 0xA5 if name == "varbinary" else 0xAD, 0xFFFF if kind.length == MAX else kind.length)
    if name in ("time", "datetime2", "datetimeoffset"):
        return bytes(({"time": 0x29, "datetime2": 0x2A, "datetimeoffset": 0x2B}[name], kind.scale))
    return {"date": b"\x28", "datetime": b"\x6f\x08", "smalldatetime": b"\x6f\x04", "uniqueidentifier": b"\x24\x10",
            "sql_variant": b"\x62" + struct.pack("<I", 8009)}[name]  # fmt: skip


@lru_cache(maxsize=1024)
def encoder(kind: SqlType) -> Encoder:
    """The function from a stored value, or None, to its bytes. The function raises SqlError 8115 for a number beyond its type."""
    null = (
        _PLP_NULL
        if kind.length == MAX
        else b"\xff\xff"
        if kind.is_character or kind.is_binary
        else b"\0\0\0\0"
        if kind.name == "sql_variant"
        else b"\0"
    )
    encode = _encode_present(kind)

    def whole(value: Any) -> bytes:
        return null if value is None else encode(value)

    return whole


def _encode_present(kind: SqlType) -> Encoder:
    name = kind.name
    if kind.is_integer:
        return _encode_integer(name)
    if kind.is_character:
        return _encode_text(kind)
    if kind.is_binary:
        return _chunked if kind.length == MAX else lambda value: struct.pack("<H", len(value)) + value
    if name == "float":
        return lambda value: b"\x08" + struct.pack("<d", value)
    if name == "real":
        return lambda value: b"\x04" + struct.pack("<f", value)
    return {"decimal": lambda value: _encode_decimal(value, kind), "date": _encode_date, "time": lambda value: _sized(_time(value, kind.scale)),
            "datetime2": lambda value: _sized(_timestamp(value, kind.scale)), "datetimeoffset": lambda value: _encode_offset(value, kind.scale),
            "datetime": _encode_datetime, "smalldatetime": _encode_small, "uniqueidentifier": lambda value: b"\x10" + uuid.UUID(value).bytes_le,
            "sql_variant": _encode_variant}[name]  # fmt: skip


def _encode_integer(name: str) -> Encoder:
    size = _SIZES[name]
    pack = struct.Struct({"bit": "<BB", "tinyint": "<BB", "smallint": "<Bh", "int": "<Bi", "bigint": "<Bq"}[name]).pack

    def encode(value: Any) -> bytes:
        try:
            return pack(size, value)
        except struct.error:
            raise errors.overflow(name) from None

    return encode


def _encode_text(kind: SqlType) -> Encoder:
    coding = "utf-16-le" if kind.name in UNICODE else "cp1252"
    if kind.length == MAX:
        return lambda value: _chunked(value.encode(coding, "replace"))
    limit = kind.max_length()

    def encode(value: str) -> bytes:
        data = value.encode(coding, "replace")
        if len(data) > limit:
            data = data[:limit]
        return struct.pack("<H", len(data)) + data

    return encode


def _chunked(data: bytes) -> bytes:
    if not data:
        return struct.pack("<QI", 0, 0)
    return struct.pack("<QI", len(data), len(data)) + data + b"\0\0\0\0"


def _sized(data: bytes) -> bytes:
    return bytes((len(data),)) + data


def _encode_decimal(value: str, kind: SqlType) -> bytes:
    number = int(Decimal(value).scaleb(kind.scale).to_integral_value())
    size = 4 if kind.precision <= 9 else 8 if kind.precision <= 19 else 12 if kind.precision <= 28 else 16
    try:
        return bytes((size + 1, int(number >= 0))) + abs(number).to_bytes(size, "little")
    except OverflowError:
        raise errors.overflow("numeric") from None


def _days(text: str) -> bytes:
    return (date(int(text[:4]), int(text[5:7]), int(text[8:10])).toordinal() - 1).to_bytes(3, "little")


def _time(text: str, scale: int) -> bytes:
    size = 3 if scale <= 2 else 4 if scale <= 4 else 5
    return (moments.time_ticks(text) // 10 ** (7 - scale)).to_bytes(size, "little")


def _timestamp(text: str, scale: int) -> bytes:
    return _time(text[11:27], scale) + _days(text)


def _encode_date(value: str) -> bytes:
    return b"\x03" + _days(value)


def _encode_offset(value: str, scale: int) -> bytes:
    return _sized(_timestamp(value, scale) + struct.pack("<h", moments.offset_minutes(value)))


def _encode_datetime(value: str) -> bytes:
    days, rest = divmod(moments.ticks_of(value), moments.DAY)
    return b"\x08" + struct.pack("<iI", days - _DAY_ZERO, (rest * 300 + moments.SECOND // 2) // moments.SECOND)


def _encode_small(value: str) -> bytes:
    days, rest = divmod(moments.ticks_of(value), moments.DAY)
    return b"\x04" + struct.pack("<HH", days - _DAY_ZERO, rest // (60 * moments.SECOND))


def _encode_variant(value: Any) -> bytes:
    """sql_variant: length, base type, properties, value (2.2.5.5.4)."""
    if isinstance(value, int):
        kind, properties, data = (
            (0x38, b"", struct.pack("<i", value))
            if -(2**31) <= value < 2**31
            else (0x7F, b"", struct.pack("<q", value))
        )
    elif isinstance(value, float):
        kind, properties, data = 0x3E, b"", struct.pack("<d", value)
    elif isinstance(value, bytes):
        kind, properties, data = 0xA5, struct.pack("<H", 8000), value[:8000]
    else:
        kind, properties, data = (
            0xE7,
            _COLLATION + struct.pack("<H", 8000),
            str(value).encode("utf-16-le", "replace")[:8000],
        )
    body = bytes((kind, len(properties))) + properties + data
    return struct.pack("<I", len(body)) + body


# --- reading ------------------------------------------------------------------------------------------------------------------------------------


def read_type(reader: Reader, *, in_row: bool = False) -> tuple[SqlType, ValueReader]:
    """A TYPE_INFO: the type, and how to read a value of it. Raises ProtocolError, and SqlError 40514 for a type this server lacks.

    `in_row` is for the rows of a bulk load, where text and image carry a pointer before their data.
    """
    token = reader.byte()
    if token in _FIXED:
        return _FIXED[token]
    if token in _BY_LENGTH:
        return _BY_LENGTH[token](reader)
    if token in (0xE7, 0xEF, 0xA7, 0xAF):
        return _read_text_type(reader, token)
    if token in (0xA5, 0xAD):
        return _read_binary_type(reader, token)
    if token in (0x23, 0x63, 0x22):
        return _read_large_type(reader, token, in_row)
    if token == 0x62:
        reader.take(4)
        return SqlType("sql_variant"), _read_variant
    if token in _UNKNOWN:
        raise errors.unsupported_feature(_UNKNOWN[token])
    raise ProtocolError(f"type token 0x{token:02x}")


_UNKNOWN = {0xF0: "CLR user-defined type", 0xF1: "xml", 0xF3: "table-valued parameter", 0xF4: "json", 0xF5: "vector"}


def _fixed(kind: SqlType, shape: str) -> tuple[SqlType, ValueReader]:
    size = struct.calcsize(shape)

    def read(reader: Reader) -> Stored:
        found: Stored = struct.unpack(shape, reader.take(size))[0]
        return found

    return kind, read


_FIXED: dict[int, tuple[SqlType, ValueReader]] = {
    0x30: _fixed(TINYINT, "<B"), 0x32: _fixed(BIT, "<B"), 0x34: _fixed(SMALLINT, "<h"), 0x38: _fixed(INT, "<i"), 0x7F: _fixed(BIGINT, "<q"),
    0x3B: _fixed(REAL, "<f"), 0x3E: _fixed(FLOAT, "<d"), 0x3D: (DATETIME, lambda reader: _read_datetime(reader.take(8))),
    0x3A: (SqlType("smalldatetime"), lambda reader: _read_datetime(reader.take(4))), 0x1F: (nvarchar(1), lambda _: None),
    0x28: (DATE, lambda reader: _read_date(_prefixed(reader))),
}  # fmt: skip


def _prefixed(reader: Reader) -> bytes:
    return reader.take(reader.byte())


def _integer_type(reader: Reader) -> tuple[SqlType, ValueReader]:
    size = reader.byte()
    kinds = {1: TINYINT, 2: SMALLINT, 4: INT, 8: BIGINT}
    if size not in kinds:
        raise ProtocolError(f"integer of {size} bytes")
    kind = kinds[size]

    def read(source: Reader) -> Stored:
        data = _prefixed(source)
        if data and len(data) not in kinds:
            raise ProtocolError(f"integer of {len(data)} bytes")
        return int.from_bytes(data, "little", signed=len(data) > 1) if data else None

    return kind, read


def _bit_type(reader: Reader) -> tuple[SqlType, ValueReader]:
    reader.byte()
    return BIT, lambda source: int(data[0] != 0) if (data := _prefixed(source)) else None


def _float_type(reader: Reader) -> tuple[SqlType, ValueReader]:
    size = reader.byte()
    if size not in (4, 8):
        raise ProtocolError(f"float of {size} bytes")

    def read(source: Reader) -> Stored:
        data = _prefixed(source)
        if not data:
            return None
        if len(data) not in (4, 8):
            raise ProtocolError(f"float of {len(data)} bytes")
        number: float = struct.unpack("<d" if len(data) == 8 else "<f", data)[0]
        if math.isnan(number) or math.isinf(number):
            text = (
                "The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect. "
                "The supplied value is not a valid instance of data type float. Check the source data for invalid values."
            )
            raise SqlError(8023, text, 16, 4)
        return number

    return FLOAT if size == 8 else REAL, read


def _decimal_type(reader: Reader) -> tuple[SqlType, ValueReader]:
    reader.byte()
    precision, scale = reader.byte(), reader.byte()
    if not 1 <= precision <= 38 or scale > precision:
        raise ProtocolError(f"decimal({precision},{scale})")

    def read(source: Reader) -> Stored:
        data = _prefixed(source)
        if not data:
            return None
        number = int.from_bytes(data[1:], "little")
        shown = Decimal(number if data[0] else -number).scaleb(-scale)
        return format(shown if number else Decimal(0).scaleb(-scale), "f")

    return decimal(precision, scale), read


def _money_type(reader: Reader) -> tuple[SqlType, ValueReader]:
    reader.byte()

    def read(source: Reader) -> Stored:
        data = _prefixed(source)
        if not data:
            return None
        if len(data) == 8:
            # The high half comes first.
            number = int.from_bytes(data[4:] + data[:4], "little", signed=True)
        else:
            number = int.from_bytes(data, "little", signed=True)
        return format(Decimal(number).scaleb(-4), "f")

    return decimal(19, 4), read


def _guid_type(reader: Reader) -> tuple[SqlType, ValueReader]:
    reader.byte()

    def read(source: Reader) -> Stored:
        data = _prefixed(source)
        if len(data) not in (0, 16):
            raise ProtocolError(f"uniqueidentifier of {len(data)} bytes")
        return str(uuid.UUID(bytes_le=bytes(data))).upper() if data else None

    return UNIQUEIDENTIFIER, read


def _legacy_type(reader: Reader) -> tuple[SqlType, ValueReader]:
    size = reader.byte()
    kind = DATETIME if size == 8 else SqlType("smalldatetime")
    return kind, lambda source: _read_datetime(data) if (data := _prefixed(source)) else None


def _scaled_type(name: str, extra: int) -> Callable[[Reader], tuple[SqlType, ValueReader]]:
    def read_type_of(reader: Reader) -> tuple[SqlType, ValueReader]:
        scale = reader.byte()
        if scale > 7:
            raise ProtocolError(f"{name}({scale})")

        def read(source: Reader) -> Stored:
            data = _prefixed(source)
            if not data:
                return None
            if len(data) < 3 + extra:
                raise ProtocolError(f"{name} of {len(data)} bytes")
            ticks = int.from_bytes(data[: len(data) - extra], "little") * 10 ** (7 - scale)
            if ticks >= moments.DAY:
                raise ProtocolError("time of day past midnight")
            clock = moments.time_text(ticks)
            if extra == 0:
                return clock
            day = _read_date(data[len(data) - extra : len(data) - extra + 3])
            return f"{day} {clock}" + (moments.offset_text(struct.unpack("<h", data[-2:])[0]) if extra == 5 else "")

        return SqlType(name, scale=scale), read

    return read_type_of


_BY_LENGTH: dict[int, Callable[[Reader], tuple[SqlType, ValueReader]]] = {
    0x26: _integer_type, 0x68: _bit_type, 0x6D: _float_type, 0x6A: _decimal_type, 0x6C: _decimal_type, 0x6E: _money_type, 0x24: _guid_type,
    0x6F: _legacy_type, 0x29: _scaled_type("time", 0), 0x2A: _scaled_type("datetime2", 3), 0x2B: _scaled_type("datetimeoffset", 5),
}  # fmt: skip


def _read_date(data: bytes) -> str | None:
    if not data:
        return None
    days = int.from_bytes(data, "little") + 1
    if len(data) != 3 or days > date.max.toordinal():
        raise ProtocolError("date out of range")
    return date.fromordinal(days).isoformat()


def _read_datetime(data: bytes) -> str:
    if len(data) == 8:
        days, thirds = struct.unpack("<iI", data)
        ticks = moments.legacy_rounded(thirds * moments.SECOND // 300 + (moments.SECOND // 600 if thirds % 3 else 0))
    elif len(data) == 4:
        days, minutes = struct.unpack("<HH", data)
        ticks = minutes * 60 * moments.SECOND
    else:
        raise ProtocolError(f"datetime of {len(data)} bytes")
    if not 1 <= days + _DAY_ZERO <= date.max.toordinal() or ticks >= moments.DAY:
        raise ProtocolError("datetime out of range")
    return moments.timestamp_text((days + _DAY_ZERO) * moments.DAY + ticks)


def _collation(data: bytes) -> str:
    return "Latin1_General_100_BIN2" if data[3] & 0x03 else CASE_INSENSITIVE


def _read_text_type(reader: Reader, token: int) -> tuple[SqlType, ValueReader]:
    size = reader.number(2)
    collation = _collation(reader.take(5))
    unicode = token in (0xE7, 0xEF)
    coding = "utf-16-le" if unicode else "cp1252"
    make = nvarchar if unicode else varchar
    if size == 0xFFFF:
        return make(
            MAX, collation
        ), lambda source: None if (data := _read_chunks(source)) is None else data.decode(coding, "replace")
    length = max(1, size // 2 if unicode else size)

    def read(source: Reader) -> Stored:
        count = source.number(2)
        return None if count == 0xFFFF else source.take(count).decode(coding, "replace")

    return make(length if length <= (4000 if unicode else 8000) else MAX, collation), read


def _read_binary_type(reader: Reader, _token: int) -> tuple[SqlType, ValueReader]:
    size = reader.number(2)
    if size == 0xFFFF:
        return varbinary(MAX), _read_chunks

    def read(source: Reader) -> Stored:
        count = source.number(2)
        return None if count == 0xFFFF else source.take(count)

    return varbinary(max(1, size) if size <= 8000 else MAX), read


def _read_chunks(reader: Reader) -> bytes | None:
    """A PLP value; the total may be unknown, the chunks end with one of no length."""
    if reader.take(8) == _PLP_NULL:
        return None
    data = bytearray()
    while size := reader.number(4):
        data += reader.take(size)
    return bytes(data)


def _read_large_type(reader: Reader, token: int, in_row: bool) -> tuple[SqlType, ValueReader]:
    reader.take(4)
    collation = CASE_INSENSITIVE if token == 0x22 else _collation(reader.take(5))
    if in_row:
        for _ in range(reader.byte()):
            reader.long_text()

    def raw(source: Reader) -> bytes | None:
        if in_row:
            pointer = source.byte()
            if pointer == 0:
                return None
            source.take(pointer + 8)
        count = source.number(4)
        return None if count == 0xFFFFFFFF else source.take(count)

    if token == 0x22:
        return varbinary(MAX), raw
    coding = "utf-16-le" if token == 0x63 else "cp1252"
    make = nvarchar if token == 0x63 else varchar
    return make(
        MAX, collation
    ), lambda source: None if (data := raw(source)) is None else data.decode(coding, "replace")


def _read_variant(reader: Reader) -> Stored:
    size = reader.number(4)
    if size == 0:
        return None
    body = Reader(reader.take(size))
    token, properties = body.byte(), body.byte()
    body.take(properties)
    data = body.take(body.left)
    if token in _FIXED and token != 0x28:
        return _FIXED[token][1](Reader(data))
    if token in (0xE7, 0xEF):
        return data.decode("utf-16-le", "replace")
    if token in (0xA7, 0xAF):
        return data.decode("cp1252", "replace")
    if token in (0xA5, 0xAD):
        return data
    raise errors.unsupported_feature("sql_variant of that base type")


def shape_of(value: Any) -> SqlType:
    """The type to announce for a value that has none of its own."""
    return nvarchar(max(1, utf16_length(value))) if isinstance(value, str) and len(value) < 2000 else infer(value)
