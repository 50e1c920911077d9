"""How names and values become text of Stream Analytics, T-SQL, Databricks SQL or Kusto: the only place that quotes."""

from __future__ import annotations

import json


def is_name(name: str) -> bool:
    """Whether something can be named so."""
    return bool(name) and "\0" not in name and len(name) <= 128


def identifier(name: str) -> str:
    """`name` in brackets, as T-SQL and Stream Analytics read it. Raises ValueError for an empty name, a NUL or more than 128 characters."""
    if not is_name(name):
        raise ValueError("a name has 1 to 128 characters and no NUL")
    return "[" + name.replace("]", "]]") + "]"


def path(dotted: str) -> str:
    """A nested column such as `sipreq.method`, each part in brackets. Raises ValueError as `identifier` does."""
    return ".".join(identifier(part) for part in dotted.split("."))


def literal(value: str) -> str:
    """`value` as a text constant. Raises ValueError for a NUL, which no text constant can hold."""
    if "\0" in value:
        raise ValueError("a text constant holds no NUL")
    return "'" + value.replace("'", "''") + "'"


def kusto_literal(value: str) -> str:
    """`value` as a text constant of Kusto, whose escapes are those of JSON."""
    return json.dumps(value, ensure_ascii=False)


def national_literal(value: str) -> str:
    """`value` as a text constant of T-SQL, whatever letters are in it."""
    return "N" + literal(value)


def spark_identifier(name: str) -> str:
    """`name` in backquotes, as Databricks SQL reads it, dots and all."""
    return "`" + name.replace("`", "``") + "`"


def spark_path(dotted: str) -> str:
    """`catalog.schema.table`, or a nested column, each part in backquotes."""
    return ".".join(spark_identifier(part) for part in dotted.split("."))


def spark_literal(value: str) -> str:
    """`value` as a text constant of Databricks SQL, whose backslashes escape."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
