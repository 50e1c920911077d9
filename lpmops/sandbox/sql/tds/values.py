"""Values on the wire, to and from the stored forms of conversion.py.

`encoder` gives a function from a stored value to its bytes, made once a column; `read` takes a parameter's value.
Types of any length travel in chunks ("partially length-prefixed"). Rules: MS-TDS 2.2.5.2.2 "Data type dependent data
streams", 2.2.5.2.3 "Data packet stream tokens", 2.2.5.5.1.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from lpmops.sandbox.sql.conversion import Stored
from lpmops.sandbox.sql.tds import temporal
from lpmops.sandbox.sql.tds.fields import Fields, ProtocolError, invalid, utf16, utf16_bytes
from lpmops.sandbox.sql.tds.typeinfo import DEFAULT_COLLATION, MONEY, Length, WireType, decimal_size
from lpmops.sandbox.sql.types import MAX, SqlType, infer

Encoder = Callable[[Any], bytes]

_FORMATS = {
    "bit": "<BB",
    "tinyint": "<BB",
    "smallint": "<Bh",
    "int": "<Bi",
    "bigint": "<Bq",
    "real": "<Bf",
    "float": "<Bd",
}
_SIGNED = {1: "<B", 2: "<h", 4: "<i", 8: "<q"}
_CHUNKED_NULL, _CHUNKED_UNKNOWN = 0xFFFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFE
_CHUNK = 32_000


def null(kind: SqlType) -> bytes:
    """NULL of a type, where a row writes it out."""
    if kind.length == MAX:
        return b"\xff" * 8
    if kind.is_character or kind.is_binary:
        return b"\xff\xff"
    return b"\0\0\0\0" if kind.name == "sql_variant" else b"\0"


@lru_cache(maxsize=1024)
def encoder(kind: SqlType) -> Encoder:
    """From a stored value that is not None to its bytes, length first."""
    if kind.name in _FORMATS:
        packing = struct.Struct(_FORMATS[kind.name])
        size = packing.size - 1
        return lambda value: packing.pack(size, value)
    if kind.is_character or kind.is_binary:
        return _long(kind)
    if kind.name == "decimal":
        return _decimal(kind)
    if kind.name == "uniqueidentifier":
        return lambda value: b"\x10" + uuid.UUID(value).bytes_le
    if kind.name == "sql_variant":
        return _variant
    return temporal.encoder(kind)


def _raw(kind: SqlType) -> Encoder:
    if kind.is_binary:
        return bytes
    if kind.name in ("nchar", "nvarchar"):
        return utf16_bytes
    return lambda value: value.encode("cp1252", "replace")


def _long(kind: SqlType) -> Encoder:
    raw = _raw(kind)
    if kind.length == MAX:
        return lambda value: _chunked(raw(value))
    limit = kind.length * (2 if kind.name in ("nchar", "nvarchar") else 1)

    def short(value: Any) -> bytes:
        data = raw(value)
        if len(data) > limit:
            # A driver that trusts the announced size would break on more; the engine never keeps more.
            data = data[:limit]
        return len(data).to_bytes(2, "little") + data

    return short


def _chunked(data: bytes) -> bytes:
    parts = [len(data).to_bytes(8, "little")]
    for at in range(0, len(data), _CHUNK):
        piece = data[at : at + _CHUNK]
        parts += [len(piece).to_bytes(4, "little"), piece]
    parts.append(b"\0\0\0\0")
    return b"".join(parts)


def _decimal(kind: SqlType) -> Encoder:
    size = decimal_size(kind.precision)

    def encode(value: str) -> bytes:
        digits = value.lstrip("-").replace(".", "")
        return bytes((size, value[0] != "-")) + int(digits).to_bytes(size - 1, "little")

    return encode


def _variant(value: Any) -> bytes:
    """sql_variant: the value's own type, its properties, then its bytes."""
    kind = infer(value)
    if isinstance(value, str):
        properties, data, number = DEFAULT_COLLATION + (8000).to_bytes(2, "little"), utf16_bytes(value)[:8000], 0xE7
    elif isinstance(value, bytes):
        properties, data, number = (8000).to_bytes(2, "little"), value[:8000], 0xA5
    else:
        number = {"bit": 0x32, "int": 0x38, "bigint": 0x7F, "float": 0x3E}[kind.name]
        properties, data = b"", encoder(kind)(value)[1:]
    body = bytes((number, len(properties))) + properties + data
    return len(body).to_bytes(4, "little") + body


