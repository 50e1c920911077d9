"""The source table's columns: which type each lands as, and whether the configured columns can be read from it.

Between Databricks and SQL stands JSON: a row is written with `to_json`, read by Stream Analytics as bigint, float, nvarchar(max), record or array,
and written to a column. A type that is not whole after that way is refused with the reason rather than landed wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lpmops.config import Column, Kpi, Routing
from lpmops.routing.columns import landing_columns
from lpmops.routing.landing import unfit

# A float carries 15 decimal digits whole, and Stream Analytics has no decimal type (asa-query/data-types).
_DIGITS = 15
_PLAIN = {
    "string": "NVARCHAR(MAX)", "boolean": "BIT", "tinyint": "SMALLINT", "byte": "SMALLINT", "smallint": "SMALLINT", "short": "SMALLINT",
    "int": "INT", "integer": "INT", "bigint": "BIGINT", "long": "BIGINT", "float": "FLOAT", "real": "FLOAT", "double": "FLOAT",
    "date": "DATE", "timestamp": "DATETIME2(6)", "timestamp_ltz": "DATETIME2(6)", "timestamp_ntz": "DATETIME2(6)", "time": "NVARCHAR(20)",
    "array": "NVARCHAR(MAX)", "map": "NVARCHAR(MAX)", "struct": "NVARCHAR(MAX)", "variant": "NVARCHAR(MAX)", "binary": "NVARCHAR(MAX)",
    "interval": "NVARCHAR(128)",
}  # fmt: skip
_REFUSED = {
    "void": "a column of no type has no values",
    "null": "a column of no type has no values",
    "geometry": "to_json does not write it: land ST_AsText of it instead",
    "geography": "to_json does not write it: land ST_AsText of it instead",
    "object": "it is no type of a table's column",
    "user_defined_type": "nothing but its own library reads it",
    "table_type": "it is no type of a table's column",
}
_HEAD = re.compile(r"\s*([a-z_]+)\s*(?:\(\s*(\d+)\s*(?:,\s*(-?\d+)\s*)?\))?", re.IGNORECASE)
_NESTED = ("array", "map", "struct", "variant")


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column of the source table, its type as Unity Catalog writes it (`decimal(10,2)`, `struct<method:string>`)."""

    name: str
    type: str
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """Whether what is configured can be read from the source."""

    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def landing_type(source_type: str) -> str:
    """The T-SQL type that a Databricks type lands as. Raises ValueError with the reason for one that can't land whole."""
    name, size, scale = _head(source_type)
    if name in ("char", "varchar", "character"):
        return f"NVARCHAR({size})" if 0 < size <= 4_000 else "NVARCHAR(MAX)"
    if name in ("decimal", "dec", "numeric"):
        return _decimal(size or 10, scale)
    if name in _PLAIN:
        return _PLAIN[name]
    raise ValueError(_REFUSED.get(name, f"{source_type[:60]} is no type that lpmops knows"))


def _decimal(precision: int, scale: int) -> str:
    if scale < 0 or precision > 38 or scale > precision:
        raise ValueError(f"decimal({precision},{scale}) is no type of a table's column")
    if scale == 0 and precision <= 18:
        # A whole number arrives as bigint, which holds 18 digits whole.
        return "BIGINT"
    if precision > _DIGITS:
        raise ValueError(
            f"it has up to {precision} digits, and Stream Analytics reads a number with a fraction as float, which holds {_DIGITS}: "
            "land it from a column that holds it as a string"
        )
    return f"DECIMAL({precision}, {scale})"


