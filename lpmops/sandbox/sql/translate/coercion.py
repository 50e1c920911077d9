"""From one type to another in SQL: by nothing where the stored form is the same, by SQLite where it can, else by ts_cast.

`coerce` is both the implicit conversion of assignment and comparison, and CAST. What SQL Server converts only on request raises 257, what it never
converts 206 or 529.
"""

from __future__ import annotations

from dataclasses import replace

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.conversion import converter, described
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.translate.fragment import Fragment
from lpmops.sandbox.sql.translate.translation import Translation
from lpmops.sandbox.sql.types import INTEGERS, MAX, UNICODE, SqlType

_INTEGER_ORDER = ("bit", *INTEGERS)


def coerce(
    t: Translation,
    fragment: Fragment,
    target: SqlType,
    *,
    explicit: bool = False,
    style: int | None = None,
    forgiving: bool = False,
) -> Fragment:
    """The fragment as the target type.

    Implicit text is never cut: a column's own check refuses what is too long. Raises SqlError 206, 257, 529, and those of a constant's value.
    """
    fragment = t.infer(fragment, target)
    source = fragment.type
    if source is None:
        return Fragment(fragment.sql, target, True, parameter=fragment.parameter)
    if not explicit:
        _check_implicit(source, target)
    if style is None and _same_form(source, target, explicit):
        return replace(
            fragment, type=target, collation="" if source.collation != target.collation else fragment.collation
        )
    if fragment.constant is not None:
        return _constant(t, fragment, target, style, forgiving, explicit)
    sql = _native(fragment.sql, source, target) if style is None else ""
    if not sql:
        converter(source, target, style)
        wanted = "NULL" if style is None else str(style)
        sql = f"ts_cast({fragment.sql}, '{described(source)}', '{described(target)}', {wanted}, {int(forgiving)})"
    return Fragment(sql, target, fragment.nullable or forgiving)


def _constant(
    t: Translation, fragment: Fragment, target: SqlType, style: int | None, forgiving: bool, explicit: bool
) -> Fragment:
    assert fragment.type is not None
    try:
        wanted = (
            replace(target, length=MAX)
            if not explicit and target.is_character and target.name in ("varchar", "nvarchar")
            else target
        )
        return replace(t.stored(converter(fragment.type, wanted, style)(fragment.constant), target), nullable=False)
    except SqlError as error:
        if forgiving and error.number not in (529, 206):
            return Fragment("NULL", target, True)
        raise


def _check_implicit(source: SqlType, target: SqlType) -> None:
    if "sql_variant" in (source.name, target.name):
        if target.name != "sql_variant":
            raise errors.implicit_conversion("sql_variant", target.name)
        return
    if source.is_character and target.is_binary:
        raise errors.implicit_conversion(source.name, target.name)
    temporal_and_number = (source.is_temporal and target.is_number) or (source.is_number and target.is_temporal)
    legacy = source.name in ("datetime", "smalldatetime") or target.name in ("datetime", "smalldatetime")
    if temporal_and_number and not legacy:
        raise errors.operand_clash(source.name, target.name)
    if temporal_and_number:
        raise errors.implicit_conversion(source.name, target.name)
    guid = (source.name == "uniqueidentifier") != (target.name == "uniqueidentifier")
    if guid and not any(kind.is_character or kind.is_binary for kind in (source, target)):
        raise errors.operand_clash(source.name, target.name)
    if {source.name, target.name} == {"date", "time"}:
        raise errors.operand_clash(source.name, target.name)


def _same_form(source: SqlType, target: SqlType, explicit: bool) -> bool:
    """Whether a stored value of one type is one of the other as it stands."""
    if target.name == "sql_variant" or source == target:
        return True
    if source.is_integer and target.is_integer:
        return _INTEGER_ORDER.index(source.name) <= _INTEGER_ORDER.index(target.name) and target.name != "bit"
    if source.is_character and target.is_character:
        if target.name in ("char", "nchar") or (target.name == "varchar" and source.name in UNICODE):
            return False
        if target.name == "varchar" and source.is_utf8 != target.is_utf8:
            return False
        return not explicit or target.length == MAX or MAX != source.length <= target.length
    if source.is_binary and target.is_binary and target.name == "varbinary":
        return not explicit or target.length == MAX or MAX != source.length <= target.length
    if source.name == target.name == "decimal":
        return source.scale == target.scale and source.precision <= target.precision
    if source.is_timestamp and target.is_timestamp:
        return target.name == "datetime2" and (source.name != "datetime2" or source.scale <= target.scale) and not (
            source.name == "datetime" and target.scale < 7)  # fmt: skip
    if source.name == target.name and source.name in ("time", "datetimeoffset"):
        return source.scale <= target.scale
    return source.name == "real" and target.name == "float"


def _native(sql: str, source: SqlType, target: SqlType) -> str:
    """The conversion in SQLite's own terms, where it means the same."""
    if source.is_integer and target.name == "float":
        return f"CAST({sql} AS REAL)"
    if source.name == "decimal" and target.name == "float":
        return f"CAST({sql} AS REAL)"
    if source.is_integer and target.name == "decimal" and target.scale == 0 and target.precision >= 19:
        return f"CAST({sql} AS TEXT)"
    if (
        source.is_integer
        and target.is_character
        and target.name.endswith("varchar")
        and (target.length == MAX or target.length >= 20)
    ):
        return f"CAST({sql} AS TEXT)"
    if source.is_timestamp and target.name == "date":
        return f"substr({sql}, 1, 10)"
    if source.name == "date" and target.name == "datetime2":
        return f"({sql} || ' 00:00:00.0000000')"
    if source.is_timestamp and target.name == "datetimeoffset" and target.scale >= source.scale:
        return f"({sql} || '+00:00')"
    return ""
