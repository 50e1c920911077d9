"""A parsed query run over rows held in memory.

Every expression is first bound to the columns it reads, which finds unknown names before a row is touched, and then called row by row. Text compares
with case unless the operator says otherwise; a missing string is empty, as in Kusto; any other missing value is null and compares to nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lpmops.sandbox.azure.kql_functions import AGGREGATES, COMPARISONS, FUNCTIONS, KEEPS_NAME, calculate
from lpmops.sandbox.azure.kql_lexer import KqlError
from lpmops.sandbox.azure.kql_parser import (
    Between,
    Binary,
    Column,
    Expression,
    Invoke,
    Literal,
    Member,
    Membership,
    Named,
    Ordering,
    Query,
    Step,
)

Row = dict[str, Any]
Schema = dict[str, str]
_CLR = {
    "string": "System.String", "datetime": "System.DateTime", "long": "System.Int64", "int": "System.Int32", "real": "System.Double",
    "bool": "System.SByte", "dynamic": "System.Object", "timespan": "System.TimeSpan",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Table:
    """Rows and the type of each column, in order."""

    schema: Schema
    rows: list[Row]
    name: str = "PrimaryResult"


@dataclass(frozen=True, slots=True)
class Bound:
    """An expression that knows its type and its columns."""

    type: str
    value: Callable[[Row], Any]


def semantic_error(message: str, code: str = "SEM0100") -> KqlError:
    """A name or type that does not fit."""
    return KqlError("SemanticError", code, message)


def run(query: Query, tables: Mapping[str, Table], now: datetime) -> Table:
    """The query's answer. Raises KqlError for unknown tables, columns, functions and impossible comparisons."""
    table = _source(query, tables)
    for step in query.steps:
        table = _STEPS[step.operator](step, table, _Binder(table.schema, now, step.operator))
    return table


def _source(query: Query, tables: Mapping[str, Table]) -> Table:
    """The rows that the query begins with; a union has the columns of all its tables."""
    found = [tables[token.text] for token in query.tables if token.text in tables]
    missing = [token.text for token in query.tables if token.text not in tables]
    if missing and (not query.fuzzy or not found):
        raise semantic_error(
            f"'{missing[0]}' operator: Failed to resolve table or column expression named '{missing[0]}'"
        )
    schema: Schema = {}
    for table in found:
        for name, kind in table.schema.items():
            if schema.setdefault(name, kind) != kind:
                # Kusto makes two columns of such a one (Name_string, Name_long).
                raise semantic_error(f"'union' operator: the column '{name}' is of two types, which is not run here")
    return Table(schema, [row for table in found for row in table.rows])


