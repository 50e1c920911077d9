"""What each Databricks type lands as, or why it can't, and which configured columns the source does not give."""

from __future__ import annotations

import pytest

from lpmops.config import Column, Kpi, Routing
from lpmops.routing.source import SourceColumn, check, landing_type, struct_fields

TYPES = {
    "string": "NVARCHAR(MAX)", "char(12)": "NVARCHAR(12)", "varchar(40)": "NVARCHAR(40)", "varchar(5000)": "NVARCHAR(MAX)", "boolean": "BIT",
    "tinyint": "SMALLINT", "BYTE": "SMALLINT", "smallint": "SMALLINT", "short": "SMALLINT", "int": "INT", "integer": "INT", "bigint": "BIGINT",
    "long": "BIGINT", "float": "FLOAT", "real": "FLOAT", "double": "FLOAT", "decimal": "BIGINT", "decimal(18,0)": "BIGINT",
    "decimal(10,2)": "DECIMAL(10, 2)", "DECIMAL(15, 15)": "DECIMAL(15, 15)", "date": "DATE", "timestamp": "DATETIME2(6)",
    "timestamp_ntz": "DATETIME2(6)", "time(6)": "NVARCHAR(20)", "array<string>": "NVARCHAR(MAX)", "map<string,int>": "NVARCHAR(MAX)",
    "struct<a:int>": "NVARCHAR(MAX)", "variant": "NVARCHAR(MAX)", "binary": "NVARCHAR(MAX)", "interval day to second": "NVARCHAR(128)",
}  # fmt: skip
REFUSED = {
    "decimal(38,10)": "up to 38 digits", "decimal(16,2)": "holds 15", "decimal(19,0)": "up to 19 digits", "decimal(39,2)": "no type",
    "void": "no values",     "geography(4326)": "ST_AsText", "geometry": "ST_AsText",
    "object": "no type of a table's column", "decimal(5,7)": "no type", "": "no type",
    "money": "no type that lpmops knows",
}  # fmt: skip
SOURCE = [
    SourceColumn("tdr_id", "string"),
    SourceColumn("info_companyid", "string"),
    SourceColumn("disposition", "string"),
    SourceColumn("duration_seconds", "double"),
    SourceColumn("calls", "bigint"),
    SourceColumn("money", "decimal(38,10)"),
    SourceColumn(
        "sipreq",
        "struct<method:string,via:array<string>,`odd, name`:struct<x:decimal(5,2)> NOT NULL,Case:string COMMENT 'a, b'>",
    ),
]


def problems(*columns: Column) -> tuple[str, ...]:
    found = check(columns, Routing(), Kpi(), SOURCE)
    return (*found.refusals, *found.warnings)


@pytest.mark.parametrize(("source", "target"), TYPES.items())
def test_every_databricks_type_that_stays_whole_has_a_column_type(source: str, target: str) -> None:
    assert landing_type(source) == target


@pytest.mark.parametrize(("source", "reason"), REFUSED.items())
def test_every_other_type_is_refused_with_the_reason(source: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        landing_type(source)


def test_what_is_configured_as_the_source_has_it_is_well() -> None:
    assert problems(
        Column("disposition", "NVARCHAR(20)"),
        Column("duration_seconds", "FLOAT"),
        Column("calls", "BIGINT"),
        Column("method", "NVARCHAR(20)", "sipreq.method"),
        Column("x", "FLOAT", "sipreq.odd, name.x"),
        Column("sipreq", "NVARCHAR(MAX)"),
    ) == ()  # fmt: skip


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (Column("caller", "NVARCHAR(20)"), "The source has no column caller, which lands as caller"),
        (Column("Disposition", "NVARCHAR(20)"), "It has disposition: names are compared with their case"),
        (Column("method", "NVARCHAR(20)", "sipreq.Method"), "no column sipreq.Method"),
        (Column("money", "FLOAT"), "can't land: it has up to 38 digits"),
        (Column("calls", "INT"), "a value can be larger than it holds"),
        (Column("sipreq", "NVARCHAR(4000)"), "its JSON can be longer"),
        (Column("disposition", "BIGINT"), "it is another type"),
    ],
)
def test_what_the_source_does_not_give_or_not_whole_is_named(column: Column, reason: str) -> None:
    assert any(reason in problem for problem in problems(column))


def test_a_source_without_key_record_or_measures_is_named() -> None:
    found = check((), Routing(), Kpi(), [SourceColumn("sipreq", "string")])
    assert [words.split(",")[0] for words in found.refusals] == [
        "The source has no column info_companyid",
        "The source has no column tdr_id",
    ]
    assert [words.split(",")[0] for words in found.warnings] == [
        "The source has no column disposition",
        "The source has no column duration_seconds",
    ]


def test_nested_fields_are_read_whatever_their_names() -> None:
    assert struct_fields(SOURCE[-1].type) == {
        "method": "string", "via": "array<string>", "odd, name": "struct<x:decimal(5,2)>", "Case": "string",
    }  # fmt: skip
