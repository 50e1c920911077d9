"""T-SQL data types: names, sizes, precedence, and the type that an operator or a UNION gives.

A SqlType is the type of a column, a variable or an expression. Precedence and the arithmetic of decimal precision follow Microsoft's pages "Data type
precedence" and "Precision, scale, and length"; the numbers of system types are those of sys.types. No value is converted here (see conversion.py).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from lpmops.sandbox.sql import errors

MAX = -1
"""Length of nvarchar(max), varchar(max) and varbinary(max)."""

CASE_INSENSITIVE = "SQL_Latin1_General_CP1_CI_AS"
BINARY_COLLATION = "Latin1_General_100_BIN2"

INTEGERS = ("tinyint", "smallint", "int", "bigint")
UNICODE = ("nchar", "nvarchar")
CHARACTER = ("char", "varchar", "nchar", "nvarchar")
BINARY = ("binary", "varbinary")
APPROXIMATE = ("real", "float")
TEMPORAL = ("date", "time", "smalldatetime", "datetime", "datetime2", "datetimeoffset")

INTEGER_RANGE = {
    "bit": (0, 1),
    "tinyint": (0, 255),
    "smallint": (-(2**15), 2**15 - 1),
    "int": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}

# name: (system_type_id, max_length, precision, scale) as sys.types gives them.
SYSTEM_TYPES = {
    "uniqueidentifier": (36, 16, 0, 0),
    "date": (40, 3, 10, 0),
    "time": (41, 5, 16, 7),
    "datetime2": (42, 8, 27, 7),
    "datetimeoffset": (43, 10, 34, 7),
    "tinyint": (48, 1, 3, 0),
    "smallint": (52, 2, 5, 0),
    "int": (56, 4, 10, 0),
    "smalldatetime": (58, 4, 16, 0),
    "real": (59, 4, 24, 0),
    "datetime": (61, 8, 23, 3),
    "float": (62, 8, 53, 0),
    "sql_variant": (98, 8016, 0, 0),
    "bit": (104, 1, 1, 0),
    "decimal": (106, 17, 38, 38),
    "numeric": (108, 17, 38, 38),
    "bigint": (127, 8, 19, 0),
    "varbinary": (165, 8000, 0, 0),
    "varchar": (167, 8000, 0, 0),
    "binary": (173, 8000, 0, 0),
    "char": (175, 8000, 0, 0),
    "nvarchar": (231, 8000, 0, 0),
    "nchar": (239, 8000, 0, 0),
}

PRECEDENCE = (
    "binary", "varbinary", "char", "varchar", "nchar", "nvarchar", "uniqueidentifier", "bit", "tinyint", "smallint", "int", "bigint",
    "decimal", "real", "float", "time", "date", "smalldatetime", "datetime", "datetime2", "datetimeoffset", "sql_variant",
)  # fmt: skip

_KNOWN_ELSEWHERE = frozenset(
    {"text", "ntext", "image", "xml", "json", "vector", "geography", "geometry", "hierarchyid", "money", "smallmoney", "rowversion", "timestamp",
     "cursor", "table"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SqlType:
    """A type with its size: length in characters (bytes for binary, MAX for max), precision and scale of decimal, scale of time types."""

    name: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    collation: str = ""

    @property
    def is_character(self) -> bool:
        """One of char, varchar, nchar, nvarchar."""
        return self.name in CHARACTER

    @property
    def is_integer(self) -> bool:
        """One of the whole-number types, bit included."""
        return self.name in INTEGER_RANGE

    @property
    def is_number(self) -> bool:
        """Whole, decimal or approximate."""
        return self.is_integer or self.name == "decimal" or self.name in APPROXIMATE

    @property
    def is_temporal(self) -> bool:
        """A date or time of any kind."""
        return self.name in TEMPORAL

    @property
    def is_timestamp(self) -> bool:
        """A date with a time, without offset: datetime2, datetime, smalldatetime."""
        return self.name in ("datetime2", "datetime", "smalldatetime")

    @property
    def is_utf8(self) -> bool:
        """char or varchar whose bytes are UTF-8."""
        return self.name in ("char", "varchar") and is_utf8(self.collation)

    @property
    def is_binary(self) -> bool:
        """binary or varbinary."""
        return self.name in BINARY

    def declaration(self) -> str:
        """As one would write it in CREATE TABLE."""
        if self.is_character or self.is_binary:
            return f"{self.name}({'max' if self.length == MAX else self.length})"
        if self.name == "decimal":
            return f"decimal({self.precision},{self.scale})"
        if self.name in ("time", "datetime2", "datetimeoffset"):
            return f"{self.name}({self.scale})"
        return self.name

    def max_length(self) -> int:
        """Bytes, as sys.columns.max_length counts them."""
        if self.length == MAX:
            return -1
        if self.name in UNICODE:
            return self.length * 2
        if self.is_character or self.is_binary:
            return self.length
        if self.name == "decimal":
            return next(size for digits, size in ((9, 5), (19, 9), (28, 13), (38, 17)) if self.precision <= digits)
        if self.name in ("time", "datetime2", "datetimeoffset"):
            fraction = 3 if self.scale <= 2 else 4 if self.scale <= 4 else 5
            return fraction + {"time": 0, "datetime2": 3, "datetimeoffset": 5}[self.name]
        return SYSTEM_TYPES[self.name][1]

    def shown_precision(self) -> tuple[int, int]:
        """(precision, scale) as sys.columns gives them."""
        if self.name == "decimal":
            return self.precision, self.scale
        if self.name in ("time", "datetime2", "datetimeoffset"):
            base = {"time": 8, "datetime2": 19, "datetimeoffset": 26}[self.name]
            return base + (self.scale + 1 if self.scale else 0), self.scale
        return SYSTEM_TYPES[self.name][2:4]


INT = SqlType("int", precision=10)
BIGINT = SqlType("bigint", precision=19)
SMALLINT = SqlType("smallint", precision=5)
TINYINT = SqlType("tinyint", precision=3)
BIT = SqlType("bit", precision=1)
FLOAT = SqlType("float", precision=53)
REAL = SqlType("real", precision=24)
DATE = SqlType("date")
DATETIME = SqlType("datetime", scale=3)
UNIQUEIDENTIFIER = SqlType("uniqueidentifier")
VARIANT = SqlType("sql_variant")


def nvarchar(length: int = MAX, collation: str = CASE_INSENSITIVE) -> SqlType:
    """nvarchar of a length."""
    return SqlType("nvarchar", length, collation=collation)


def varchar(length: int = MAX, collation: str = CASE_INSENSITIVE) -> SqlType:
    """varchar of a length."""
    return SqlType("varchar", length, collation=collation)


def varbinary(length: int = MAX) -> SqlType:
    """varbinary of a length."""
    return SqlType("varbinary", length)


def decimal(precision: int, scale: int) -> SqlType:
    """decimal(p, s)."""
    return SqlType("decimal", 0, precision, scale)


def datetime2(scale: int = 7) -> SqlType:
    """datetime2(scale)."""
    return SqlType("datetime2", 0, 0, scale)


SYSNAME = nvarchar(128)


def is_case_sensitive(collation: str) -> bool:
    """Whether text of that collation is compared by its code points.

    Raises SqlError 40514 for collations this server cannot keep (accent-insensitive ones and languages), rather than compare them wrongly.
    """
    upper = collation.upper()
    if upper.endswith(("_BIN", "_BIN2", "_BIN2_UTF8")):
        return True
    if upper in (
        "SQL_LATIN1_GENERAL_CP1_CI_AS",
        "LATIN1_GENERAL_CI_AS",
        "LATIN1_GENERAL_100_CI_AS",
        "LATIN1_GENERAL_100_CI_AS_SC",
    ):
        return False
    raise errors.unsupported_feature(f"COLLATE {collation}")


def check_kept(collation: str) -> None:
    """Raises SqlError 40514 for a collation that no column or database may have here: UTF-8 is known in expressions alone."""
    if is_case_sensitive(collation) and is_utf8(collation):
        raise errors.unsupported_feature(f"COLLATE {collation}")


def is_utf8(collation: str) -> bool:
    """Whether varchar of that collation is UTF-8."""
    return collation.upper().endswith("_UTF8")


def resolve(
    name: str, arguments: tuple[int, ...], collation: str = CASE_INSENSITIVE, *, casting: bool = False
) -> SqlType:
    """The type written as `name(arguments)`; MAX stands for max. In CAST and CONVERT a character type without length has 30, elsewhere 1.

    Raises SqlError 2715 for an unknown type, 40514 for one of SQL Server's that this server lacks, 1001, 1002 and 2716 for sizes out of range.
    """
    lower = {"integer": "int", "numeric": "decimal", "dec": "decimal", "national character varying": "nvarchar", "character": "char",
             "double precision": "float", "varying": "varchar"}.get(name.lower(), name.lower())  # fmt: skip
    if lower == "sysname":
        return SYSNAME
    if lower in _KNOWN_ELSEWHERE:
        raise errors.unsupported_feature(lower)
    if lower not in SYSTEM_TYPES:
        raise errors.SqlError(2715, f"Column, parameter, or variable #1: Cannot find data type {name}.", 16, 6)
    if lower in CHARACTER or lower in BINARY:
        return _sized(lower, arguments, collation, casting)
    if lower == "decimal":
        return _decimal(arguments)
    if lower in ("time", "datetime2", "datetimeoffset"):
        scale = arguments[0] if arguments else 7
        if not 0 <= scale <= 7 or len(arguments) > 1:
            raise errors.SqlError(1002, f"Line 1: Specified scale {scale} is invalid.", 15, 1)
        return SqlType(lower, scale=scale)
    if lower == "float" and len(arguments) == 1:
        return REAL if arguments[0] <= 24 else FLOAT
    if arguments:
        raise errors.SqlError(
            2716, f"Column, parameter, or variable #1: Cannot specify a column width on data type {lower}.", 16, 1
        )
    _, _, precision, scale = SYSTEM_TYPES[lower]
    return SqlType(
        lower,
        0,
        precision if lower in INTEGER_RANGE or lower in APPROXIMATE else 0,
        scale if lower == "datetime" else 0,
    )


def _sized(name: str, arguments: tuple[int, ...], collation: str, casting: bool) -> SqlType:
    limit = 4000 if name in UNICODE else 8000
    length = arguments[0] if arguments else (30 if casting else 1)
    if len(arguments) > 1 or length == 0 or length < MAX:
        raise errors.SqlError(1001, f"Line 1: Length or precision specification {length} is invalid.", 15, 1)
    if length > limit or (length == MAX and name in ("char", "nchar", "binary")):
        text = (
            f"The size ({length}) given to the type '{name}' exceeds the maximum allowed for any data type ({limit})."
        )
        raise errors.SqlError(131, text, 15, 2)
    return SqlType(name, length, collation=collation if name in CHARACTER else "")


def _decimal(arguments: tuple[int, ...]) -> SqlType:
    precision = arguments[0] if arguments else 18
    scale = arguments[1] if len(arguments) > 1 else 0
    if not 1 <= precision <= 38:
        raise errors.SqlError(1001, f"Line 1: Length or precision specification {precision} is invalid.", 15, 1)
    if not 0 <= scale <= precision:
        raise errors.SqlError(192, "The scale must be less than or equal to the precision.", 15, 1)
    return decimal(precision, scale)


def as_decimal(kind: SqlType) -> SqlType:
    """The decimal that holds every value of a whole-number type."""
    if kind.name == "decimal":
        return kind
    return decimal({"bit": 1, "tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}[kind.name], 0)


def arithmetic(operator: str, left: SqlType, right: SqlType) -> SqlType:
    """The decimal that `left operator right` gives, after "Precision, scale, and length"."""
    p1, s1, p2, s2 = left.precision, left.scale, right.precision, right.scale
    if operator in "+-":
        scale = max(s1, s2)
        precision = max(p1 - s1, p2 - s2) + scale + 1
        if precision > 38:
            scale = max(0, scale - (precision - 38))
    elif operator == "%":
        scale = max(s1, s2)
        precision = min(p1 - s1, p2 - s2) + scale
    else:
        if operator == "*":
            precision, scale = p1 + p2 + 1, s1 + s2
        else:
            scale = max(6, s1 + p2 + 1)
            precision = p1 - s1 + s2 + scale
        if precision > 38:
            scale = max(scale - (precision - 38), min(scale, 6))
    return decimal(max(1, min(precision, 38)), min(scale, 38))


def common(left: SqlType, right: SqlType) -> SqlType:
    """The type of a value that may be either: CASE, COALESCE, UNION, IIF. Raises SqlError 206 where none exists."""
    if left == right:
        return left
    low, high = sorted((left, right), key=lambda kind: PRECEDENCE.index(kind.name))
    if high.is_character and low.is_character:
        if is_utf8(left.collation) != is_utf8(right.collation):
            raise errors.unsupported_feature("text of a UTF-8 collation beside other text")
        length = MAX if MAX in (low.length, high.length) else max(low.length, high.length)
        name = (
            high.name
            if low.name in UNICODE or high.name not in UNICODE
            else ("nvarchar" if "var" in low.name or "var" in high.name else "nchar")
        )
        plain = is_utf8(high.collation) or not is_binary_pair(left, right)
        kept = high.collation if plain else BINARY_COLLATION
        return SqlType(name, length, collation=kept)
    if high.is_binary and low.is_binary:
        return varbinary(MAX if MAX in (low.length, high.length) else max(low.length, high.length))
    if high.name == "decimal":
        if not low.is_number:
            return high
        other = as_decimal(low)
        scale = max(high.scale, other.scale)
        return decimal(min(38, max(high.precision - high.scale, other.precision - other.scale) + scale), scale)
    if high.name in ("time", "datetime2", "datetimeoffset") and low.is_temporal:
        if {low.name, high.name} == {"time", "date"}:
            raise errors.operand_clash(low.name, high.name)
        return replace(high, scale=max(high.scale, low.scale))
    if high.is_temporal and low.is_number and high.name not in ("datetime", "smalldatetime"):
        raise errors.operand_clash(low.name, high.name)
    if "uniqueidentifier" in (high.name, low.name) and not (low.is_character or low.is_binary):
        raise errors.operand_clash(low.name, high.name)
    return high


def is_binary_pair(left: SqlType, right: SqlType) -> bool:
    """Whether two texts are compared by code points: one of them has a binary collation."""
    return any(kind.is_character and kind.collation and is_case_sensitive(kind.collation) for kind in (left, right))


def utf16_length(text: str) -> int:
    """Length in UTF-16 code units, which is how nvarchar counts."""
    return len(text) + sum(1 for character in text if character > "\uffff") if not text.isascii() else len(text)


def infer(value: Any) -> SqlType:
    """The type that a Python value of a caller in the process stands for."""
    if value is None or isinstance(value, str):
        return nvarchar(max(1, utf16_length(value)) if value and len(value) <= 2000 else (1 if not value else MAX))
    if isinstance(value, bool):
        return BIT
    if isinstance(value, int):
        low, high = INTEGER_RANGE["int"]
        return INT if low <= value <= high else BIGINT if abs(value) < 2**63 else decimal(38, 0)
    if isinstance(value, float):
        return FLOAT
    if isinstance(value, (bytes, bytearray, memoryview)):
        return varbinary(MAX)
    if isinstance(value, Decimal):
        _, digits, exponent = value.as_tuple()
        scale = max(0, -int(exponent))
        return decimal(min(38, max(len(digits) + max(0, int(exponent)), scale, 1)), min(scale, 38))
    if isinstance(value, datetime):
        return SqlType("datetimeoffset", scale=7) if value.tzinfo else datetime2(7)
    if isinstance(value, date):
        return DATE
    if isinstance(value, time):
        return SqlType("time", scale=7)
    if isinstance(value, uuid.UUID):
        return UNIQUEIDENTIFIER
    raise TypeError(f"no T-SQL type for a value of {type(value).__name__}")
