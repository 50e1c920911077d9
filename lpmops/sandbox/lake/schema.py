"""The columns of `tdr_streaming`, and how Databricks names their types.

The Arrow schema is what every table of records, in memory or on disk, is made of; `spark_type` says a type as Unity Catalog and the
statement API do.
"""

from __future__ import annotations

import json

import pyarrow as pa

MOMENT = pa.timestamp("us", "UTC")
SIPREQ = pa.struct(
    [
        pa.field("method", pa.string()),
        pa.field("request_uri", pa.string()),
        pa.field("from", pa.string()),
        pa.field("to", pa.string()),
        pa.field("call_id", pa.string()),
        pa.field("cseq", pa.int32()),
        pa.field("via", pa.list_(pa.string())),
        pa.field("user_agent", pa.string()),
        pa.field("geolocation", pa.string()),
        pa.field("call_info", pa.list_(pa.string())),
    ]
)
RECORD_SCHEMA = pa.schema(
    [
        pa.field("tdr_id", pa.string()),
        pa.field("info_companyid", pa.string()),
        pa.field("call_id", pa.string()),
        pa.field("call_started_at", MOMENT),
        pa.field("call_answered_at", MOMENT),
        pa.field("call_ended_at", MOMENT),
        pa.field("disposition", pa.string()),
        pa.field("duration_seconds", pa.float64()),
        pa.field("trunk", pa.string()),
        pa.field("queue", pa.string()),
        pa.field("caller_number", pa.string()),
        pa.field("caller_latitude", pa.float64()),
        pa.field("caller_longitude", pa.float64()),
        pa.field("sipreq", SIPREQ),
    ]
)
IN_PROGRESS = "in_progress"

_NAMES = {
    pa.string(): ("string", "STRING"),
    pa.large_string(): ("string", "STRING"),
    pa.string_view(): ("string", "STRING"),
    pa.bool_(): ("boolean", "BOOLEAN"),
    pa.int8(): ("tinyint", "BYTE"),
    pa.int16(): ("smallint", "SHORT"),
    pa.int32(): ("int", "INT"),
    pa.uint32(): ("bigint", "LONG"),
    pa.int64(): ("bigint", "LONG"),
    pa.uint64(): ("bigint", "LONG"),
    pa.float32(): ("float", "FLOAT"),
    pa.float64(): ("double", "DOUBLE"),
    pa.date32(): ("date", "DATE"),
    pa.binary(): ("binary", "BINARY"),
    pa.null(): ("void", "NULL"),
}


def spark_type(kind: pa.DataType) -> tuple[str, str]:
    """A type as (type text, type name): ("array<string>", "ARRAY"). Raises ValueError for one that Databricks has no word for."""
    if kind in _NAMES:
        return _NAMES[kind]
    if pa.types.is_timestamp(kind):
        return "timestamp", "TIMESTAMP"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})", "DECIMAL"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"array<{spark_type(kind.value_type)[0]}>", "ARRAY"
    if pa.types.is_struct(kind):
        inner = ",".join(f"{kind.field(i).name}:{spark_type(kind.field(i).type)[0]}" for i in range(kind.num_fields))
        return f"struct<{inner}>", "STRUCT"
    if pa.types.is_map(kind):
        return f"map<{spark_type(kind.key_type)[0]},{spark_type(kind.item_type)[0]}>", "MAP"
    raise ValueError(f"Databricks has no type for {kind}")


def type_json(field: pa.Field) -> str:
    """A column as Spark's JSON schema has it, the `type_json` of Unity Catalog."""
    return json.dumps({"name": field.name, "type": _json_type(field.type), "nullable": field.nullable, "metadata": {}})


def _json_type(kind: pa.DataType) -> object:
    if pa.types.is_struct(kind):
        fields = [kind.field(i) for i in range(kind.num_fields)]
        return {
            "type": "struct",
            "fields": [
                {"name": f.name, "type": _json_type(f.type), "nullable": f.nullable, "metadata": {}} for f in fields
            ],
        }
    if pa.types.is_list(kind):
        return {"type": "array", "elementType": _json_type(kind.value_type), "containsNull": True}
    return {"bigint": "long", "int": "integer", "smallint": "short", "tinyint": "byte"}.get(
        spark_type(kind)[0], spark_type(kind)[0]
    )
