"""Where a definition is made and what it comes to; the looking up of names and rights that every definition needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lpmops.sandbox.sql import errors, permissions
from lpmops.sandbox.sql.catalog import Catalog, Table
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.translate.translation import Program, Translation


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a definition is made: by whom, in which database, when; `row_count` tells whether a table is empty, `evaluate` a default's value."""

    catalog: Catalog
    principal: str
    database: str
    default_schema: str
    now: str
    row_count: Callable[[Table], int]
    evaluate: Callable[[Program], str]


@dataclass(frozen=True, slots=True)
class Change:
    """A new catalog, what SQLite must run for it (in order), and the tables whose rows must be counted anew."""

    catalog: Catalog
    statements: tuple[str, ...] = ()
    recount: tuple[int, ...] = ()


def schema_of(place: Surroundings, parts: tuple[str, ...]) -> tuple[str, str]:
    """(schema in its own spelling, object name). Raises SqlError 2760 for a schema that is not there."""
    translation = Translation(place.catalog, {}, place.database, place.default_schema)
    if len(parts) == 1 or not parts[-2]:
        return place.default_schema, parts[-1]
    wanted, found_name = translation.find(parts)
    schema = place.catalog.schema(wanted)
    if schema is None or schema in ("sys", "INFORMATION_SCHEMA"):
        text = f'The specified schema name "{wanted}" either does not exist or you do not have permission to use it.'
        raise SqlError(2760, text, 16, 1)
    return schema, found_name


def table_of(place: Surroundings, parts: tuple[str, ...], missing: SqlError) -> Table:
    """A table that may be altered. Raises `missing` where it is not there or not the caller's to alter."""
    schema, found_name = Translation(place.catalog, {}, place.database, place.default_schema).find(parts)
    found = place.catalog.find(schema, found_name)
    if not isinstance(found, Table) or not permissions.allowed(place.catalog, place.principal, "ALTER", found):
        raise missing
    return found


def require(place: Surroundings, permission: str, schema: str | None = None) -> None:
    """Database permission, and ALTER on the schema where one is given."""
    if not permissions.allowed(place.catalog, place.principal, permission):
        raise errors.database_permission_denied(permission, place.database)
    if schema is not None and not permissions.allowed(place.catalog, place.principal, "ALTER", schema=schema):
        text = f'The specified schema name "{schema}" either does not exist or you do not have permission to use it.'
        raise SqlError(2760, text, 16, 1)
