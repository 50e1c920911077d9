"""SELECT over the tables and their change feed: sqlglot reads Databricks' dialect and writes DuckDB's, which runs it on Arrow.

Only what is known to mean the same in both is let through: every table must be one of the workspace's (or `table_changes` of it), every function must
be on the list here. All else is refused by name, and DuckDB itself may touch neither files nor network. Only the columns that a query names are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot import exp

from lpmops.sandbox.databricks.sqlerrors import (
    SqlError,
    bad_parameter,
    column_not_found,
    execution_failed,
    syntax_error,
    table_not_found,
    unbound,
    unsupported,
)
from lpmops.sandbox.lake import errors
from lpmops.sandbox.lake.errors import DeltaFeedError
from lpmops.sandbox.lake.table import ChangeTable

Find = Callable[[Sequence[str]], ChangeTable]
Interrupt = Callable[[Callable[[], None]], None]

# Functions that mean the same in both dialects (by sqlglot's class), found by reading both manuals.
_FUNCTIONS: tuple[type[exp.Expr], ...] = (
    exp.Abs, exp.And, exp.Avg, exp.Case, exp.Cast, exp.Ceil, exp.Coalesce, exp.Concat, exp.ConcatWs, exp.Count, exp.CountIf, exp.CurrentDate,
    exp.CurrentTimestamp, exp.CurrentUser, exp.Floor, exp.Greatest, exp.If, exp.Least, exp.Length, exp.Lower, exp.Max, exp.Min, exp.Nullif,
    exp.Or, exp.RowNumber, exp.SHA2, exp.Substring, exp.Sum, exp.TimestampTrunc, exp.Trim, exp.TryCast, exp.Upper, exp.Xor,
)  # fmt: skip
_PARAMETER_TYPES = {
    "STRING": "STRING", "INT": "INT", "INTEGER": "INT", "SHORT": "SMALLINT", "SMALLINT": "SMALLINT", "BYTE": "TINYINT", "TINYINT": "TINYINT",
    "LONG": "BIGINT", "BIGINT": "BIGINT", "FLOAT": "FLOAT", "DOUBLE": "DOUBLE", "BOOLEAN": "BOOLEAN", "DATE": "DATE", "TIMESTAMP": "TIMESTAMP",
}  # fmt: skip
_INTEGERS = {"INT", "SMALLINT", "TINYINT", "BIGINT"}
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?Z?)?")


class Query:
    """One SELECT, from its text to its rows. `interrupt` is told how to stop it while it runs."""

    def __init__(self, find: Find, now: datetime, user: str, parameters: Mapping[str, exp.Expr]) -> None:
        self._find, self._now, self._user, self._parameters = find, now, user, parameters
        self._raised: list[Exception] = []

    def run(self, statement: str, interrupt: Interrupt) -> pa.Table:
        """The rows. Raises SqlError and DeltaFeedError."""
        tree = self._bound(_parsed(statement))
        _check(tree)
        names = _projection_names(tree)
        wanted = _wanted_columns(tree)
        connection = duckdb.connect(":memory:", config={"threads": 1})
        try:
            connection.execute(
                "SET TimeZone = 'UTC'; SET enable_external_access = false; SET python_enable_replacements = false"
            )
            interrupt(connection.interrupt)
            self._attach(connection, tree, wanted)
            relation = connection.sql(_alike(tree).sql(dialect="duckdb"))
            wide = [str(kind) == "HUGEINT" for kind in relation.types]
            table: pa.Table = relation.to_arrow_table()
        except duckdb.InterruptException:
            raise
        except duckdb.BinderException as error:
            raise column_not_found(_first_line(error)) from error
        except duckdb.Error as error:
            if self._raised:
                raise self._raised[0] from error
            raise execution_failed(_first_line(error)) from error
        finally:
            connection.close()
        # DuckDB sums integers to 128 bits, Databricks to 64.
        fields = [
            field.with_type(pa.int64()) if summed else field for field, summed in zip(table.schema, wide, strict=True)
        ]
        table = table.cast(pa.schema(fields))
        return table.rename_columns(
            [name or field.name for name, field in zip(names, table.schema, strict=True)]
            if names
            else table.column_names
        )

    def _bound(self, tree: exp.Expr) -> exp.Expr:
        """Parameters, the time and the user as literals."""

        def replaced(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Placeholder):
                name = str(node.this or "?")
                if name not in self._parameters:
                    raise unbound(name)
                return self._parameters[name].copy()
            if isinstance(node, exp.CurrentUser):
                return exp.Literal.string(self._user)
            if isinstance(node, exp.CurrentTimestamp):
                return exp.cast(exp.Literal.string(self._now.astimezone(UTC).isoformat()), "TIMESTAMPTZ")
            if isinstance(node, exp.CurrentDate):
                return exp.cast(exp.Literal.string(self._now.astimezone(UTC).date().isoformat()), "DATE")
            return node

        for projection in list(tree.selects) if isinstance(tree, exp.Query) else []:
            if isinstance(projection, exp.CurrentUser | exp.CurrentTimestamp | exp.CurrentDate | exp.Placeholder):
                projection.replace(exp.alias_(projection.copy(), _spark_name(projection), quoted=True))
        return tree.transform(replaced)

    # Tables

    def _attach(self, connection: duckdb.DuckDBPyConnection, tree: exp.Expr, wanted: set[str] | None) -> None:
        scopes = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
        for number, node in enumerate(list(tree.find_all(exp.Table))):
            if isinstance(node.this, exp.Identifier) and not node.db and node.name.lower() in scopes:
                continue
            local = f"t{number}"
            source, name = self._source(node, wanted)
            connection.register(local, source)
            node.set("alias", node.args.get("alias") or exp.TableAlias(this=exp.to_identifier(name, quoted=True)))
            node.set("this", exp.to_identifier(local))
            for part in ("db", "catalog", "version"):
                node.set(part, None)

    def _source(self, node: exp.Table, wanted: set[str] | None) -> tuple[Any, str]:
        if isinstance(node.this, exp.Anonymous):
            if str(node.this.this).lower() != "table_changes":
                raise unsupported(f"the table function {node.this.this}")
            return self._changes(node.this.expressions, wanted), "table_changes"
        if not isinstance(node.this, exp.Identifier):
            raise unsupported(f"{type(node.this).__name__} in FROM")
        table = self._find([part.name for part in node.parts])
        version = node.args.get("version")
        at: int | None = None
        if version is not None:
            if (
                version.name != "VERSION"
                or not isinstance(version.expression, exp.Literal)
                or version.expression.is_string
            ):
                raise unsupported("time travel other than VERSION AS OF a number")
            at = int(version.expression.name)
        dataset = table.snapshot(at).to_pyarrow_dataset()
        schema = table.arrow_schema()
        chosen = _chosen(schema, wanted)
        batches = dataset.scanner(columns=[field.name for field in chosen], use_threads=False).to_reader()
        return self._reader(batches.schema, batches), table.full_name.rpartition(".")[2]

    def _changes(self, arguments: Sequence[exp.Expr], wanted: set[str] | None) -> pa.RecordBatchReader:
        if not 2 <= len(arguments) <= 3 or not isinstance(arguments[0], exp.Literal) or not arguments[0].is_string:
            raise SqlError(
                "BAD_REQUEST",
                "[WRONG_NUM_ARGS.WITHOUT_SUGGESTION] The `table_changes` requires a table name, a start and at most an end. SQLSTATE: 42605",
            )
        table = self._find(_name_parts(arguments[0].name))
        start = self._version(arguments[1], table, True)
        end = self._version(arguments[2], table, False) if len(arguments) == 3 else None
        columns = None if wanted is None else [field.name for field in _chosen(table.arrow_schema(), wanted)]
        reader = table.change_reader(start, end, columns)
        return self._reader(reader.schema, reader)

    def _version(self, argument: exp.Expr, table: ChangeTable, starting: bool) -> int:
        """A version, or the version that a timestamp means; literals only, as on Databricks."""
        literal = argument.this if isinstance(argument, exp.Cast) else argument
        if isinstance(literal, exp.Null):
            raise SqlError(
                "BAD_REQUEST",
                "[DELTA_CDC_READ_NULL_RANGE_BOUNDARY] CDC read start/end parameters cannot be null. Please provide a valid version or timestamp. "
                "SQLSTATE: 22004",
            )
        if not isinstance(literal, exp.Literal):
            raise unsupported("table_changes with anything but literals as its range")
        if not literal.is_string or (
            isinstance(argument, exp.Cast) and argument.to.this.name in ("INT", "BIGINT", "SMALLINT", "TINYINT")
        ):
            return int(literal.name)
        if not _TIMESTAMP.fullmatch(literal.name):
            raise errors.invalid_timestamp(literal.name)
        try:
            moment = datetime.fromisoformat(literal.name)
        except ValueError as error:
            raise errors.invalid_timestamp(literal.name) from error
        return table.version_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC), starting=starting)

    def _reader(self, schema: pa.Schema, batches: pa.RecordBatchReader) -> pa.RecordBatchReader:
        """A stream that remembers what broke it, for DuckDB says it in words of its own."""

        def kept() -> Iterator[pa.RecordBatch]:
            try:
                yield from batches
            except DeltaFeedError as error:
                self._raised.append(error)
                raise
            except FileNotFoundError as error:
                message = f"[FAILED_READ_FILE.FILE_NOT_EXIST] Error while reading file. File does not exist. {error} SQLSTATE: KD001"
                self._raised.append(SqlError("IO_ERROR", message))
                raise

        return pa.RecordBatchReader.from_batches(schema, kept())


def parameter_literals(items: Sequence[Mapping[str, Any]]) -> dict[str, exp.Expr]:
    """Named parameters of a request as typed literals. Raises SqlError for a value that is not of its type."""
    return {str(item["name"]): _literal(item) for item in items}


def _literal(item: Mapping[str, Any]) -> exp.Expr:
    name, value, kind = str(item["name"]), item.get("value"), str(item.get("type") or "STRING").upper()
    if value is None:
        return exp.Null()
    target = _PARAMETER_TYPES.get(kind)
    if target is None and re.fullmatch(r"DECIMAL\(\d{1,2},\s*\d{1,2}\)", kind):
        target = kind
    if target is None:
        raise unsupported(f"a parameter of type {kind}")
    text = str(value)
    try:
        if target in _INTEGERS:
            if not re.fullmatch(r"[+-]?\d{1,19}", text.strip()):
                raise ValueError(text)
            return exp.Literal.number(str(int(text)))
        if target in ("FLOAT", "DOUBLE"):
            float(text)
        elif target == "BOOLEAN":
            return exp.Boolean(this={"true": True, "false": False}[text.lower()])
        elif target in ("DATE", "TIMESTAMP"):
            datetime.fromisoformat(text)
    except (ValueError, KeyError) as error:
        raise bad_parameter(name, text, kind) from error
    if target == "STRING":
        return exp.Literal.string(text)
    return exp.cast(exp.Literal.string(text), "TIMESTAMPTZ" if target == "TIMESTAMP" else target)


def _parsed(statement: str) -> exp.Expr:
    try:
        trees = sqlglot.parse(statement, read="databricks")
    except sqlglot.errors.SqlglotError as error:
        near = getattr(error, "errors", None)
        raise syntax_error(f"'{near[0].get('highlight')}'" if near else str(error)) from error
    except RecursionError as error:
        raise unsupported("a statement nested that deep") from error
    kept = [tree for tree in trees if tree is not None]
    if len(kept) != 1:
        raise syntax_error("';'")
    return kept[0]


def _check(tree: exp.Expr) -> None:
    """Refuse what is not a query, and every function that is not known to mean the same."""
    if not isinstance(tree, exp.Query):
        raise unsupported(f"{type(tree).__name__} statements")
    for node in tree.walk():
        if isinstance(node, exp.Anonymous) and isinstance(node.parent, exp.Table):
            continue
        if _is_conv(node):
            if [base.name for base in node.expressions[1:]] != ["16", "10"]:
                raise unsupported("the function conv but from base 16 to base 10")
            continue
        if isinstance(node, exp.SHA2) and node.text("length") not in ("256", "0"):
            raise unsupported("the function sha2 but with 256 bits")
        if isinstance(node, exp.ConcatWs) and any(isinstance(part, exp.Array) for part in node.expressions):
            raise unsupported("the function concat_ws of arrays")
        if isinstance(node, exp.Func) and not isinstance(node, _FUNCTIONS):
            name = str(node.this) if isinstance(node, exp.Anonymous) else node.sql_name()
            raise unsupported(f"the function {name.lower()}")
        if isinstance(
            node, exp.Lateral | exp.Pivot | exp.TableSample | exp.Into | exp.Command | exp.DDL
        ) and not isinstance(node, exp.Query):
            raise unsupported(type(node).__name__)


def _is_conv(node: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous) and str(node.this).lower() == "conv" and len(node.expressions) == 3


def _alike(tree: exp.Expr) -> exp.Expr:
    """What DuckDB lacks or gives another type, in its own words: conv, and the sum of decimals."""

    for node in [each for each in tree.find_all(exp.Anonymous) if _is_conv(each)]:
        node.replace(_hexadecimal(node.expressions[0]))
    for hashed in tree.find_all(exp.SHA2):
        hashed.set("length", exp.Literal.number(256))
    for total in list(tree.find_all(exp.Sum)):
        kind = total.this.to if isinstance(total.this, exp.Cast) else None
        if kind is not None and kind.this == exp.DType.DECIMAL:
            sizes = [int(size.name) for size in kind.expressions]
            precision, scale = (*sizes, *(10, 0)[len(sizes) :])
            # Spark's sum has ten digits more than what it sums, DuckDB's always 38.
            total.replace(exp.cast(total.copy(), f"DECIMAL({min(38, precision + 10)}, {scale})"))
    return tree


def _hexadecimal(text: exp.Expr) -> exp.Expr:
    """conv(text, 16, 10). Spark also reads signs and stops at other characters; what is not plain digits ends the statement instead."""
    made = sqlglot.parse_one(
        "CASE WHEN (digits) IS NULL THEN NULL WHEN REGEXP_FULL_MATCH(digits, '[0-9a-fA-F]{1,16}') "
        "THEN CAST(CAST(CONCAT('0x', digits) AS UBIGINT) AS VARCHAR) "
        "ELSE ERROR('The sandbox converts 1 to 16 hexadecimal digits only, not: ' || digits) END",
        read="duckdb",
    )
    # As a tree and never as text, since the two dialects quote names and texts differently.
    for place in list(made.find_all(exp.Column)):
        place.replace(text.copy())
    return made


def _wanted_columns(tree: exp.Expr) -> set[str] | None:
    """The names, in lower case, of all columns that the query may mean; None when it asks for all of them."""
    for star in tree.find_all(exp.Star):
        if not isinstance(star.parent, exp.Count):
            return None
    return {part.name.lower() for column in tree.find_all(exp.Column) for part in column.parts}


def _chosen(schema: pa.Schema, wanted: set[str] | None) -> list[pa.Field]:
    chosen = [field for field in schema if wanted is None or field.name.lower() in wanted]
    return chosen or [schema.field(0)]


def _projection_names(tree: exp.Expr) -> list[str]:
    """What Spark calls each column of the result; empty where a star stands among them (then the tables' names hold)."""
    projections = tree.selects if isinstance(tree, exp.Query) else []
    if any(projection.is_star and not isinstance(projection, exp.Count) for projection in projections):
        return []
    return [projection.alias_or_name or _spark_name(projection) for projection in projections]


def _spark_name(projection: exp.Expr) -> str:
    """Spark names an expression by its text; `count(*)` is `count(1)`. Assumed for expressions beyond single calls."""
    text = projection.sql(dialect="databricks", normalize_functions="lower")
    return re.sub(r"count\(\*\)", "count(1)", text)


def _name_parts(name: str) -> list[str]:
    """A table's name in a text, its parts quoted or not."""
    try:
        found = sqlglot.parse_one(name, read="databricks", into=exp.Table)
    except sqlglot.errors.SqlglotError as error:
        raise table_not_found(name) from error
    return [part.name for part in found.parts]


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
