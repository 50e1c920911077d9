"""The syntax tree of the T-SQL subset: what the parser gives and the translator takes.

Every node is a frozen value, so trees can be cached and compared. An identifier of several parts is a tuple of its parts as written, without quotes.
Nothing here resolves a name or knows a type; a type as written is a TypeName.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TypeName:
    """A data type as written; -1 stands for max."""

    name: str
    arguments: tuple[int, ...] = ()


class Expression:
    """Any scalar expression or condition."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Literal(Expression):
    """A constant; kind is string, national, integer, decimal, float, hex or null."""

    kind: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Variable(Expression):
    """@name or @@name."""

    name: str


@dataclass(frozen=True, slots=True)
class Column(Expression):
    """A column reference with its qualifiers."""

    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unary(Expression):
    """-, +, ~ or NOT."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Expression):
    """Arithmetic, bitwise, comparison, AND or OR."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Between(Expression):
    """x [NOT] BETWEEN low AND high."""

    value: Expression
    low: Expression
    high: Expression
    negated: bool


@dataclass(frozen=True, slots=True)
class InList(Expression):
    """x [NOT] IN (a, b)."""

    value: Expression
    items: tuple[Expression, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class InQuery(Expression):
    """x [NOT] IN (SELECT ...)."""

    value: Expression
    query: Query
    negated: bool


@dataclass(frozen=True, slots=True)
class Like(Expression):
    """x [NOT] LIKE pattern [ESCAPE character]."""

    value: Expression
    pattern: Expression
    escape: Expression | None
    negated: bool


@dataclass(frozen=True, slots=True)
class IsNull(Expression):
    """x IS [NOT] NULL."""

    value: Expression
    negated: bool


@dataclass(frozen=True, slots=True)
class Exists(Expression):
    """EXISTS (SELECT ...)."""

    query: Query


@dataclass(frozen=True, slots=True)
class Scalar(Expression):
    """A query used as a value."""

    query: Query


@dataclass(frozen=True, slots=True)
class Case(Expression):
    """CASE, simple (with operand) or searched."""

    operand: Expression | None
    branches: tuple[tuple[Expression, Expression], ...]
    otherwise: Expression | None


@dataclass(frozen=True, slots=True)
class Cast(Expression):
    """CAST, CONVERT and their TRY_ forms."""

    value: Expression
    type: TypeName
    style: Expression | None
    forgiving: bool


@dataclass(frozen=True, slots=True)
class Collate(Expression):
    """x COLLATE name."""

    value: Expression
    collation: str


@dataclass(frozen=True, slots=True)
class AtTimeZone(Expression):
    """x AT TIME ZONE zone."""

    value: Expression
    zone: Expression


@dataclass(frozen=True, slots=True)
class OrderItem:
    """One item of ORDER BY."""

    value: Expression
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """OVER (...); the frame as SQL text is made of fixed words and numbers only."""

    partition: tuple[Expression, ...] = ()
    order: tuple[OrderItem, ...] = ()
    frame: str = ""


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """A function, aggregate or window function; the name in capitals, with its schema where one is written."""

    name: str
    arguments: tuple[Expression, ...] = ()
    star: bool = False
    distinct: bool = False
    within: tuple[OrderItem, ...] = ()
    window: Window | None = None


@dataclass(frozen=True, slots=True)
class TableName:
    """A table or view in FROM, with its alias and hints in capitals."""

    parts: tuple[str, ...]
    alias: str | None = None
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Derived:
    """(SELECT ...) AS alias (columns)."""

    query: Query
    alias: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rows:
    """(VALUES (...), (...)) AS alias (columns)."""

    rows: tuple[tuple[Expression, ...], ...]
    alias: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenColumn:
    """A column of OPENJSON ... WITH."""

    name: str
    type: TypeName
    path: str | None
    as_json: bool


@dataclass(frozen=True, slots=True)
class TableFunction:
    """OPENJSON or STRING_SPLIT in FROM."""

    name: str
    arguments: tuple[Expression, ...]
    alias: str | None
    columns: tuple[OpenColumn, ...] = ()


@dataclass(frozen=True, slots=True)
class Join:
    """kind is INNER, LEFT, RIGHT, FULL, CROSS, CROSS APPLY or OUTER APPLY."""

    kind: str
    left: Source
    right: Source
    condition: Expression | None


Source = TableName | Derived | Rows | TableFunction | Join


@dataclass(frozen=True, slots=True)
class SelectItem:
    """One item of the select list: an expression with its alias, `*` or `t.*` (star), or @variable = expression (target)."""

    value: Expression | None
    alias: str | None = None
    star: tuple[str, ...] | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Top:
    """TOP (n) [PERCENT] [WITH TIES]."""

    count: Expression
    percent: bool = False
    ties: bool = False


@dataclass(frozen=True, slots=True)
class Select:
    """One SELECT without ORDER BY."""

    items: tuple[SelectItem, ...]
    source: Source | None = None
    where: Expression | None = None
    group: tuple[Expression, ...] = ()
    having: Expression | None = None
    distinct: bool = False
    top: Top | None = None


@dataclass(frozen=True, slots=True)
class SetOperation:
    """UNION, UNION ALL, EXCEPT or INTERSECT."""

    operator: str
    left: Select | SetOperation
    right: Select | SetOperation


@dataclass(frozen=True, slots=True)
class CommonTable:
    """One WITH name (columns) AS (query)."""

    name: str
    columns: tuple[str, ...]
    query: Query


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query: WITH, body, ORDER BY, OFFSET, FETCH."""

    body: Select | SetOperation
    commons: tuple[CommonTable, ...] = ()
    order: tuple[OrderItem, ...] = ()
    offset: Expression | None = None
    fetch: Expression | None = None


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
class KeyColumn:
    """A column of an index or key."""

    name: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Constraint:
    """A table constraint: kind is PRIMARY KEY, UNIQUE, CHECK or DEFAULT (for a column)."""

    kind: str
    name: str | None = None
    columns: tuple[KeyColumn, ...] = ()
    expression: Expression | None = None
    text: str = ""
    column: str | None = None
    with_values: bool = False
    ignore_dup_key: bool = False
    clustered: bool | None = None


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    """A column of CREATE TABLE or ALTER TABLE; nullable None means nothing was written."""

    name: str
    type: TypeName
    nullable: bool | None = None
    identity: tuple[int, int] | None = None
    collation: str | None = None
    constraints: tuple[Constraint, ...] = ()


@dataclass(frozen=True, slots=True)
class CreateIndex(Statement):
    """CREATE [UNIQUE] INDEX."""

    name: str
    table: tuple[str, ...]
    columns: tuple[KeyColumn, ...]
    included: tuple[str, ...] = ()
    unique: bool = False
    ignore_dup_key: bool = False
    clustered: bool = False


@dataclass(frozen=True, slots=True)
class CreateTable(Statement):
    """CREATE TABLE."""

    name: tuple[str, ...]
    columns: tuple[ColumnDefinition, ...]
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[CreateIndex, ...] = ()


@dataclass(frozen=True, slots=True)
class AlterTable(Statement):
    """ALTER TABLE with one kind of change."""

    table: tuple[str, ...]
    add_columns: tuple[ColumnDefinition, ...] = ()
    add_constraints: tuple[Constraint, ...] = ()
    alter_column: ColumnDefinition | None = None
    drop_columns: tuple[str, ...] = ()
    drop_constraints: tuple[str, ...] = ()
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class Drop(Statement):
    """DROP of a TABLE, VIEW, SCHEMA, USER or ROLE."""

    kind: str
    names: tuple[tuple[str, ...], ...]
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class DropIndex(Statement):
    """DROP INDEX name ON table."""

    name: str
    table: tuple[str, ...]
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class CreateView(Statement):
    """CREATE, ALTER or CREATE OR ALTER VIEW; text is the whole definition as written."""

    name: tuple[str, ...]
    columns: tuple[str, ...]
    query: Query
    text: str
    create: bool
    alter: bool


@dataclass(frozen=True, slots=True)
class CreateSchema(Statement):
    """CREATE SCHEMA name [AUTHORIZATION owner]."""

    name: str
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class CreatePrincipal(Statement):
    """CREATE USER or ROLE; kind is EXTERNAL, SQL or ROLE."""

    kind: str
    name: str
    default_schema: str | None = None
    password: str | None = None


@dataclass(frozen=True, slots=True)
class AlterRole(Statement):
    """ALTER ROLE ... ADD or DROP MEMBER."""

    role: str
    member: str
    add: bool


@dataclass(frozen=True, slots=True)
class ChangePermission(Statement):
    """GRANT, DENY or REVOKE; scope is OBJECT, SCHEMA or DATABASE."""

    verb: str
    permissions: tuple[str, ...]
    scope: str
    securable: tuple[str, ...]
    principals: tuple[str, ...]
    with_grant: bool = False


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
