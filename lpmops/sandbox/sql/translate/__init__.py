"""T-SQL statements into SQLite programs: whitelist in, typed SQL out.

`translate` takes a statement of the tree, a catalog and the types of the variables in sight, and gives a Program: SQLite text, what to
bind, the result's T-SQL types, and the permissions to check before it runs. Nothing is executed here, and nothing outside the subset
passes.
"""

from __future__ import annotations

from collections.abc import Mapping

from lpmops.sandbox.sql.catalog import Catalog
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.syntax import (
    Delete,
    Expression,
    Insert,
    Query,
    Select,
    SelectStatement,
    SetOperation,
    Statement,
    Truncate,
    Update,
    Variable,
)
from lpmops.sandbox.sql.translate import changes, expressions, queries
from lpmops.sandbox.sql.translate.coercion import coerce
from lpmops.sandbox.sql.translate.scope import Scope
from lpmops.sandbox.sql.translate.translation import Bind, OutputColumn, Program, Translation
from lpmops.sandbox.sql.types import INT, SqlType

__all__ = [
    "Bind",
    "OutputColumn",
    "Program",
    "Translation",
    "infer_parameters",
    "translate",
    "translate_condition",
    "translate_value",
    "view_columns",
]


def translate(
    statement: Statement,
    catalog: Catalog,
    variables: Mapping[str, SqlType],
    database: str,
    default_schema: str = "dbo",
    identity_insert: int = 0,
) -> Program:
    """A query or a change of rows. Raises SqlError."""
    return _program(Translation(catalog, variables, database, default_schema), statement, identity_insert)


def _program(t: Translation, statement: Statement, identity_insert: int) -> Program:
    match statement:
        case SelectStatement():
            return _select(t, statement.query)
        case Insert():
            return changes.insert(t, statement, identity_insert)
        case Update():
            return changes.update(t, statement)
        case Delete():
            return changes.delete(t, statement)
        case Truncate():
            return changes.truncate(t, statement)
    raise SqlError(8624, f"Internal Query Processor Error: no plan for {type(statement).__name__}.", 16, 1)


def _select(t: Translation, query: Query) -> Program:
    targets = _targets(query)
    translated = queries.query(t, query, None)
    columns = tuple(
        OutputColumn(column.name, column.fragment.known_type, column.fragment.nullable) for column in translated.columns
    )
    sql = translated.sql
    kinds: tuple[tuple[str, SqlType], ...] = ()
    if targets:
        kinds = tuple((name.casefold(), t.variable(name).known_type) for name in targets)
        own = t.alias()
        fragments = [column.fragment for column in translated.columns]
        cast = [
            coerce(
                t,
                type(fragment)(f"{own}.c{place}", fragment.type, fragment.nullable),
                kind,
                explicit=kind.is_character or kind.is_binary,
            ).sql
            for place, (fragment, (_, kind)) in enumerate(zip(fragments, kinds, strict=True), 1)
        ]
        sql = f"SELECT {', '.join(cast)} FROM ({sql}) AS {own}"
        columns = ()
    return Program("SELECT", sql, t.finished(), columns, tuple(t.needs), tuple(t.rights), 0, kinds, t.locks)


def _targets(query: Query) -> list[str]:
    """The variables a SELECT assigns. Raises SqlError 141 where it also returns rows."""
    body = query.body
    if isinstance(body, SetOperation):
        return []
    found = [item.target for item in body.items if item.target is not None]
    if found and len(found) != len(body.items):
        text = (
            "A SELECT statement that assigns a value to a variable must not be combined with data-retrieval operations."
        )
        raise SqlError(141, text, 15, 1)
    if found and body.source is not None:
        _refuse_accumulation(body)
    return found


def _refuse_accumulation(body: Select) -> None:
    """SELECT @a = @a + x FROM t goes row by row in SQL Server, in an order nobody promises."""
    from lpmops.sandbox.sql import errors

    for item in body.items:
        if item.target is not None and _mentions(item.value, item.target.casefold()):
            raise errors.unsupported_feature(f"SELECT {item.target} = {item.target} ... FROM")


def _mentions(node: object, variable: str) -> bool:
    from dataclasses import fields, is_dataclass

    if isinstance(node, Variable):
        return node.name.casefold() == variable
    if isinstance(node, tuple):
        return any(_mentions(item, variable) for item in node)
    return is_dataclass(node) and any(_mentions(getattr(node, entry.name), variable) for entry in fields(node))


def translate_condition(
    node: Expression, catalog: Catalog, variables: Mapping[str, SqlType], database: str, default_schema: str = "dbo"
) -> Program:
    """The condition of IF or WHILE, as a query of one whole number."""
    t = Translation(catalog, variables, database, default_schema)
    sql = f"SELECT {expressions.condition(t, Scope(), node)}"
    return Program(
        "SELECT", sql, t.finished(), (OutputColumn("", INT),), tuple(t.needs), tuple(t.rights), locks=t.locks
    )


def translate_value(
    node: Expression,
    kind: SqlType | None,
    catalog: Catalog,
    variables: Mapping[str, SqlType],
    database: str,
    default_schema: str = "dbo",
) -> Program:
    """One expression as a query of one value, brought to a type where one is given (cut to it, as assignment to a variable cuts)."""
    t = Translation(catalog, variables, database, default_schema)
    if expressions.is_condition(node):
        raise SqlError(102, "Incorrect syntax near the condition.", 15, 1)
    fragment = expressions.value(t, Scope(), node)
    if kind is not None:
        fragment = coerce(
            t,
            fragment,
            kind,
            explicit=(kind.is_character or kind.is_binary) and fragment.known_type.name != "sql_variant",
        )
    return Program(
        "SELECT",
        f"SELECT {fragment.sql}",
        t.finished(),
        (OutputColumn("", fragment.known_type),),
        tuple(t.needs),
        tuple(t.rights),
    )


def view_columns(
    query: Query, names: tuple[str, ...], view: str, catalog: Catalog, database: str, default_schema: str
) -> tuple[OutputColumn, ...]:
    """The names and types that a view's query gives. Raises SqlError where it does not hold."""
    t = Translation(catalog, {}, database, default_schema)
    translated = queries.query(t, query, None, nested="view")
    columns = queries.renamed(translated.columns, names, view)
    return tuple(OutputColumn(column.name, column.fragment.known_type, column.fragment.nullable) for column in columns)


def infer_parameters(
    statements: tuple[Statement, ...],
    catalog: Catalog,
    declared: Mapping[str, SqlType],
    database: str,
    default_schema: str = "dbo",
) -> dict[str, SqlType]:
    """The types that undeclared parameters of a batch should have, by where they stand (sp_describe_undeclared_parameters)."""
    t = Translation(catalog, declared, database, default_schema, infers=True)
    for statement in statements:
        if isinstance(statement, (SelectStatement, Insert, Update, Delete)):
            _program(t, statement, 0)
    return t.inferred
