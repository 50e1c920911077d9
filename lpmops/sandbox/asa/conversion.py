"""CAST and TRY_CAST as DuckDB SQL.

DuckDB converts more than the service does ('1_000', '1e3', 'infinity', a zone by name), so each text is first held against the form that the language
has. Source: asa-query/data-types, cast, try-cast. What those pages leave open is marked.
"""

from __future__ import annotations

from dataclasses import dataclass

from lpmops.sandbox.asa.kinds import STORAGE, Kind

_INTEGER = r"\s*[+-]?[0-9]{1,19}\s*"
_NUMBER = r"\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*"
# ISO 8601, with a space allowed for the T as in the example of asa-query/datediff; no zone by name, no year before 1. DuckDB checks the rest.
# LIKE, and not a regular expression, because building five of those took longer than everything else in a batch.
_MOMENT = "({0} LIKE '____-__-__%' AND NOT contains(substr({0}, 12), ' ') AND NOT contains({0}, '(') AND {0} NOT LIKE '0000%')"


@dataclass(frozen=True, slots=True)
class Typed:
    """SQL for a value, and its kind. `explicit` says that the text was asked for by a cast, which MIN and MAX look at."""

    sql: str
    kind: Kind
    explicit: bool = False


def null(kind: Kind = Kind.NULL) -> Typed:
    """A null of a kind."""
    return Typed(f"CAST(NULL AS {STORAGE[kind]})", kind)


def literal(text: str) -> str:
    """A text constant in SQL."""
    return "'" + text.replace("'", "''") + "'"


def failure(message: str, value: str) -> str:
    """SQL that fails the job when it is reached; the value keeps DuckDB from reaching it while it plans, and is not shown."""
    return f"error({literal(message)} || left(CAST({value} AS VARCHAR), 0))"


def cast(value: Typed, kind: Kind, lenient: bool) -> Typed:
    """A value as another kind; what can't be converted fails the job, or becomes NULL where `lenient`."""
    if value.kind is Kind.NULL:
        return null(kind)
    if value.kind is kind:
        return Typed(value.sql, kind, explicit=True)
    always = _always(value, kind)
    if always is not None:
        return Typed(always, kind, explicit=True)
    attempt = _attempt(value, kind)
    if lenient:
        return Typed(attempt, kind, explicit=True)
    message = f"Cast failed: a value of type {value.kind.value} cannot be converted to {kind.value}."
    sql = f"CASE WHEN {value.sql} IS NOT NULL THEN COALESCE({attempt}, {failure(message, value.sql)}) END"
    return Typed(sql, kind, explicit=True)


def text(value: Typed) -> Typed:
    """A value as text, as the string functions take it."""
    return value if value.kind is Kind.NVARCHAR else cast(value, Kind.NVARCHAR, lenient=False)


def number(value: Typed) -> Typed:
    """A value as a number; text is read as float, which asa-query/min says of its argument."""
    if value.kind.numeric:
        return value
    if value.kind is Kind.NULL:
        return null(Kind.FLOAT)
    return cast(value, Kind.BIGINT if value.kind is Kind.BIT else Kind.FLOAT, lenient=False)


def _always(value: Typed, kind: Kind) -> str | None:
    """Conversions that can't fail."""
    match value.kind, kind:
        case (Kind.BIGINT, Kind.FLOAT) | (Kind.BIT, Kind.FLOAT) | (Kind.BIT, Kind.BIGINT):
            return f"CAST({value.sql} AS {STORAGE[kind]})"
        case (Kind.BIGINT, Kind.NVARCHAR) | (Kind.BIT, Kind.NVARCHAR):
            return f"CAST({value.sql} AS VARCHAR)"
        case (Kind.RECORD, Kind.NVARCHAR) | (Kind.ARRAY, Kind.NVARCHAR):
            # Assumed: as text a record is what compatibility level 1.2 writes to SQL.
            return value.sql
        case (Kind.FLOAT, Kind.NVARCHAR):
            # Assumed: whole numbers without a fraction, as .NET writes them.
            whole = f"{value.sql} = trunc({value.sql}) AND abs({value.sql}) < 1e15"
            return f"CASE WHEN {whole} THEN CAST(CAST({value.sql} AS BIGINT) AS VARCHAR) ELSE CAST({value.sql} AS VARCHAR) END"
        case (Kind.DATETIME, Kind.NVARCHAR):
            return f"strftime({value.sql}, '%Y-%m-%dT%H:%M:%S.%f') || '0Z'"
        case (Kind.BIGINT, Kind.BIT) | (Kind.FLOAT, Kind.BIT):
            return f"({value.sql} <> 0)"
        case _:
            return None


def _attempt(value: Typed, kind: Kind) -> str:
    """SQL that is NULL where the value does not convert."""
    match value.kind, kind:
        case (Kind.NVARCHAR, Kind.BIGINT):
            return f"CASE WHEN {_like(value, _INTEGER)} THEN TRY_CAST(trim({value.sql}) AS BIGINT) END"
        case (Kind.NVARCHAR, Kind.FLOAT):
            return f"CASE WHEN {_like(value, _NUMBER)} THEN TRY_CAST(trim({value.sql}) AS DOUBLE) END"
        case (Kind.NVARCHAR, Kind.DATETIME):
            return (
                f"CASE WHEN {_MOMENT.format(value.sql)} THEN timezone('UTC', TRY_CAST({value.sql} AS TIMESTAMPTZ)) END"
            )
        case (Kind.NVARCHAR, Kind.BIT):
            return f"CASE lower(trim({value.sql})) WHEN 'true' THEN TRUE WHEN '1' THEN TRUE WHEN 'false' THEN FALSE WHEN '0' THEN FALSE END"
        case (Kind.FLOAT, Kind.BIGINT):
            # Assumed: the fraction is cut off, as asa-query/dateadd says of its number.
            return f"TRY_CAST(trunc({value.sql}) AS BIGINT)"
        case _:
            return f"CAST(NULL AS {STORAGE[kind]})"


def _like(value: Typed, form: str) -> str:
    return f"regexp_full_match({value.sql}, {literal(form)})"
