"""TYPE_INFO: how a T-SQL type is announced before its values, both ways.

The server always announces the nullable forms (INTN, FLTN, ...); it reads the fixed and the large-object forms too,
since drivers send them in parameters. xml, CLR types, table-valued parameters and sql_variant parameters are refused
by name. Rules: MS-TDS 2.2.5.4 "Data type definitions", 2.2.5.5.1 "System data type values", 2.2.5.6 "Type info rule
definition".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum, auto

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.tds.fields import Fields, ProtocolError
from lpmops.sandbox.sql.types import (
    BIGINT,
    BINARY_COLLATION,
    BIT,
    DATE,
    DATETIME,
    FLOAT,
    INT,
    MAX,
    REAL,
    SMALLINT,
    TINYINT,
    UNIQUEIDENTIFIER,
    VARIANT,
    SqlType,
    decimal,
    nvarchar,
    varbinary,
    varchar,
)


class Length(Enum):
    """How a value says how long it is."""

    FIXED = auto()
    BYTE = auto()
    SHORT = auto()
    LONG = auto()
    CHUNKED = auto()


@dataclass(frozen=True, slots=True)
class WireType:
    """A type as a client announced it. `size` is the fixed or the largest length in bytes."""

    type: SqlType
    length: Length
    size: int = 0


SMALLDATETIME = SqlType("smalldatetime")
MONEY = decimal(19, 4)
DECIMAL_SIZES = ((9, 5), (19, 9), (28, 13), (38, 17))

_SQL_LATIN1_CI_AS = bytes.fromhex("0904d00034")
_COLLATIONS = {
    "SQL_LATIN1_GENERAL_CP1_CI_AS": _SQL_LATIN1_CI_AS,
    "LATIN1_GENERAL_CI_AS": bytes.fromhex("0904d00000"),
    "LATIN1_GENERAL_100_CI_AS": bytes.fromhex("0904d02000"),
    "LATIN1_GENERAL_100_CI_AS_SC": bytes.fromhex("0904d02000"),
    BINARY_COLLATION.upper(): bytes.fromhex("0904002200"),
}
DEFAULT_COLLATION = _SQL_LATIN1_CI_AS

_CHARACTER_IDS = {"char": 0xAF, "varchar": 0xA7, "nchar": 0xEF, "nvarchar": 0xE7}
_BINARY_IDS = {"binary": 0xAD, "varbinary": 0xA5}
_NUMBERS = {"bit": (0x68, 1), "tinyint": (0x26, 1), "smallint": (0x26, 2), "int": (0x26, 4), "bigint": (0x26, 8), "real": (0x6D, 4),
            "float": (0x6D, 8), "smalldatetime": (0x6F, 4), "datetime": (0x6F, 8), "uniqueidentifier": (0x24, 16)}  # fmt: skip
_SCALED = {"time": 0x29, "datetime2": 0x2A, "datetimeoffset": 0x2B}
_SCALED_NAMES = {number: name for name, number in _SCALED.items()}

_FIXED = {0x30: (TINYINT, 1), 0x32: (BIT, 1), 0x34: (SMALLINT, 2), 0x38: (INT, 4), 0x7F: (BIGINT, 8), 0x3B: (REAL, 4), 0x3E: (FLOAT, 8),
          0x3A: (SMALLDATETIME, 4), 0x3D: (DATETIME, 8), 0x3C: (MONEY, 8), 0x7A: (MONEY, 4)}  # fmt: skip
_SIZED: dict[int, dict[int, SqlType]] = {
    0x26: {1: TINYINT, 2: SMALLINT, 4: INT, 8: BIGINT},
    0x68: {1: BIT},
    0x6D: {4: REAL, 8: FLOAT},
    0x6F: {4: SMALLDATETIME, 8: DATETIME},
    0x6E: {4: MONEY, 8: MONEY},
    0x24: {16: UNIQUEIDENTIFIER},
}
_TEXTS = {0xAF: "char", 0xA7: "varchar", 0xEF: "nchar", 0xE7: "nvarchar", 0xAD: "binary", 0xA5: "varbinary"}
_LARGE = {0x23: varchar(), 0x63: nvarchar(), 0x22: varbinary()}
_REFUSED = {
    0xF1: "xml",
    0xF0: "CLR user-defined type",
    0xF3: "table-valued parameter",
    0x62: "sql_variant parameter",
    0xF4: "json",
    0xF5: "vector",
}

ALWAYS_CHUNKED = 0xFFFF


def collation_bytes(name: str) -> bytes:
    """The five bytes of a collation."""
    return _COLLATIONS.get(name.upper(), _SQL_LATIN1_CI_AS)


def decimal_size(precision: int) -> int:
    """Bytes of a decimal's value, its sign included."""
    return next(size for digits, size in DECIMAL_SIZES if precision <= digits)


