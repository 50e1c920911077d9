"""T-SQL text to syntax trees: `parse` for a batch, `parse_expression` and `parse_query` for pieces kept in the catalog.

A recursive descent over the subset, statement by statement as Transact-SQL allows (no terminator needed). It is strict on purpose: what SQL
Server would not read is refused with 102 or 156 at its line, and what SQL Server has and this server lacks is refused by name (40510,
40514, 40517), so that text which passes here passes there. Trees of recent batches are kept.
"""

from __future__ import annotations

from functools import lru_cache

from lpmops.sandbox.sql.lexer import OPERATOR, tokenize
from lpmops.sandbox.sql.parser.cursor import Cursor
from lpmops.sandbox.sql.parser.expressions import expression, type_name
from lpmops.sandbox.sql.parser.queries import query
from lpmops.sandbox.sql.parser.statements import batch
from lpmops.sandbox.sql.syntax import Expression, Query, Statement, TypeName

__all__ = ["parse", "parse_declarations", "parse_expression", "parse_query", "with_names"]


@lru_cache(maxsize=512)
def with_names(text: str) -> str:
    """Parameter marks as ODBC has them, `?`, turned into @P1, @P2, ..."""
    pieces: list[str] = []
    end = 0
    for token in tokenize(text):
        if token.kind == OPERATOR and token.text == "?":
            pieces += [text[end : token.start], f"@P{len(pieces) // 2 + 1}"]
            end = token.end
    return "".join([*pieces, text[end:]])


@lru_cache(maxsize=2048)
def parse(text: str) -> tuple[Statement, ...]:
    """The statements of a batch. Raises SqlError."""
    return batch(Cursor(text))


@lru_cache(maxsize=2048)
def parse_expression(text: str) -> Expression:
    """One expression, such as a stored DEFAULT or CHECK."""
    cursor = Cursor(text)
    found = expression(cursor)
    cursor.expect_end()
    return found


@lru_cache(maxsize=512)
def parse_query(text: str) -> Query:
    """One query, such as the body of a stored view."""
    cursor = Cursor(text)
    found = query(cursor)
    cursor.accept_operator(";")
    cursor.expect_end()
    return found


@lru_cache(maxsize=2048)
def parse_declarations(text: str) -> tuple[tuple[str, TypeName, bool], ...]:
    """The parameter list of sp_executesql, `@a int, @b nvarchar(10) OUTPUT`: (name, type, whether output)."""
    cursor = Cursor(text)
    found: list[tuple[str, TypeName, bool]] = []
    while not cursor.at_end:
        name = cursor.expect_variable()
        cursor.accept("AS")
        kind = type_name(cursor)
        if cursor.accept_operator("="):
            expression(cursor)
        found.append((name, kind, cursor.accept("OUTPUT", "OUT")))
        if not cursor.accept_operator(","):
            break
    cursor.expect_end()
    return tuple(found)
