"""No id and no name changes the shape of what is sent: the tokens of two texts differ in their constants and quoted names alone."""

from __future__ import annotations

from typing import Any

import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from lpmops.config import Column, Kpi, Routing
from lpmops.routing import privileges, quoting, schema
from lpmops.routing.query import Share, job_query
from lpmops.sandbox.asa import tokens as asa
from lpmops.sandbox.asa.diagnostics import SourceText
from lpmops.sandbox.sql import lexer
from tests.routing.hostile import ids, names

COLUMNS = (Column("call_id", "NVARCHAR(128)"), Column("method", "NVARCHAR(20)", "sipreq.method"))


def shape_of_query(text: str) -> list[tuple[Any, ...]]:
    script = asa.split(SourceText(text))
    return [
        (len(part.tokens), [token.token_type for token in part.tokens]) for part in (*script.steps, *script.statements)
    ]


def shape_of_sql(text: str) -> list[Any]:
    return [token.kind for token in lexer.tokenize(text)]


@settings(max_examples=50)
@given(st.lists(ids, min_size=1, max_size=6, unique=True), st.lists(names, min_size=1, max_size=3, unique=True))
def test_no_id_and_no_database_changes_the_shape_of_a_query(companies: list[str], databases: list[str]) -> None:
    def rendered(company_ids: list[str], database_names: list[str]) -> str:
        return job_query(
            Share(tuple(database_names), companies={database_names[0]: company_ids}), COLUMNS, Routing(), Kpi()
        )

    plain = rendered(
        [f"c{number}" for number in range(len(companies))], sorted(f"d{number}" for number in range(len(databases)))
    )
    assert shape_of_query(rendered(companies, sorted(databases))) == shape_of_query(plain)


@settings(max_examples=25)
@given(st.lists(names, min_size=5, max_size=5))
def test_no_configured_path_or_word_changes_the_shape_of_a_query(words: list[str]) -> None:
    def rendered(key: str, record: str, disposition: str, answered: str, failed: str) -> str:
        routing = Routing(key=key, record=record)
        kpi = Kpi(disposition=disposition, answered=answered, failed=failed)
        return job_query(["lpm-01"], COLUMNS, routing, kpi)

    paths, constants = [word.replace(".", "_") for word in words[:3]], words[3:]
    assert shape_of_query(rendered(*paths, *constants)) == shape_of_query(
        rendered("key", "record", "disposition", "answered", "failed")
    )


@settings(max_examples=50)
@given(names)
def test_no_name_of_an_identity_or_a_column_changes_the_shape_of_a_statement(name: str) -> None:
    def granted(identity: str) -> list[str]:
        return [
            privileges.user(identity),
            privileges.on_object(identity, "lpm.tdr", ("SELECT", "INSERT")),
            privileges.in_database(identity, ("VIEW DATABASE STATE",)),
            privileges.no_user(identity),
        ]

    for hostile, plain in zip(granted(name), granted("asa-lpm-01"), strict=True):
        assert shape_of_sql(hostile) == shape_of_sql(plain)
    added = [
        schema.fill(
            "table_add_column",
            table="lpm.tdr",
            table_text=quoting.national_literal("lpm.tdr"),
            column=quoting.identifier(word),
            column_text=quoting.national_literal(word),
            type="INT",
        )
        for word in (name, "plain")
    ]
    assert shape_of_sql(added[0]) == shape_of_sql(added[1])


@settings(max_examples=50)
@given(names, st.text(max_size=60))
def test_databricks_reads_back_the_name_and_the_text_that_were_meant(name: str, value: str) -> None:
    said = f"SELECT {quoting.spark_literal(value)} FROM {quoting.spark_identifier(name)}"
    select = sqlglot.parse_one(said, dialect="databricks")
    assert select.expressions == [exp.Literal.string(value)]
    table = select.find(exp.Table)
    assert table is not None
    assert (table.name, table.db) == (name, "")