class _Binder:
    """Binds expressions to one schema."""

    def __init__(self, schema: Schema, now: datetime, operator: str) -> None:
        self.schema = schema
        self._now = now
        self._operator = operator

    def bind(self, expression: Expression) -> Bound:
        if isinstance(expression, Literal):
            held = expression.value
            return Bound(_type_of(held), lambda _: held)
        if isinstance(expression, Column):
            return self._column(expression)
        if isinstance(expression, Member):
            whole, key = self.bind(expression.whole), expression.key
            if whole.type != "dynamic":
                raise semantic_error(
                    f"'{self._operator}' operator: a value of type {whole.type} has no member '{key}'; use parse_json()"
                )
            return Bound("dynamic", lambda row: _member(whole.value(row), key))
        if isinstance(expression, Membership):
            return self._membership(expression)
        if isinstance(expression, Between):
            low = Binary(">=", expression.value, expression.low, expression.token)
            high = Binary("<=", expression.value, expression.high, expression.token)
            both, negated = self.bind(Binary("and", low, high, expression.token)), expression.negated
            return Bound("bool", lambda row: bool(both.value(row)) != negated)
        if isinstance(expression, Binary):
            return self._binary(expression)
        return self._invoke(expression)

    def _column(self, column: Column) -> Bound:
        name = column.name
        if name not in self.schema:
            raise semantic_error(f"'{self._operator}' operator: Failed to resolve scalar expression named '{name}'")
        if self.schema[name] == "string":
            return Bound("string", lambda row: row.get(name) or "")
        return Bound(self.schema[name], lambda row: row.get(name))

    def _membership(self, expression: Membership) -> Bound:
        value, choices = self.bind(expression.value), [self.bind(each) for each in expression.choices]
        for choice in choices:
            self._comparable(value, choice)
        negated, blind = expression.negated, expression.blind

        def holds(row: Row) -> bool:
            held = _folded(value.value(row), blind)
            return any(held == _folded(choice.value(row), blind) for choice in choices) != negated

        return Bound("bool", holds)

    def _binary(self, expression: Binary) -> Bound:
        operator = expression.operator
        left, right = self.bind(expression.left), self.bind(expression.right)
        if operator in ("and", "or"):
            for side in (left, right):
                if side.type not in ("bool", "dynamic"):
                    raise semantic_error(f"Operator '{operator}' needs bool, not {side.type}")
            if operator == "and":
                return Bound("bool", lambda row: bool(left.value(row)) and bool(right.value(row)))
            return Bound("bool", lambda row: bool(left.value(row)) or bool(right.value(row)))
        if operator in _ARITHMETIC:
            return _arithmetic(operator, left, right)
        self._comparable(left, right)
        test = COMPARISONS[
            operator.removeprefix("!") if operator.startswith("!") and operator not in ("!=", "!~") else operator
        ]
        flip = operator.startswith("!") and operator not in ("!=", "!~")
        return Bound("bool", lambda row: test(left.value(row), right.value(row)) != flip)

    def _comparable(self, left: Bound, right: Bound) -> None:
        numbers = {"long", "real", "int"}
        same = left.type == right.type or {left.type, right.type} <= numbers or "dynamic" in (left.type, right.type)
        if not same:
            raise semantic_error(
                f"Cannot compare values of types {left.type} and {right.type}. Try adding explicit casts", "SEM0064"
            )

    def _invoke(self, expression: Invoke) -> Bound:
        name = expression.name
        if name in AGGREGATES:
            raise semantic_error(f"Function '{name}' is an aggregate and can only be used in summarize")
        if name == "now" and not expression.arguments:
            now = self._now
            return Bound("datetime", lambda _: now)
        if name == "ago" and len(expression.arguments) == 1:
            span = self.bind(expression.arguments[0])
            if span.type != "timespan":
                raise semantic_error(f"Function 'ago' needs a timespan, not {span.type}")
            now = self._now
            return Bound("datetime", lambda row: now - span.value(row))
        if name == "column_ifexists" and len(expression.arguments) == 2:
            return self._column_if_exists(expression)
        if name not in FUNCTIONS:
            raise semantic_error(
                f"Unknown function: '{name}'. This sandbox runs {', '.join(sorted([*FUNCTIONS, 'ago', 'column_ifexists', 'now']))}",
                "SEM0260",
            )
        count, result, function = FUNCTIONS[name]
        arguments = [self.bind(each) for each in expression.arguments]
        if len(arguments) not in count:
            raise semantic_error(
                f"Function '{name}' takes {' or '.join(map(str, count))} arguments, not {len(arguments)}", "SEM0219"
            )
        kind = result or (arguments[1].type if name in ("iff", "iif") else arguments[0].type)
        return Bound(kind, lambda row: function(*[each.value(row) for each in arguments]))

    def _column_if_exists(self, expression: Invoke) -> Bound:
        name, default = expression.arguments
        if not isinstance(name, Literal) or not isinstance(name.value, str):
            raise semantic_error("Function 'column_ifexists' needs the name of a column as a text")
        exists = name.value in self.schema
        return self.bind(Column(name.value, expression.token) if exists else default)


