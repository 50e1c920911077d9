"""What a batch gives back: result sets, counts, messages, errors.

A session reports to a Sink as it goes, in stored values. Collected is the Sink for callers in the process: it keeps result sets as Python
values and raises the first error at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.python_values import to_python
from lpmops.sandbox.sql.translate import OutputColumn
from lpmops.sandbox.sql.types import SqlType


@dataclass(frozen=True, slots=True)
class Message:
    """PRINT, RAISERROR up to severity 10, and the server's own notes."""

    number: int
    text: str
    severity: int = 0
    state: int = 1
    line: int = 0


@dataclass(frozen=True, slots=True)
class Parameter:
    """A variable given to a batch: name with @, type, stored value, and whether the caller wants its value back."""

    name: str
    type: SqlType
    value: Any
    output: bool = False


class Sink(Protocol):
    """Who listens to a running batch."""

    def columns(self, columns: Sequence[OutputColumn]) -> None:
        """A result set begins."""

    def rows(self, rows: list[tuple[Any, ...]]) -> None:
        """Rows of the result set, in stored values."""

    def done(self, count: int | None, verb: str) -> None:
        """A statement has ended; how many rows it gave or changed, None where that is not told."""

    def message(self, message: Message) -> None:
        """A note for the caller."""

    def error(self, error: SqlError) -> None:
        """A statement has failed."""


@dataclass(frozen=True, slots=True)
class ResultSet:
    """A result: columns with their T-SQL types, rows as Python values (datetime2 naive, decimal as Decimal, uniqueidentifier as UUID)."""

    columns: tuple[OutputColumn, ...]
    rows: list[tuple[Any, ...]]

    def as_dicts(self) -> list[dict[str, Any]]:
        """The rows by column name."""
        names = [column.name for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


@dataclass(slots=True)
class Collected:
    """Keeps everything."""

    results: list[ResultSet] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    errors: list[SqlError] = field(default_factory=list)

    def columns(self, columns: Sequence[OutputColumn]) -> None:
        """A result set begins."""
        self.results.append(ResultSet(tuple(columns), []))

    def rows(self, rows: list[tuple[Any, ...]]) -> None:
        """Rows as Python values."""
        result = self.results[-1]
        kinds = [column.type for column in result.columns]
        plain = all(kind.name in _PLAIN for kind in kinds)
        result.rows.extend(
            rows
            if plain
            else [tuple(to_python(value, kind) for value, kind in zip(row, kinds, strict=True)) for row in rows]
        )

    def done(self, count: int | None, verb: str) -> None:
        """Keep the counts of changes."""
        if count is not None and verb != "SELECT":
            self.counts.append(count)

    def message(self, message: Message) -> None:
        """Keep it."""
        self.messages.append(message)

    def error(self, error: SqlError) -> None:
        """Keep it."""
        self.errors.append(error)

    def raise_first(self) -> None:
        """Raise the first error, if there was one."""
        if self.errors:
            raise self.errors[0]


_PLAIN = frozenset(
    {
        "tinyint",
        "smallint",
        "int",
        "bigint",
        "float",
        "real",
        "char",
        "varchar",
        "nchar",
        "nvarchar",
        "binary",
        "varbinary",
    }
)
