"""Statements that define: tables, indexes, views, schemas, principals and their rights."""

from __future__ import annotations

from dataclasses import dataclass

from lpmops.sandbox.sql.syntax.expressions import Expression, TypeName
from lpmops.sandbox.sql.syntax.queries import Query
from lpmops.sandbox.sql.syntax.statements import Statement


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