def _where(step: Step, table: Table, binder: _Binder) -> Table:
    assert step.condition is not None
    condition = binder.bind(step.condition)
    if condition.type not in ("bool", "dynamic"):
        raise semantic_error(f"'where' operator: the predicate is {condition.type}, not bool")
    return Table(table.schema, [row for row in table.rows if condition.value(row) is True])


def _extend(step: Step, table: Table, binder: _Binder) -> Table:
    schema, rows = dict(table.schema), [dict(row) for row in table.rows]
    for name, bound in _bind_all(step.columns, binder):
        values = [bound.value(row) for row in rows]
        schema[name] = bound.type
        for row, value in zip(rows, values, strict=True):
            row[name] = value
        # A column of one extend can be read by the next of the same extend only in another step, as in Kusto.
    return Table(schema, rows)


def _project(step: Step, table: Table, binder: _Binder) -> Table:
    bound = _bind_all(step.columns, binder)
    rows = [{name: each.value(row) for name, each in bound} for row in table.rows]
    return Table({name: each.type for name, each in bound}, rows)


def _summarize(step: Step, table: Table, binder: _Binder) -> Table:
    keys = _bind_all(step.by, binder)
    taken = {name for name, _ in keys}
    aggregates = []
    for named in step.columns:
        if not isinstance(named.expression, Invoke) or named.expression.name not in AGGREGATES:
            known = ", ".join(sorted(AGGREGATES))
            raise semantic_error(f"'summarize' operator: each column must be one of the aggregates {known}")
        arguments = [binder.bind(each) for each in named.expression.arguments]
        least, most, function, kind = AGGREGATES[named.expression.name]
        if not least <= len(arguments) <= most:
            raise semantic_error(
                f"Function '{named.expression.name}' does not take {len(arguments)} arguments", "SEM0219"
            )
        name = _unique(named.name or _aggregate_name(named.expression), taken)
        aggregates.append((name, kind or arguments[0].type, function, arguments))
    grouped: dict[str, tuple[list[Any], list[Row]]] = {}
    for row in table.rows:
        values = [each.value(row) for _, each in keys]
        grouped.setdefault(json.dumps(values, default=str), (values, []))[1].append(row)
    if not keys and not grouped:
        grouped["[]"] = ([], [])
    rows = []
    for values, members in grouped.values():
        made = dict(zip([name for name, _ in keys], values, strict=True))
        for name, _, function, arguments in aggregates:
            made[name] = function([tuple(each.value(row) for each in arguments) for row in members])
        rows.append(made)
    schema = {name: each.type for name, each in keys} | {name: kind for name, kind, _, _ in aggregates}
    return Table(schema, rows)


def _sort(step: Step, table: Table, binder: _Binder) -> Table:
    rows = list(table.rows)
    for ordering in reversed(step.order):
        rows = _sorted(rows, ordering, binder)
    return Table(table.schema, rows)


def _sorted(rows: list[Row], ordering: Ordering, binder: _Binder) -> list[Row]:
    bound = binder.bind(ordering.expression)
    keyed = [(bound.value(row), row) for row in rows]
    nulls = [row for key, row in keyed if key is None]
    present = sorted(
        (each for each in keyed if each[0] is not None),
        key=lambda each: _sort_key(each[0]),
        reverse=ordering.descending,
    )
    kept = [row for _, row in present]
    return [*nulls, *kept] if ordering.nulls_first else [*kept, *nulls]


def _sort_key(value: Any) -> Any:
    return json.dumps(value, default=str) if isinstance(value, dict | list) else value


def _top(step: Step, table: Table, binder: _Binder) -> Table:
    return Table(table.schema, _sort(step, table, binder).rows[: step.limit])


def _take(step: Step, table: Table, binder: _Binder) -> Table:
    del binder
    return Table(table.schema, table.rows[: step.limit])


def _count(step: Step, table: Table, binder: _Binder) -> Table:
    del step, binder
    return Table({"Count": "long"}, [{"Count": len(table.rows)}])


