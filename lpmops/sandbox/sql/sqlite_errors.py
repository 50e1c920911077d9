"""SQLite's complaints as SQL Server's errors."""

from __future__ import annotations

import sqlite3

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.catalog import Index, Table
from lpmops.sandbox.sql.connections import Connection
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.translate import storage


def translated(error: Exception, connection: Connection, table: Table | None, verb: str, database: str) -> SqlError:
    """The SqlError that SQLite's exception stands for; `table` is what was being changed."""
    kept, connection.trouble.error = connection.trouble.error, None
    if kept is not None:
        return kept
    text = str(error)
    if isinstance(error, sqlite3.IntegrityError) and table is not None:
        return _constraint(text, table, verb, database)
    if isinstance(error, OverflowError):
        return errors.overflow("bigint")
    if "interrupted" in text:
        return errors.cancelled()
    if "integer overflow" in text:
        return errors.overflow("bigint")
    if "malformed JSON" in text:
        return SqlError(
            13609, "JSON text is not properly formatted. Unexpected character '' is found at position 0.", 16, 1
        )
    if "full" in text:
        return errors.size_quota()
    if "disk I/O" in text or "unable to open" in text or "malformed" in text or "not a database" in text:
        return SqlError(
            40197,
            "The service has encountered an error processing your request. Please try again. Error code 823.",
            20,
            1,
        )
    if "stack overflow" in text or "too large" in text or "too many" in text:
        message = (
            "The query processor ran out of internal resources and could not produce a query plan. This is a "
            "rare event and only expected for extremely complex queries or queries that reference a very large "
            "number of tables or partitions. Please simplify the query."
        )
        return SqlError(8623, message, 16, 1)
    # SQLite has refused text of our making: a defect here, told as SQL Server tells one of its own.
    return SqlError(
        8624, f"Internal Query Processor Error: the query processor could not produce a query plan ({text}).", 16, 1
    )


def _constraint(text: str, table: Table, verb: str, database: str) -> SqlError:
    for index in table.indexes:
        if index.unique and text == storage.violation(table, index):
            return duplicate(table, index)
    rule, _, rest = text.partition(": ")
    three_parts = f"{database}.{table.full_name}"
    if rule == "NOT NULL constraint failed":
        return errors.null_not_allowed(rest.removeprefix(table.full_name + "."), three_parts, verb)
    if rule == "CHECK constraint failed":
        number, _, name = rest.partition("|")
        if number == "2628":
            # SQLite does not say which value it was; where the caller knows it, the message shows it.
            return errors.truncated(three_parts, name, "")
        if number == "8115":
            found = table.column(name)
            return errors.overflow(found.type.name if found else "int")
        return check_failed(table, name, verb, database)
    if "cannot store" in text:
        return errors.converting_type(text.split()[2].lower(), text.split()[5].lower())
    if rule == "UNIQUE constraint failed":
        identity = table.identity
        column = identity.name if identity else rest
        return SqlError(
            2627,
            f"Violation of PRIMARY KEY constraint on '{column}'. Cannot insert duplicate key in object '{table.full_name}'.",
            14,
            1,
        )
    return SqlError(8624, f"Internal Query Processor Error: {text}.", 16, 1)


def duplicate(table: Table, index: Index, key: str = "") -> SqlError:
    """2627 for a constraint, 2601 for an index; `key` is the duplicate key as (a, b), where it is known."""
    suffix = f" The duplicate key value is {key}." if key else ""
    if index.constraint:
        kind = index.constraint + (" KEY" if index.constraint == "UNIQUE" else "")
        text = f"Violation of {kind} constraint '{index.name}'. Cannot insert duplicate key in object '{table.full_name}'.{suffix}"
        return SqlError(2627, text, 14, 1)
    return SqlError(
        2601,
        f"Cannot insert duplicate key row in object '{table.full_name}' with unique index '{index.name}'.{suffix}",
        14,
        1,
    )


def check_failed(table: Table, constraint: str, verb: str, database: str) -> SqlError:
    """547 for a CHECK constraint."""
    check = next((found for found in table.checks if found.name == constraint), None)
    column = f", column '{check.column}'" if check and check.column else ""
    text = (
        f'The {verb} statement conflicted with the CHECK constraint "{constraint}". The conflict occurred in '
        f'database "{database}", table "{table.full_name}"{column}.'
    )
    return SqlError(547, text, 16, 0)
