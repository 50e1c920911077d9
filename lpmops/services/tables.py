"""Tables as a database has them, as `routing.landing` compares them: three or four reads of its catalog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lpmops.routing.landing import FoundColumn, FoundIndex, FoundTable
from lpmops.services.azuresql import SqlService

_SIZED = ("varchar", "char", "binary", "varbinary")
_WIDE = ("nvarchar", "nchar")
_SCALED = ("datetime2", "datetimeoffset", "time")


def read(sql: SqlService, database: str, table: str, view: str = "") -> FoundTable:
    """The table (`schema.name`) and the text of a view beside it; a FoundTable without a name where there is none. Raises ServiceError."""
    rows = sql.rows(database, "table_columns", [table])
    text = sql.rows(database, "view_text", [view]) if view else []
    shown = str(text[0]["view_text"] or "") if text else ""
    if not rows:
        return FoundTable(view=shown)
    return FoundTable(
        name=f"{rows[0]['schema_name']}.{rows[0]['object_name']}",
        is_table=str(rows[0]["object_type"]).strip() == "U",
        columns=tuple(_column(row) for row in rows),
        indexes=_indexes(sql.rows(database, "table_indexes", [table])),
        rules=tuple(str(row["rule_name"]) for row in sql.rows(database, "table_rules", [table])),
        view=shown,
    )


def _column(row: Mapping[str, Any]) -> FoundColumn:
    return FoundColumn(
        name=str(row["column_name"]),
        type=type_text(str(row["type_name"]), int(row["max_length"]), int(row["precision"]), int(row["scale"])),
        nullable=bool(row["is_nullable"]),
        collation=str(row["collation_name"] or ""),
        default=str(row["default_text"] or ""),
        generated=bool(row["is_identity"]) or bool(row["is_computed"]) or str(row["type_name"]) == "timestamp",
    )


def type_text(name: str, length: int, precision: int, scale: int) -> str:
    """A type as one writes it, from what sys.columns says of it: lengths there are bytes, -1 is MAX."""
    if name in _WIDE or name in _SIZED:
        size = "MAX" if length < 0 else str(length // 2 if name in _WIDE else length)
        return f"{name.upper()}({size})"
    if name in ("decimal", "numeric"):
        return f"DECIMAL({precision}, {scale})"
    if name in _SCALED:
        return f"{name.upper()}({scale})"
    return name.upper()


def _indexes(rows: list[dict[str, Any]]) -> tuple[FoundIndex, ...]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(str(row["index_name"]), []).append(row)
    return tuple(
        FoundIndex(
            name=name,
            key=tuple(str(row["column_name"]) for row in members if not row["is_included_column"]),
            unique=bool(members[0]["is_unique"]),
            ignore_dup_key=bool(members[0]["ignore_dup_key"]),
            whole=not members[0]["is_disabled"] and not members[0]["has_filter"],
            rowstore="COLUMNSTORE" not in str(members[0]["type_desc"]),
            included=tuple(str(row["column_name"]) for row in members if row["is_included_column"]),
        )
        for name, members in found.items()
    )
