"""The statements that are not queries: DESCRIBE, DESCRIBE HISTORY, DESCRIBE DETAIL, SHOW TBLPROPERTIES, ALTER TABLE ... SET TBLPROPERTIES.

`command` reads one from the tokens of a statement and gives its rows as Arrow, or None when the statement is a query. Everything else is refused by
its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from sqlglot.tokenizer_core import Token, TokenType

from lpmops.sandbox.databricks.sqlerrors import syntax_error, unsupported
from lpmops.sandbox.lake.schema import MOMENT, spark_type
from lpmops.sandbox.lake.table import ChangeTable

_TEXTS = pa.map_(pa.string(), pa.string())
# docs.databricks.com/sql/language-manual/delta-describe-history
_HISTORY = pa.schema(
    [
        ("version", pa.int64()), ("timestamp", MOMENT), ("userId", pa.string()), ("userName", pa.string()), ("operation", pa.string()),
        ("operationParameters", _TEXTS), ("job", pa.struct([("jobId", pa.string()), ("runId", pa.string())])),
        ("notebook", pa.struct([("notebookId", pa.string())])), ("clusterId", pa.string()), ("readVersion", pa.int64()),
        ("isolationLevel", pa.string()), ("isBlindAppend", pa.bool_()), ("operationMetrics", _TEXTS), ("userMetadata", pa.string()),
        ("engineInfo", pa.string()),
    ]
)  # fmt: skip
_DETAIL = pa.schema(
    [
        ("format", pa.string()), ("id", pa.string()), ("name", pa.string()), ("description", pa.string()), ("location", pa.string()),
        ("createdAt", MOMENT), ("lastModified", MOMENT), ("partitionColumns", pa.list_(pa.string())), ("clusteringColumns", pa.list_(pa.string())),
        ("numFiles", pa.int64()), ("sizeInBytes", pa.int64()), ("properties", _TEXTS), ("minReaderVersion", pa.int32()),
        ("minWriterVersion", pa.int32()), ("tableFeatures", pa.list_(pa.string())), ("statistics", _TEXTS),
    ]
)  # fmt: skip
_NAMES = {TokenType.VAR, TokenType.IDENTIFIER}
Find = Callable[[Sequence[str]], ChangeTable]


@dataclass(slots=True)
class _Cursor:
    tokens: Sequence[Token]
    at: int = 0

    def take(self, *words: str) -> bool:
        """Pass these words when they come next."""
        coming = [token.text.upper() for token in self.tokens[self.at : self.at + len(words)]]
        if coming != list(words):
            return False
        self.at += len(words)
        return True

    def expect(self, word: str) -> None:
        if not self.take(word):
            raise syntax_error(self._near())

    def name(self) -> str:
        """One identifier, or a word that is none of SQL's marks."""
        token = self._next()
        if token.token_type not in _NAMES and not token.text.replace("_", "").isalnum():
            raise syntax_error(self._near(-1))
        return token.text

    def value(self) -> str:
        token = self._next()
        if token.token_type not in (TokenType.STRING, TokenType.NUMBER, TokenType.TRUE, TokenType.FALSE):
            raise syntax_error(self._near(-1))
        return token.text

    def dotted(self) -> list[str]:
        parts = [self.name()]
        while self.take("."):
            parts.append(self.name())
        return parts

    def end(self) -> None:
        self.take(";")
        if self.at < len(self.tokens):
            raise syntax_error(self._near())

    def _next(self) -> Token:
        if self.at >= len(self.tokens):
            raise syntax_error("end of input")
        self.at += 1
        return self.tokens[self.at - 1]

    def _near(self, step: int = 0) -> str:
        at = self.at + step
        return f"'{self.tokens[at].text}'" if at < len(self.tokens) else "end of input"


def command(tokens: Sequence[Token], find: Find, bound: Mapping[str, str]) -> pa.Table | None:
    """Run a command; None when the statement begins a query. Raises SqlError and DeltaFeedError. `bound` are the parameters' texts."""
    cursor = _Cursor(tokens)
    if cursor.take("DESCRIBE") or cursor.take("DESC"):
        return _describe(cursor, find, bound)
    if cursor.take("SHOW", "TBLPROPERTIES"):
        return _show_properties(cursor, find)
    if cursor.take("ALTER", "TABLE"):
        return _alter(cursor, find)
    first = tokens[0].text.upper() if tokens else ""
    if first in ("SELECT", "WITH", "VALUES", "FROM", "("):
        return None
    if not first:
        raise syntax_error("end of input")
    raise unsupported(f"{first} statements")


def _describe(cursor: _Cursor, find: Find, bound: Mapping[str, str]) -> pa.Table:
    if cursor.take("HISTORY"):
        table = find(cursor.dotted())
        limit = None
        if cursor.take("LIMIT"):
            text = bound.get(cursor.name(), "") if cursor.take(":") else cursor.value()
            if not (text.isascii() and text.isdigit()):
                raise syntax_error(f"'{text}'")
            limit = int(text)
        cursor.end()
        rows = [] if limit == 0 else table.history(limit)
        return pa.Table.from_pylist(
            [_maps(row, "operationParameters", "operationMetrics") for row in rows], schema=_HISTORY
        )
    if cursor.take("DETAIL"):
        table = find(cursor.dotted())
        cursor.end()
        return pa.Table.from_pylist([_maps(table.detail(), "properties", "statistics")], schema=_DETAIL)
    cursor.take("TABLE")
    if cursor.take("EXTENDED") or cursor.take("FORMATTED"):
        raise unsupported("DESCRIBE TABLE EXTENDED")
    table = find(cursor.dotted())
    cursor.end()
    rows = [
        {"col_name": field.name, "data_type": spark_type(field.type)[0], "comment": None}
        for field in table.arrow_schema()
    ]
    return pa.Table.from_pylist(
        rows, schema=pa.schema([(name, pa.string()) for name in ("col_name", "data_type", "comment")])
    )


def _show_properties(cursor: _Cursor, find: Find) -> pa.Table:
    table = find(cursor.dotted())
    properties = table.properties()
    if cursor.take("("):
        key = _key(cursor)
        cursor.expect(")")
        missing = f"Table {table.full_name} does not have property: {key}"
        properties = {key: properties.get(key, missing)}
    cursor.end()
    rows = [{"key": key, "value": value} for key, value in sorted(properties.items())]
    return pa.Table.from_pylist(rows, schema=pa.schema([("key", pa.string()), ("value", pa.string())]))


def _alter(cursor: _Cursor, find: Find) -> pa.Table:
    table = find(cursor.dotted())
    if not cursor.take("SET", "TBLPROPERTIES"):
        raise unsupported("ALTER TABLE other than SET TBLPROPERTIES")
    cursor.expect("(")
    properties: dict[str, str] = {}
    while True:
        key = _key(cursor)
        cursor.take("=")
        properties[key] = cursor.value()
        if not cursor.take(","):
            break
    cursor.expect(")")
    cursor.end()
    table.set_properties(properties)
    return pa.table({})


def _key(cursor: _Cursor) -> str:
    if cursor.tokens[cursor.at : cursor.at + 1] and cursor.tokens[cursor.at].token_type == TokenType.STRING:
        return cursor.value()
    return ".".join(cursor.dotted())


def _maps(row: Mapping[str, object], *names: str) -> dict[str, object]:
    """pyarrow takes a map as pairs."""
    return {
        name: list(value.items()) if name in names and isinstance(value, dict) else value for name, value in row.items()
    }