def read(fields: Fields, wire: WireType) -> Stored:
    """A parameter's value. Raises ProtocolError, and SqlError 8023 for a value that its type cannot have."""
    data = _bytes_of(fields, wire)
    return None if data is None else decode(data, wire.type)


def _bytes_of(fields: Fields, wire: WireType) -> bytes | None:
    match wire.length:
        case Length.FIXED:
            return fields.take(wire.size) if wire.size else None
        case Length.BYTE:
            size = fields.u8()
            return fields.take(size) if size else None
        case Length.SHORT:
            size = fields.u16()
            if size == 0xFFFF:
                return None
            if size > wire.size:
                raise ProtocolError(f"a value of {size} bytes in a type of {wire.size}")
            return fields.take(size)
        case Length.LONG:
            size = fields.u32()
            return None if size == 0xFFFF_FFFF else fields.take(size)
        case Length.CHUNKED:
            return read_chunks(fields)


def read_chunks(fields: Fields) -> bytes | None:
    """A value in chunks. Raises ProtocolError where its total is not what it says."""
    total = fields.u64()
    if total == _CHUNKED_NULL:
        return None
    parts: list[bytes] = []
    while size := fields.u32():
        parts.append(fields.take(size))
    data = b"".join(parts)
    if total not in (_CHUNKED_UNKNOWN, len(data)):
        raise ProtocolError(f"a value of {len(data)} bytes that says it has {total}")
    return data


def decode(data: bytes, kind: SqlType) -> Stored:
    """The stored form of a value's bytes. Raises ProtocolError, SqlError 8023."""
    name = kind.name
    if name in ("nchar", "nvarchar"):
        return utf16(data)
    if kind.is_character:
        return data.decode("cp1252", "replace")
    if kind.is_binary:
        return data
    if kind is MONEY:
        return _money(data)
    if name == "decimal":
        return _decimal_text(data, kind)
    if name == "uniqueidentifier":
        return str(uuid.UUID(bytes_le=_exactly(data, 16))).upper()
    if name in ("real", "float"):
        return _float(data, name)
    if kind.is_integer:
        if len(data) not in _SIGNED:
            raise ProtocolError(f"a whole number of {len(data)} bytes")
        number = int(struct.unpack(_SIGNED[len(data)], data)[0])
        return int(number != 0) if name == "bit" else number
    return temporal.decode(data, kind)


def _exactly(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise ProtocolError(f"a value of {len(data)} bytes where {size} are due")
    return data


def _float(data: bytes, name: str) -> float:
    number = float(struct.unpack("<f" if name == "real" else "<d", _exactly(data, 4 if name == "real" else 8))[0])
    if number - number != 0:
        raise invalid(name)
    return number


def _money(data: bytes) -> str:
    if len(data) == 4:
        units = int.from_bytes(data, "little", signed=True)
    else:
        _exactly(data, 8)
        units = (int.from_bytes(data[:4], "little", signed=True) << 32) + int.from_bytes(data[4:], "little")
    return _fixed(abs(units), 4, negative=units < 0)


def _decimal_text(data: bytes, kind: SqlType) -> str:
    if len(data) < 2 or data[0] > 1:
        raise ProtocolError("a decimal without sign or digits")
    units = int.from_bytes(data[1:], "little")
    if units >= 10**kind.precision:
        raise invalid("numeric")
    return _fixed(units, kind.scale, negative=data[0] == 0 and units != 0)


def _fixed(units: int, scale: int, *, negative: bool) -> str:
    digits = str(units).rjust(scale + 1, "0")
    text = f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits
    return f"-{text}" if negative else text
