"""The data types of the language, and the values of JSON as those types.

It is values that have a type, not columns (asa-query/data-types): one field may hold a number in one event and a text in the next.
NULL stands for a column of which nothing but nulls were seen.
"""

from __future__ import annotations

from enum import Enum
from typing import Any


class Kind(Enum):
    """A data type by the name that the language gives it."""

    BIGINT = "bigint"
    FLOAT = "float"
    NVARCHAR = "nvarchar(max)"
    DATETIME = "datetime"
    BIT = "bit"
    RECORD = "record"
    ARRAY = "array"
    NULL = "null"

    @property
    def numeric(self) -> bool:
        """Whether arithmetic takes it as it is."""
        return self in (Kind.BIGINT, Kind.FLOAT)


SMALLEST_BIGINT = -(2**63)
LARGEST_BIGINT = 2**63 - 1

# How DuckDB holds each; records and arrays travel as JSON text, which is also how compatibility level 1.2 writes them to SQL.
STORAGE = {
    Kind.BIGINT: "BIGINT",
    Kind.FLOAT: "DOUBLE",
    Kind.NVARCHAR: "VARCHAR",
    Kind.DATETIME: "TIMESTAMP",
    Kind.BIT: "BOOLEAN",
    Kind.RECORD: "VARCHAR",
    Kind.ARRAY: "VARCHAR",
    Kind.NULL: "VARCHAR",
}

KIND_OF_PYTHON: dict[type[Any], Kind] = {
    int: Kind.BIGINT,
    float: Kind.FLOAT,
    str: Kind.NVARCHAR,
    bool: Kind.BIT,
    dict: Kind.RECORD,
    list: Kind.ARRAY,
}


def common(kinds: set[Kind]) -> Kind:
    """The one kind that holds values of all these: numbers widen to float, what does not go together becomes text."""
    known = kinds - {Kind.NULL}
    if not known:
        return Kind.NULL
    if len(known) == 1:
        return next(iter(known))
    if known == {Kind.BIGINT, Kind.FLOAT}:
        return Kind.FLOAT
    # Assumed: the documentation asks for compatible types and says nothing of others.
    return Kind.NVARCHAR
