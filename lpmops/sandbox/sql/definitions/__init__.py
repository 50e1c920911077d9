"""What a DDL or security statement makes of a catalog, and what SQLite must do for it.

`define` takes a statement and a Surroundings and gives a Change: the new catalog and the SQLite statements that go with it, for the session
to run in one transaction. Checks of existence, names and rights are made here, with SQL Server's errors.
"""

from __future__ import annotations

from lpmops.sandbox.sql.definitions import objects, principals, tables
from lpmops.sandbox.sql.definitions.surroundings import Change, Surroundings
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.syntax import (
    AlterRole,
    AlterTable,
    ChangePermission,
    CreateIndex,
    CreatePrincipal,
    CreateSchema,
    CreateTable,
    CreateView,
    Drop,
    DropIndex,
    Statement,
)

__all__ = ["DEFINITIONS", "Change", "Surroundings", "define"]

DEFINITIONS = (
    CreateTable,
    AlterTable,
    CreateIndex,
    DropIndex,
    CreateView,
    CreateSchema,
    Drop,
    CreatePrincipal,
    AlterRole,
    ChangePermission,
)


def define(statement: Statement, place: Surroundings) -> Change:
    """The change a statement makes. Raises SqlError."""
    match statement:
        case CreateTable():
            return tables.create_table(statement, place)
        case AlterTable():
            return tables.alter_table(statement, place)
        case CreateIndex():
            return tables.create_index(statement, place)
        case DropIndex():
            return tables.drop_index(statement, place)
        case CreateView():
            return objects.create_view(statement, place)
        case CreateSchema():
            return objects.create_schema(statement, place)
        case Drop():
            return objects.drop(statement, place)
        case CreatePrincipal():
            return principals.create_principal(statement, place)
        case AlterRole():
            return principals.alter_role(statement, place)
        case ChangePermission():
            return principals.change_permission(statement, place)
    raise SqlError(8624, f"Internal Query Processor Error: no definition for {type(statement).__name__}.", 16, 1)
