"""A statement's rows as the API sends them: INLINE, JSON_ARRAY, every value a text.

Scalars inside arrays, maps and structs are texts as well (clickgraph#392). Timestamps are ISO 8601 in UTC with three digits, or six where they are
needed (assumed for six). More than 25 MiB is refused, as the API refuses it for INLINE.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from lpmops.sandbox.databricks.sqlerrors import SqlError
from lpmops.sandbox.lake.schema import spark_type

INLINE_BYTES = 25 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement gave, ready to be sent."""

    columns: list[dict[str, Any]]
    rows: list[list[str | None]]
    size: int
    truncated: bool

    def manifest(self) -> dict[str, Any]:
        """The `manifest` of the answer."""
        count = len(self.rows)
        chunk = {"chunk_index": 0, "row_offset": 0, "row_count": count, "byte_count": self.size}
        return {
            "format": "JSON_ARRAY",
            "schema": {"column_count": len(self.columns), "columns": self.columns},
            "total_chunk_count": int(count > 0),
            "chunks": [chunk] if count else [],
            "total_row_count": count,
            "total_byte_count": self.size,
            "truncated": self.truncated,
        }

    def chunk(self) -> dict[str, Any]:
        """The `result` of the answer: everything is in one chunk."""
        if not self.rows:
            return {}
        return {
            "chunk_index": 0,
            "row_offset": 0,
            "row_count": len(self.rows),
            "byte_count": self.size,
            "data_array": self.rows,
        }


def encoded(table: pa.Table, row_limit: int | None, byte_limit: int | None) -> Result:
    """Rows of a table as texts, cut at the limits that the caller set. Raises SqlError beyond what INLINE may hold."""
    columns = [_column(position, field) for position, field in enumerate(table.schema)]
    rows: list[list[str | None]] = []
    size, truncated = 2, False
    for batch in table.to_batches(max_chunksize=10_000):
        values = [batch.column(index).to_pylist() for index in range(batch.num_columns)]
        for row in zip(*values, strict=True):
            texts = [as_text(value) for value in row]
            grown = size + 2 + sum(len(text.encode()) + 3 if text is not None else 5 for text in texts)
            if len(rows) == row_limit or (byte_limit is not None and grown > byte_limit):
                truncated = True
                break
            if grown > INLINE_BYTES:
                raise SqlError(
                    "BAD_REQUEST",
                    f"Inline byte limit exceeded. Statements executed with disposition=INLINE can have a result size of at most {INLINE_BYTES} "
                    "bytes. Please execute the statement with disposition=EXTERNAL_LINKS if you want to download the full result.",
                )
            rows.append(texts)
            size = grown
        if truncated:
            break
    return Result(columns, rows, size if rows else 0, truncated)


def _column(position: int, field: pa.Field) -> dict[str, Any]:
    type_text, type_name = spark_type(field.type)
    column = {"name": field.name, "type_text": type_text.upper(), "type_name": type_name, "position": position}
    if pa.types.is_decimal(field.type):
        column |= {"type_precision": field.type.precision, "type_scale": field.type.scale}
    return column


def as_text(value: Any) -> str | None:
    """One value as the API writes it."""
    if value is None:
        return None
    if isinstance(value, list | dict | tuple):
        return json.dumps(_nested(value), ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value
        precision = "microseconds" if moment.microsecond % 1000 else "milliseconds"
        return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return _double(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _nested(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _nested(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        # pyarrow gives a map as pairs.
        if value and all(isinstance(one, tuple) and len(one) == 2 for one in value):
            return {str(name): _nested(inner) for name, inner in value}
        return [_nested(one) for one in value]
    return as_text(value)


def _double(value: float) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    # Java's notation: 1.0E10 and not 1e+10.
    if value != 0 and not 1e-3 <= abs(value) < 1e7:
        mantissa, _, exponent = repr(float(f"{value:.17g}")).partition("e")
        if exponent:
            return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{int(exponent)}"
        digits = f"{Decimal(repr(value)):E}"
        mantissa, _, exponent = digits.partition("E")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{int(exponent)}"
    return repr(float(value))
