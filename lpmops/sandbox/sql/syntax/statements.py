"""What a batch is made of: the statements that read and change rows, and those that steer (variables, branches, errors, transactions)."""

from __future__ import annotations

from dataclasses import dataclass, field

from lpmops.sandbox.sql.syntax.expressions import Expression, TypeName
from lpmops.sandbox.sql.syntax.queries import CommonTable, Query, SelectItem, Source, TableName


@dataclass(frozen=True, slots=True)
class Statement:
    """Any statement; line is where it begins in its batch."""

    line: int = field(default=1, kw_only=True, compare=False)


@dataclass(frozen=True, slots=True)
class SelectStatement(Statement):
    """A query that gives rows, or assigns variables."""

    query: Query


@dataclass(frozen=True, slots=True)
class Insert(Statement):
    """INSERT; exactly one of rows, query and defaults."""

    table: TableName
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Expression | None, ...], ...] = ()
    query: Query | None = None
    defaults: bool = False
    output: tuple[SelectItem, ...] = ()
    commons: tuple[CommonTable, ...] = ()


@dataclass(frozen=True, slots=True)
class Assignment:
    """column = value (None: DEFAULT), or @variable = value, of UPDATE ... SET."""

    column: str | None
    value: Expression | None
    variable: str | None = None


@dataclass(frozen=True, slots=True)
class Update(Statement):
    """UPDATE [TOP] target SET ... [OUTPUT] [FROM] [WHERE]."""

    target: TableName
    assignments: tuple[Assignment, ...]
    output: tuple[SelectItem, ...] = ()
    source: Source | None = None
    where: Expression | None = None
    top: Expression | None = None
    commons: tuple[CommonTable, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete(Statement):
    """DELETE [TOP] target [OUTPUT] [FROM] [WHERE]."""

    target: TableName
    output: tuple[SelectItem, ...] = ()
    source: Source | None = None
    where: Expression | None = None
    top: Expression | None = None
    commons: tuple[CommonTable, ...] = ()


@dataclass(frozen=True, slots=True)
class Truncate(Statement):
    """TRUNCATE TABLE."""

    table: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Declare(Statement):
    """DECLARE @a type [= value], ..."""

    variables: tuple[tuple[str, TypeName, Expression | None], ...]


@dataclass(frozen=True, slots=True)
class SetVariable(Statement):
    """SET @a = value."""

    name: str
    value: Expression


@dataclass(frozen=True, slots=True)
class SetOption(Statement):
    """SET option value; words in capitals."""

    option: str
    value: str
    table: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class If(Statement):
    """IF condition statement [ELSE statement]."""

    condition: Expression
    then: Statement
    otherwise: Statement | None


@dataclass(frozen=True, slots=True)
class While(Statement):
    """WHILE condition statement."""

    condition: Expression
    body: Statement


@dataclass(frozen=True, slots=True)
class Block(Statement):
    """BEGIN ... END."""

    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class TryCatch(Statement):
    """BEGIN TRY ... END TRY BEGIN CATCH ... END CATCH."""

    attempt: tuple[Statement, ...]
    handler: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class LoopExit(Statement):
    """BREAK or CONTINUE."""

    word: str


@dataclass(frozen=True, slots=True)
class Return(Statement):
    """RETURN [value]."""

    value: Expression | None


@dataclass(frozen=True, slots=True)
class Print(Statement):
    """PRINT value."""

    value: Expression


@dataclass(frozen=True, slots=True)
class Throw(Statement):
    """THROW [number, message, state]."""

    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Raiserror(Statement):
    """RAISERROR (message, severity, state, arguments) [WITH NOWAIT]."""

    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Transaction(Statement):
    """BEGIN, COMMIT or ROLLBACK."""

    verb: str


@dataclass(frozen=True, slots=True)
class WaitFor(Statement):
    """WAITFOR DELAY time."""

    delay: Expression


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of EXEC; value None means DEFAULT."""

    name: str | None
    value: Expression | None
    output: bool = False


@dataclass(frozen=True, slots=True)
class Execute(Statement):
    """EXEC procedure arguments, or EXEC (text)."""

    procedure: str | None
    arguments: tuple[Argument, ...] = ()
    text: Expression | None = None
    result: str | None = None


@dataclass(frozen=True, slots=True)
class InsertBulk(Statement):
    """INSERT BULK: the announcement of a bulk load."""

    table: tuple[str, ...]
    columns: tuple[tuple[str, TypeName], ...]
