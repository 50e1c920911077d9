"""Pieces of SQLite text that know their T-SQL type, and the quoting of names and values."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lpmops.sandbox.sql.conversion import Stored
from lpmops.sandbox.sql.types import INT, SqlType, is_case_sensitive


@dataclass(frozen=True, slots=True)
class Fragment:
    """An expression in SQLite's SQL: its type (None for a bare NULL), whether it may be NULL, its value where that is a constant.

    `collation` is what SQLite itself compares it with, empty where that is not known; `parameter` names a variable without a declared type.
    """

    sql: str
    type: SqlType | None
    nullable: bool = True
    constant: Stored = None
    collation: str = ""
    parameter: str = ""

    @property
    def known_type(self) -> SqlType:
        """The type; a bare NULL is an int, as in SQL Server."""
        return self.type if self.type is not None else INT

    def typed(self, kind: SqlType) -> Fragment:
        """The same with another type."""
        return replace(self, type=kind)


def name(identifier: str) -> str:
    """An identifier, quoted."""
    return '"' + identifier.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string constant, quoted. Not for text with NUL, which SQLite cannot read in a statement."""
    return "'" + value.replace("'", "''") + "'"


def constant(value: Stored) -> str:
    """A stored value as a constant."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int):
        return str(value) if value >= 0 else f"({value})"
    if isinstance(value, float):
        return repr(value) if value >= 0 else f"({value!r})"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    return text(value)


def natural_collation(kind: SqlType) -> str:
    """The SQLite collation of a column of that type; empty where the plain order is right."""
    if kind.is_character:
        return "BINARY" if is_case_sensitive(kind.collation) else "NOCASE"
    return "TS_DECIMAL" if kind.name == "decimal" else ""


def ordered(fragment: Fragment, kind: SqlType | None = None) -> str:
    """SQL that sorts, groups and compares as T-SQL does for the type (by default the fragment's own)."""
    found = kind or fragment.type
    if found is None:
        return fragment.sql
    if found.name == "datetimeoffset":
        return f"substr({fragment.sql}, 1, 27)"
    wanted = natural_collation(found)
    if not wanted or wanted == fragment.collation:
        return fragment.sql
    return f"({fragment.sql}) COLLATE {wanted}"