def check(columns: Iterable[Column], routing: Routing, kpi: Kpi, source: Iterable[SourceColumn]) -> SourceCheck:
    """Hold the configured columns beside the source's."""
    there = {column.name: column for column in source}
    refusals, warnings = list[str](), list[str]()
    needed = {"routing.key": routing.key, "routing.record": routing.record}
    for setting, path in needed.items():
        if _find(path, there) is None:
            refusals.append(f"The source has no column {path}, which {setting} names.{_near(path, there)}")
    for setting, path in (("kpi.disposition", kpi.disposition), ("kpi.duration_seconds", kpi.duration_seconds)):
        if _find(path, there) is None:
            warnings.append(
                f"The source has no column {path}, which {setting} names: nothing is counted by it.{_near(path, there)}"
            )
    given = tuple(columns)
    for column in landing_columns(given, routing):
        path = column.source or column.name
        found = _find(path, there)
        if found is None:
            (refusals if column in given else warnings).append(
                f"The source has no column {path}, which lands as {column.name}.{_near(path, there)}"
            )
            continue
        try:
            natural = landing_type(found)
        except ValueError as error:
            refusals.append(f"The column {path} can't land: {error}.")
            continue
        if reason := _misfit(column.type, natural, found):
            warnings.append(
                f"The column {path} is {found[:60]} and lands as {column.type}: {reason}. A value that does not fit lands as NULL."
            )
    return SourceCheck(tuple(refusals), tuple(warnings))


def _misfit(configured: str, natural: str, found: str) -> str:
    name = _head(found)[0]
    text = configured.upper().startswith(("NVARCHAR", "VARCHAR"))
    if text and name in ("string", *_NESTED, "binary"):
        # A string has no length of its own, so the configured one is what was chosen for it.
        return "" if name == "string" or configured.upper().endswith("(MAX)") else "its JSON can be longer"
    if text:
        return unfit(natural, configured) if natural.startswith("NVARCHAR") else ""
    kept = {("DATE", "DATETIME2"), ("INT", "FLOAT"), ("SMALLINT", "FLOAT"), ("DECIMAL", "FLOAT")}
    return "" if (_name(natural), _name(configured)) in kept else unfit(natural, configured)


def _name(kind: str) -> str:
    return kind.upper().partition("(")[0]


def _find(path: str, there: Mapping[str, SourceColumn]) -> str | None:
    """The type at a path such as `sipreq.method`; None where there is none. Names are those of JSON: case counts."""
    first, *rest = path.split(".")
    if path in there:
        return there[path].type
    found = there[first].type if first in there else None
    for part in rest:
        if found is None:
            return None
        name = _head(found)[0]
        if name in ("variant", "map"):
            return "variant"
        found = struct_fields(found).get(part) if name == "struct" else None
    return found


def _near(path: str, there: Mapping[str, SourceColumn]) -> str:
    same = [name for name in there if name.casefold() == path.casefold()]
    return f" It has {same[0]}: names are compared with their case." if same else ""


def _head(text: str) -> tuple[str, int, int]:
    match = _HEAD.match(text)
    return (match[1].lower(), int(match[2] or 0), int(match[3] or 0)) if match else ("", 0, 0)


def struct_fields(text: str) -> dict[str, str]:
    """The fields of a `struct<...>` by name, with their types as written."""
    inside = text.strip()
    inside = inside[inside.find("<") + 1 : inside.rfind(">")]
    fields, start, depth, quote = {}, 0, 0, ""
    for place, character in enumerate(f"{inside},"):
        if quote:
            quote = "" if character == quote else quote
        elif character in "`'":
            # A name, or the text of a comment.
            quote = character
        elif character in "<(":
            depth += 1
        elif character in ">)":
            depth -= 1
        elif character == "," and depth == 0:
            name, kind = _field(inside[start:place])
            if name:
                fields[name] = kind
            start = place + 1
    return fields


def _field(text: str) -> tuple[str, str]:
    text = text.strip()
    if text.startswith("`"):
        end = text.find("`", 1)
        while end >= 0 and text[end : end + 2] == "``":
            end = text.find("`", end + 2)
        name, rest = text[1:end].replace("``", "`"), text[end + 1 :].lstrip().removeprefix(":")
    else:
        name, _, rest = text.partition(":")
    return name.strip(), re.sub(r"\s+(NOT NULL|COMMENT\s.*)$", "", rest.strip(), flags=re.IGNORECASE | re.DOTALL)