def _getschema(step: Step, table: Table, binder: _Binder) -> Table:
    del step, binder
    rows = [
        {"ColumnName": name, "ColumnOrdinal": at, "DataType": _CLR[kind], "ColumnType": kind}
        for at, (name, kind) in enumerate(table.schema.items())
    ]
    return Table(
        {"ColumnName": "string", "ColumnOrdinal": "int", "DataType": "string", "ColumnType": "string"},
        rows,
        "getschema",
    )


_STEPS: dict[str, Callable[[Step, Table, _Binder], Table]] = {
    "where": _where, "extend": _extend, "project": _project, "summarize": _summarize, "sort": _sort, "top": _top, "take": _take, "count": _count,
    "getschema": _getschema,
}  # fmt: skip


def _bind_all(columns: Iterable[Named], binder: _Binder) -> list[tuple[str, Bound]]:
    taken: set[str] = set()
    return [
        (_unique(named.name or _own_name(named.expression) or "Column", taken), binder.bind(named.expression))
        for named in columns
    ]


def _unique(name: str, taken: set[str]) -> str:
    found, number = name, 0
    while found in taken:
        number += 1
        found = f"{name}{number}"
    taken.add(found)
    return found


def _own_name(expression: Expression) -> str | None:
    if isinstance(expression, Column):
        return expression.name
    if isinstance(expression, Member):
        whole = _own_name(expression.whole)
        return f"{whole}_{expression.key}" if whole else None
    if isinstance(expression, Invoke) and expression.arguments and expression.name in KEEPS_NAME:
        return _own_name(expression.arguments[0])
    return None


def _aggregate_name(expression: Invoke) -> str:
    inner = _own_name(expression.arguments[0]) if expression.arguments else None
    return inner if inner and expression.name == "take_any" else f"{expression.name}_{inner or ''}"


def _member(whole: Any, key: str | int) -> Any:
    if isinstance(whole, dict) and isinstance(key, str):
        return whole.get(key)
    if isinstance(whole, list) and isinstance(key, int) and -len(whole) <= key < len(whole):
        return whole[key]
    return None


def _type_of(value: Any) -> str:
    for kind, name in (
        (bool, "bool"),
        (int, "long"),
        (float, "real"),
        (datetime, "datetime"),
        (timedelta, "timespan"),
        (str, "string"),
    ):
        if isinstance(value, kind):
            return name
    return "dynamic"


def _folded(value: Any, blind: bool) -> Any:
    return value.lower() if blind and isinstance(value, str) else value


_ARITHMETIC = frozenset("+-*/%")


def _arithmetic(operator: str, left: Bound, right: Bound) -> Bound:
    kinds = {
        ("datetime", "datetime", "-"): "timespan",
        ("datetime", "timespan", "-"): "datetime",
        ("datetime", "timespan", "+"): "datetime",
        ("timespan", "timespan", "+"): "timespan",
        ("timespan", "timespan", "-"): "timespan",
        ("timespan", "timespan", "/"): "real",
        ("timespan", "long", "*"): "timespan",
        ("long", "timespan", "*"): "timespan",
        ("long", "timespan", "-"): "timespan",
    }
    numbers = {"long", "real", "int"}
    kind = kinds.get((left.type, right.type, operator))
    if kind is None and {left.type, right.type} <= numbers:
        kind = "real" if "real" in (left.type, right.type) else "long"
    if kind is None:
        raise semantic_error(f"Operator '{operator}' can't be applied to {left.type} and {right.type}", "SEM0064")
    whole = kind == "long"

    def value(row: Row) -> Any:
        a, b = left.value(row), right.value(row)
        if a is None or b is None:
            return None
        if isinstance(b, timedelta) and isinstance(a, int):
            return b * a if operator == "*" else timedelta(seconds=a) - b
        try:
            return calculate(operator, a, b, whole)
        except (ZeroDivisionError, OverflowError):
            return None

    return Bound(kind, value)