def announce(kind: SqlType) -> bytes:
    """TYPE_INFO of a column or return value."""
    name = kind.name
    if name in _NUMBERS:
        return bytes(_NUMBERS[name])
    if name in _CHARACTER_IDS:
        size = ALWAYS_CHUNKED if kind.length == MAX else kind.length * (2 if name in ("nchar", "nvarchar") else 1)
        return struct.pack("<BH", _CHARACTER_IDS[name], size) + collation_bytes(kind.collation)
    if name in _BINARY_IDS:
        return struct.pack("<BH", _BINARY_IDS[name], ALWAYS_CHUNKED if kind.length == MAX else kind.length)
    if name == "decimal":
        return bytes((0x6A, decimal_size(kind.precision), kind.precision, kind.scale))
    if name in _SCALED:
        return bytes((_SCALED[name], kind.scale))
    if name == "date":
        return b"\x28"
    if kind == VARIANT:
        return struct.pack("<BI", 0x62, 8009)
    raise errors.unsupported_feature(f"result of type {name}")


def read(fields: Fields) -> WireType:
    """A client's TYPE_INFO. Raises ProtocolError for bytes that are none, SqlError 40514 for a type refused by name."""
    number = fields.u8()
    if number in _FIXED:
        kind, size = _FIXED[number]
        return WireType(kind, Length.FIXED, size)
    if number in _SIZED:
        size = fields.u8()
        if size not in _SIZED[number]:
            raise ProtocolError(f"type {number:#04x} of {size} bytes")
        return WireType(_SIZED[number][size], Length.BYTE, size)
    if number in _TEXTS:
        return _read_text(fields, _TEXTS[number])
    if number in (0x6A, 0x6C):
        return _read_decimal(fields)
    if number in _SCALED_NAMES:
        scale = fields.u8()
        if scale > 7:
            raise ProtocolError(f"a time of scale {scale}")
        return WireType(SqlType(_SCALED_NAMES[number], scale=scale), Length.BYTE, 10)
    if number == 0x28:
        return WireType(DATE, Length.BYTE, 3)
    if number in _LARGE:
        fields.take(4 if number == 0x22 else 9)
        return WireType(_LARGE[number], Length.LONG)
    if number == 0x1F:
        return WireType(INT, Length.FIXED, 0)
    if number in _REFUSED:
        raise errors.unsupported_feature(_REFUSED[number])
    raise ProtocolError(f"type {number:#04x} does not exist")


def _read_text(fields: Fields, name: str) -> WireType:
    size = fields.u16()
    character = name not in ("binary", "varbinary")
    if character:
        fields.take(5)
    collation = varchar().collation if character else ""
    if size == ALWAYS_CHUNKED:
        return WireType(SqlType(name, MAX, collation=collation), Length.CHUNKED)
    if size > 8000:
        raise SqlError(2717, f"The size ({size}) given to the parameter exceeds the maximum allowed (8000).", 16, 2)
    length = size // 2 if name in ("nchar", "nvarchar") else size
    return WireType(SqlType(name, max(1, length), collation=collation), Length.SHORT, size)


def _read_decimal(fields: Fields) -> WireType:
    size, precision, scale = fields.u8(), fields.u8(), fields.u8()
    if not 1 <= precision <= 38 or scale > precision or not 2 <= size <= 17:
        raise ProtocolError(f"a decimal({precision},{scale}) of {size} bytes")
    return WireType(decimal(precision, scale), Length.BYTE, size)
